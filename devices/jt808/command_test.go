package jt808

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// order gives a command and returns where its result will be.
func (y *yard) order(ctx context.Context, c telemetry.CommandTo) chan telemetry.Result {
	c.ID = "c1"
	if c.Device == "" {
		c.Device = "t000000000007"
	}
	done := make(chan telemetry.Result, 1)
	go func() { done <- y.driver.Command(ctx, c) }()
	return done
}

// reply is a terminal's 0x0001.
func (p *plug) reply(to received, result byte) {
	body := binary.BigEndian.AppendUint16(nil, to.h.serial)
	body = binary.BigEndian.AppendUint16(body, to.id)
	p.say(terminalAck, append(body, result))
}

func TestText(t *testing.T) {
	for _, is2019 := range []bool{false, true} {
		bubble(t, nil, func(t *testing.T, y *yard) {
			p := y.dial("7", is2019)
			p.login()
			done := y.order(t.Context(), telemetry.CommandTo{Action: "text", Args: map[string]string{"text": "三号车请回仓", "show": "urgent speak"}})
			r := p.hear()
			require.EqualValues(t, textMessage, r.id)
			require.Equal(t, is2019, r.h.is2019)
			require.Equal(t, byte(1|8), r.body[0])
			body := r.body[1:]
			require.Equal(t, "三号车请回仓", text(body))
			p.reply(received{id: r.id, h: header{serial: r.h.serial + 9}}, 0)
			p.reply(received{id: heartbeat, h: r.h}, 0)
			synctest.Wait()
			require.Empty(t, done, "another's acknowledgement")
			p.reply(r, 0)
			require.Equal(t, telemetry.Result{Command: "c1", Outcome: telemetry.Done, Detail: "acknowledged"}, <-done)
			require.EqualValues(t, 2, y.count("stray_replies"))
		})
	}
}

// A text is sent once, whatever is lost: spoken twice it isn't what was ordered.
func TestTextIsNeverRepeated(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		began := time.Now()
		done := y.order(t.Context(), telemetry.CommandTo{Action: "text", Args: map[string]string{"text": "x"}})
		p.hear()
		r := <-done
		require.Equal(t, telemetry.OutcomeUnknown, r.Outcome)
		require.Equal(t, "no_reply", r.Detail)
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Empty(t, p.got)
	})
}

// Parameters are sent again with the same serial, after times that grow as the standard says.
func TestParamsAreRepeated(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		began := time.Now()
		done := y.order(t.Context(), telemetry.CommandTo{Device: "terminals", Action: "set_params", Args: map[string]string{
			"terminal": "t000000000007", "interval_s": "10", "plate": "川A12345", "plate_colour": "2", "param_0031": "500",
		}})
		var first received
		for i, at := range []time.Duration{0, 5 * time.Second, 15 * time.Second, 45 * time.Second} {
			r := p.hear()
			require.Equal(t, at, time.Since(began))
			if i == 0 {
				first = r
			}
			require.Equal(t, first, r)
		}
		ps, ok := parseParams(first.body)
		require.True(t, ok)
		plate, _ := gbk("川A12345")
		require.Equal(t, []param{{0x29, []byte{0, 0, 0, 10}}, {0x31, []byte{1, 0xf4}}, {0x83, plate}, {0x84, []byte{2}}}, ps)
		p.reply(first, 1)
		require.Equal(t, telemetry.Result{Command: "c1", Outcome: telemetry.Refused, Detail: "failed"}, <-done)
	})
}

func TestQueries(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", true)
		p.login()
		y.take()
		done := y.order(t.Context(), telemetry.CommandTo{Action: "locate"})
		r := p.hear()
		require.EqualValues(t, queryLocation, r.id)
		p.reply(r, 0) // some acknowledge before they reply
		hold := y.hold()
		serial := p.say(locationReply, append(binary.BigEndian.AppendUint16(nil, r.h.serial), where(noon, 0, 3)...))
		synctest.Wait()
		require.Empty(t, done, "the position isn't durable yet")
		close(hold)
		require.Equal(t, "located", (<-done).Detail)
		require.Zero(t, p.acked(serial, locationReply))
		require.Len(t, y.take(), 1)

		done = y.order(t.Context(), telemetry.CommandTo{Action: "query_params"})
		r = p.hear()
		body := binary.BigEndian.AppendUint16(nil, r.h.serial)
		plate, _ := gbk("川A12345")
		body = append(body, appendParams(nil, []param{{1, []byte{0, 0, 0, 60}}, {0x13, []byte("10.0.0.1")}, {0x83, plate}, {0x84, []byte{2}}, {0x110, make([]byte, 8)}})...)
		require.Zero(t, p.acked(p.say(paramsReply, body), paramsReply))
		require.Equal(t, telemetry.Result{Command: "c1", Outcome: telemetry.Done, Detail: "read"}, <-done)
		rs := y.take()
		require.Len(t, rs, 1)
		require.JSONEq(t, `{"param_0001":60,"param_0083":"川A12345","param_0084":2,"param_0110":"0000000000000000"}`, string(rs[0].Body))
		require.EqualValues(t, resultBad, p.acked(p.say(paramsReply, []byte{0, 1, 9, 0}), paramsReply))
	})
}

