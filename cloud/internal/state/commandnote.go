package state

import (
	"context"
	"encoding/json"
	"fmt"

	"yizhan/cloud/internal/county"
)

// NoteCommand keeps how far a command came: when it was sent, or why it never was. What its gateway
// answered stays, whichever came first.
func (s *Store) NoteCommand(ctx context.Context, cmd county.Command) error {
	answered := int64(0)
	if cmd.Answered != nil {
		answered = ms(*cmd.Answered)
	}
	outcome, detail := string(cmd.Outcome), clean(cmd.Detail)
	cmd.Outcome, cmd.Detail, cmd.Answered, cmd.Door, cmd.Version = "", "", nil, nil, 0
	doc, err := json.Marshal(cmd)
	if err != nil {
		return fmt.Errorf("state: command: %w", err)
	}
	return s.update(ctx, "command", func(c conn) error {
		if _, err := c.exec(ctx, "update commands set doc = $1 where id = $2", clean(string(doc)), cmd.ID); err != nil || outcome == "" {
			return err
		}
		_, err := c.exec(ctx, "update commands set outcome = $1, detail = $2, answered_ms = $3 where id = $4 and outcome = ''", outcome, detail, answered, cmd.ID)
		return err
	})
}
