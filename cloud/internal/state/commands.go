package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// ErrExists says that an id is taken.
var ErrExists = county.ErrTaken

// result is the outcome of a command as its gateway told it.
type result struct {
	telemetry.Result
	device string
	n      string // the reading's own id: cmd-ID, or dr-ID of a delivery report
	at     time.Time
}

// answerCommands writes the first outcome that comes back for each command. A result of a gateway other
// than the one that was asked changes nothing.
func (c *commit) answerCommands(ctx context.Context) error {
	slices.SortStableFunc(c.results, func(a, b result) int { return a.at.Compare(b.at) })
	for _, r := range c.results {
		cmd, ok, err := readCommand(ctx, c.c, clean(r.Command))
		if err != nil {
			return err
		}
		if !ok || boardOf(cmd.Device) != boardOf(r.device) {
			continue
		}
		if strings.HasPrefix(r.n, "dr-") { // what became of a message later; delivered is the truth where nothing was known
			report := county.NoticeReport{Ref: cmd.ID, Delivered: r.Outcome == telemetry.Done, Detail: r.Detail, At: r.at}
			if err := putReport(ctx, c.c, report, c.now); err != nil {
				return err
			}
		}
		if cmd.Outcome != "" {
			continue
		}
		_, err = c.c.exec(ctx, "update commands set outcome = $1, detail = $2, answered_ms = $3 where id = $4 and outcome = ''",
			string(r.Outcome), clean(r.Detail), ms(r.at), cmd.ID)
		if err != nil {
			return err
		}
		c.orders[cmd.ID] = true
	}
	return nil
}

// boardOf is the gateway of gateway/device.
func boardOf(device string) string { b, _ := cutThing(device); return b }

// PutCommand keeps a command before it is sent. Its error wraps ErrExists when the id is taken.
func (s *Store) PutCommand(ctx context.Context, cmd county.Command) error {
	doc, err := json.Marshal(cmd)
	if err != nil {
		return fmt.Errorf("state: command: %w", err)
	}
	return s.update(ctx, "command", func(c conn) error {
		n, err := c.exec(ctx, "insert into commands (id, created_ms, doc, outcome, detail, answered_ms, device) values ($1, $2, $3, '', '', 0, $4) on conflict (id) do nothing",
			cmd.ID, ms(cmd.Created), clean(string(doc)), clean(cmd.Device))
		if err == nil && n == 0 {
			return fmt.Errorf("command %q %w", cmd.ID, ErrExists)
		}
		return err
	})
}

func scanCommand(scan func(...any) error) (cmd county.Command, err error) {
	var doc, outcome, detail string
	var answered, version int64
	if err := scan(&doc, &outcome, &detail, &answered, &version); err != nil {
		return cmd, err
	}
	if err := json.Unmarshal([]byte(doc), &cmd); err != nil {
		return cmd, fmt.Errorf("command: %w", err)
	}
	cmd.Version = version
	if outcome != "" {
		t := moment(answered)
		cmd.Outcome, cmd.Detail, cmd.Answered = telemetry.Outcome(outcome), detail, &t
	}
	return cmd, nil
}

// readCommands reads commands with what doors did for them; rest follows "from commands".
func readCommands(ctx context.Context, c conn, rest string, args ...any) (all []county.Command, err error) {
	all = []county.Command{}
	err = c.each(ctx, func(scan func(...any) error) error {
		cmd, err := scanCommand(scan)
		all = append(all, cmd)
		return err
	}, "select doc, outcome, detail, answered_ms, version from commands "+rest, args...)
	if err != nil {
		return nil, err
	}
	return all, addDoors(ctx, c, all)
}

func readCommand(ctx context.Context, c conn, id string) (cmd county.Command, ok bool, err error) {
	all, err := readCommands(ctx, c, "where id = $1", id)
	if err != nil || len(all) == 0 {
		return cmd, false, err
	}
	return all[0], true, nil
}

// Command returns a command with its outcome, and what its door did.
func (s *Store) Command(ctx context.Context, id string) (county.Command, bool, error) {
	cmd, ok, err := readCommand(ctx, s.db.reader(), id)
	return cmd, ok, classify(err)
}

// Commands returns the newest commands, of one device or of all where device is empty.
func (s *Store) Commands(ctx context.Context, device string, limit int) ([]county.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	where, args := "order by created_ms desc, id desc limit $1", []any{limit}
	if device != "" {
		where, args = "where device = $2 "+where, append(args, clean(device))
	}
	all, err := readCommands(ctx, s.db.reader(), where, args...)
	return all, classify(err)
}