func TestTrackAndReset(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		done := y.order(t.Context(), telemetry.CommandTo{Action: "track", Args: map[string]string{"interval_s": "5", "duration_s": "600"}})
		r := p.hear()
		require.Equal(t, []byte{0, 5, 0, 0, 2, 0x58}, r.body)
		p.reply(r, 3)
		require.Equal(t, "unsupported", (<-done).Detail)
		done = y.order(t.Context(), telemetry.CommandTo{Action: "reset"})
		r = p.hear()
		require.Equal(t, []byte{4}, r.body)
		require.NoError(t, p.Close())
		require.Equal(t, telemetry.Result{Command: "c1", Outcome: telemetry.OutcomeUnknown, Detail: "disconnected"}, <-done)
		require.Equal(t, "offline", (<-y.order(t.Context(), telemetry.CommandTo{Action: "reset"})).Detail)
	})
}

func TestRefusedCommands(t *testing.T) {
	long := make([]byte, maxBody)
	for i := range long {
		long[i] = 'x'
	}
	listed := func(c *Config) {
		c.Terminals = map[string]Terminal{"8": {ID: "v08-term"}}
	}
	bubble(t, listed, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		for _, c := range []struct {
			why string
			to  telemetry.CommandTo
		}{
			{"unknown_terminal", telemetry.CommandTo{Device: "gps", Action: "reset"}},
			{"unknown_terminal", telemetry.CommandTo{Device: "terminals", Action: "reset"}},
			{"unknown_terminal", telemetry.CommandTo{Device: "t000000000008", Action: "reset"}},
			{"offline", telemetry.CommandTo{Device: "v08-term", Action: "reset"}},
			{"unknown_action", telemetry.CommandTo{Action: "open_cell"}},
			{"bad_text", telemetry.CommandTo{Action: "text"}},
			{"bad_text", telemetry.CommandTo{Action: "text", Args: map[string]string{"text": "a\x00b"}}},
			{"not_gbk", telemetry.CommandTo{Action: "text", Args: map[string]string{"text": "🚚"}}},
			{"too_long", telemetry.CommandTo{Action: "text", Args: map[string]string{"text": string(long)}}},
			{"bad_show", telemetry.CommandTo{Action: "text", Args: map[string]string{"text": "x", "show": "shout"}}},
			{"no_params", telemetry.CommandTo{Action: "set_params"}},
			{"bad_param", telemetry.CommandTo{Action: "set_params", Args: map[string]string{"colour": "1"}}},
			{"bad_param", telemetry.CommandTo{Action: "set_params", Args: map[string]string{"interval_s": "soon"}}},
			{"bad_param", telemetry.CommandTo{Action: "set_params", Args: map[string]string{"plate_colour": "256"}}},
			{"bad_param", telemetry.CommandTo{Action: "set_params", Args: map[string]string{"param_0031": "70000"}}},
			{"bad_param", telemetry.CommandTo{Action: "set_params", Args: map[string]string{"param_xyz": "1"}}},
			{"bad_track", telemetry.CommandTo{Action: "track", Args: map[string]string{"interval_s": "70000"}}},
		} {
			r := <-y.order(t.Context(), c.to)
			require.Equal(t, telemetry.Refused, r.Outcome, c.why)
			require.Equal(t, c.why, r.Detail)
		}
		require.Empty(t, p.got)
		require.True(t, y.driver.Hosts("v08-term"))
		require.True(t, y.driver.Hosts("t000000000007"))
		require.False(t, y.driver.Hosts("t7"))
		require.False(t, y.driver.Hosts("terminals"))
		y.stop()
		<-y.done
		y.done <- nil
		require.Equal(t, "not_running", (<-y.order(t.Context(), telemetry.CommandTo{Action: "reset"})).Detail)
	})
}
