package mqttlocker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShapesAreValid(t *testing.T) {
	for _, shape := range []string{OpenLocker, LKAAS} {
		require.NoError(t, Config{User: "wall", Shape: shape, Cells: 24}.Validate(), shape)
	}
	require.NoError(t, custom().Validate())
	// A section of one's own in place of the shape's.
	c := Config{User: "wall", Shape: OpenLocker, Cells: 4, Heartbeat: Heartbeat{Topic: "alive/{uid}"}}
	require.NoError(t, c.Validate())
	require.Equal(t, []string{"locker/wall/event", "locker/wall/state/compartments", "locker/wall/response", "alive/wall", "locker/wall/state/connection"}, c.withDefaults().publishes())
}

func TestConfigErrorsNameTheirKeys(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"user: ", "cells: ", "events: neither"}},
		{"words", func(c *Config) { c.Shape, c.UID = "x", "a/b" }, []string{"shape: ", "uid: "}},
		{"times", func(c *Config) { c.AnswerWithin, c.OfflineAfter = time.Minute, time.Millisecond }, []string{"answer_within: ", "offline_after: "}},
		{"an event without identity", func(c *Config) { c.Events[0].ID, c.Events[0].At = "", "" }, []string{"events[0].id: "}},
		{"a cell twice", func(c *Config) { c.Events[0].Cell = "x" }, []string{"events[0].cell: "}},
		{"no cell", func(c *Config) { c.Events[0].Topic = "lockers/{uid}/event" }, []string{"events[0].cell: "}},
		{"no event", func(c *Config) { c.Events[0].Event, c.Events[0].Words = "", nil }, []string{"events[0].event: ", "events[0].words: "}},
		{"a word of nobody", func(c *Config) { c.Events[0].Words = map[string]string{"x": "ajar"} }, []string{`events[0].words: "x" is "ajar", which is none of opened`}},
		{"snapshot format", func(c *Config) { c.Snapshots[0].Format = "xml" }, []string{`snapshots[0].format: "xml"`}},
		{"snapshot identity", func(c *Config) { c.Snapshots[0].At = "" }, []string{"snapshots[0].id: "}},
		{"snapshot door", func(c *Config) { c.Snapshots[0].Door = "" }, []string{"snapshots[0].door: "}},
		{"snapshot of a cell", func(c *Config) { c.Snapshots[0].Topic = "x/{cell}" }, []string{"snapshots[0].topic: "}},
		{"topics", func(c *Config) {
			c.Snapshots[0].Topic, c.Responses.Topic, c.Heartbeat.Topic, c.Connection.Topic = "dev/x/locker", "a/#", "a//b", "$SYS/a"
		}, []string{"snapshots[0].topic: ", "responses.topic: ", "heartbeat.topic: ", "connection.topic: "}},
		{"a cell where none is", func(c *Config) { c.Heartbeat.Topic = "a/{cell}" }, []string{"heartbeat.topic: "}},
		{"placeholder of nothing", func(c *Config) { c.Heartbeat.Topic = "a/{what}" }, []string{"heartbeat.topic: "}},
		{"one topic, two meanings", func(c *Config) { c.Heartbeat.Topic = c.Connection.Topic }, []string{"topic: "}},
		{"responses", func(c *Config) { c.Responses.Done = nil }, []string{"responses: "}},
		{"gauges", func(c *Config) { c.Heartbeat.Gauges = map[string]string{"Up Time": "x"} }, []string{"heartbeat.gauges: "}},
		{"connection", func(c *Config) { c.Connection.Online, c.Connection.Offline = nil, nil }, []string{"connection: "}},
		{"command without a cell", func(c *Config) { c.Command.Topic = "a/b" }, []string{"command.payload: "}},
		{"command that is no JSON", func(c *Config) { c.Command.Payload = `{"id":{id}}` }, []string{"command.payload: "}},
		{"confirm", func(c *Config) { c.Command.Confirm = "maybe" }, []string{"command.confirm: "}},
		{"confirm by nothing", func(c *Config) { c.Command.Confirm = Response; c.Responses = Responses{} }, []string{"command.confirm: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := custom()
			c.edit(&cfg)
			err := cfg.Validate()
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), err)
			for i, w := range c.want {
				require.True(t, strings.HasPrefix(lines[i], w), "%q begins no %q", w, lines[i])
			}
		})
	}
}
