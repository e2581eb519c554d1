package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func TestHowFarACommandCameIsNoted(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		put := func(id string) county.Command {
			cmd := county.Command{ID: id, Issuer: "dispatcher", Device: "lk-a-1/board", Action: "open_cell", Args: map[string]string{"cell": "3"}, Created: t0}
			require.NoError(t, w.PutCommand(t.Context(), cmd))
			return cmd
		}
		get := func(id string) county.Command {
			cmd, ok, err := w.Command(t.Context(), id)
			require.NoError(t, err)
			require.True(t, ok)
			return cmd
		}
		later := t0.Add(time.Second)

		never := put("c-never")
		never.Outcome, never.Detail, never.Answered = telemetry.Refused, "unreachable", &later
		require.NoError(t, w.NoteCommand(t.Context(), never))
		require.Equal(t, never, get("c-never"))

		sent := put("c-sent")
		sent.Sent = &later
		require.NoError(t, w.NoteCommand(t.Context(), sent))
		require.Equal(t, sent, get("c-sent"))
		w.tell("lk-a-1", telemetry.New("board", at(2), telemetry.NTP, telemetry.Result{Command: "c-sent", Outcome: telemetry.Done, Detail: "opened"}))
		require.NoError(t, w.NoteCommand(t.Context(), sent), "noted after the answer came")
		got := get("c-sent")
		require.Equal(t, telemetry.Done, got.Outcome)
		require.Equal(t, &later, got.Sent)
		sent.Outcome, sent.Detail = telemetry.Refused, "unreachable"
		require.NoError(t, w.NoteCommand(t.Context(), sent))
		require.Equal(t, telemetry.Done, get("c-sent").Outcome, "what the gateway answered stays")
	})
}
