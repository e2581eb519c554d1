package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"yizhan/devices/telemetry"
)

// PutContainer keeps a bag or cage and the tag it bears.
func (s *Store) PutContainer(ctx context.Context, id, kind, tag string) error {
	name, err := tagName(tag)
	if err != nil {
		return err
	}
	if !telemetry.ValidID(id) || kind != "bag" && kind != "cage" {
		return fmt.Errorf("container: %.40q is no id, or %.20q none of bag, cage", id, kind)
	}
	return s.update(ctx, "container", func(c conn) error { return c.put(ctx, containersTable, [][]any{{id, kind, name}}) })
}

// Pack says that items (waybills or containers) are in a container from at on; they leave whatever
// they were in.
func (s *Store) Pack(ctx context.Context, container string, items []string, at time.Time) error {
	return s.repack(ctx, container, items, at, true)
}

// Unpack says that items are no longer in a container from at on.
func (s *Store) Unpack(ctx context.Context, container string, items []string, at time.Time) error {
	return s.repack(ctx, container, items, at, false)
}

func (s *Store) repack(ctx context.Context, container string, items []string, at time.Time, in bool) error {
	return s.update(ctx, "contents", func(c conn) error {
		w := s.newCommit(c, nil)
		for _, item := range items {
			if item == container || clean(item) != item {
				return errors.New("contents: a container can't hold itself")
			}
			q := "update contents set until_ms = $1 where item = $2 and until_ms = 0 and since_ms < $1"
			args := []any{ms(at), item}
			if !in {
				q, args = q+" and container = $3", append(args, container)
			}
			if _, err := c.exec(ctx, q, args...); err != nil {
				return err
			}
			if in {
				if err := c.put(ctx, contentsTable, [][]any{{container, item, ms(at), int64(0)}}); err != nil {
					return err
				}
			}
			w.parcels[item] = true
		}
		if err := w.markContents(ctx, items); err != nil {
			return err
		}
		if err := w.foldParcels(ctx); err != nil {
			return err
		}
		if err := w.countLoads(ctx); err != nil {
			return err
		}
		return tell(ctx, c, w.now, w.facts, false)
	})
}
