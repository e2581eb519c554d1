package ingest

import (
	"context"
	"errors"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// work is the shell of one worker: it gathers a group and settles it.
func (in *Ingest) work(ctx context.Context, queue <-chan item) error {
	for {
		group, size, err := in.gather(ctx, queue)
		if err == nil {
			err = in.settle(ctx, group)
		}
		in.room.Release(size)
		if err != nil {
			return err
		}
	}
}

// gather waits for one frame and takes what comes within the linger, within the bounds.
func (in *Ingest) gather(ctx context.Context, queue <-chan item) (group []item, size int64, err error) {
	take := func(it item) {
		group = append(group, it)
		size += it.size
	}
	select {
	case it := <-queue:
		take(it)
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	linger := time.NewTimer(in.cfg.Linger)
	defer linger.Stop()
	for len(group) < in.cfg.MaxFrames && size < int64(in.cfg.MaxBytes) {
		select {
		case it := <-queue:
			take(it)
		case <-linger.C:
			return group, size, nil
		case <-ctx.Done():
			return nil, size, ctx.Err()
		}
	}
	return group, size, nil
}

// Step settles what waits in the queues, one group each, and returns how many frames that were. It doesn't wait
// for more: a simulation calls it in place of Run. Its error is of the store's being away for longer than Config.Pause allows.
func (in *Ingest) Step(ctx context.Context) (frames int, err error) {
	for _, queue := range in.queues {
		var group []item
		size := int64(0)
		for len(queue) > 0 && len(group) < in.cfg.MaxFrames && size < int64(in.cfg.MaxBytes) {
			it := <-queue
			group = append(group, it)
			size += it.size
		}
		if len(group) == 0 {
			continue
		}
		err := in.settle(ctx, group)
		in.room.Release(size)
		if err != nil {
			return frames, err
		}
		frames += len(group)
	}
	return frames, nil
}

// settle takes a group to the ledger and tells the gateways.
func (in *Ingest) settle(ctx context.Context, group []item) error {
	var arrivals []county.Arrival
	var refused []county.Refusal
	for i := range group {
		if r := group[i].refusal; r != nil {
			refused = append(refused, *r)
			in.cfg.Log.Warn("frame refused", "gateway", r.Gateway, "err", r.Reason, "bytes", len(r.Raw))
		} else {
			arrivals = append(arrivals, group[i].arrival)
		}
	}
	in.count.add("groups", 1)
	if len(refused) > 0 {
		if err := in.retry(ctx, func() error { return in.cfg.Ledger.Quarantine(ctx, refused) }, nil); err != nil {
			return err
		}
	}
	if len(arrivals) == 0 {
		return nil
	}
	return in.commit(ctx, arrivals)
}

// commit commits a group, or finds by halves what can't be committed and keeps that apart.
func (in *Ingest) commit(ctx context.Context, group []county.Arrival) error {
	var verdicts []county.Verdict
	var changes []county.Change
	err := in.retry(ctx, func() error {
		var err error
		verdicts, changes, err = in.cfg.Ledger.Commit(ctx, group)
		return err
	}, func() { in.hold(group) })
	switch {
	case err == nil:
		in.told(group, verdicts, changes)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case len(group) > 1:
		half := len(group) / 2
		if err := in.commit(ctx, group[:half]); err != nil {
			return err
		}
		return in.commit(ctx, group[half:])
	}
	in.count.add("poison", 1)
	f := group[0].Frame
	in.cfg.Log.Error("frame can't be committed", "gateway", f.Gateway, "epoch", f.Epoch.String(), "lane", f.Lane.String(), "seq", f.First(), "err", err)
	reason := err.Error()
	err = in.retry(ctx, func() error {
		v, err := in.cfg.Ledger.Poison(ctx, group[0], reason)
		verdicts = []county.Verdict{v}
		return err
	}, func() { in.hold(group) })
	if err != nil {
		return err // it can be kept nowhere: the process ends, and nothing was acknowledged
	}
	in.told(group, verdicts, nil)
	return nil
}

// told is what follows a commit: history, acks, changes.
func (in *Ingest) told(group []county.Arrival, verdicts []county.Verdict, changes []county.Change) {
	type lane struct {
		gateway string
		epoch   frame.Epoch
		lane    telemetry.Lane
	}
	acks := map[lane][]frame.Range{}
	var order []lane
	var archived []county.Archived
	for i := range verdicts {
		v := &verdicts[i]
		if a := &group[i]; v.No != 0 {
			archived = append(archived, county.Archived{No: v.No, Received: a.Received.Truncate(time.Millisecond), Committed: v.Committed, Raw: a.Raw, Arrival: a})
		}
		in.count.add("records", uint64(v.Fresh))
		in.count.add("readings", uint64(v.Readings))
		if v.Fork {
			in.count.add("forks", 1)
			in.cfg.Log.Error("fork", "gateway", v.Gateway, "epoch", v.Epoch.String(), "lane", v.Lane.String())
		} else if v.Fresh == 0 {
			in.count.add("covered", 1)
		}
		k := lane{v.Gateway, v.Epoch, v.Lane}
		if _, again := acks[k]; !again {
			order = append(order, k)
		}
		acks[k] = v.Ranges
	}
	if len(archived) > 0 {
		in.cfg.Hand(archived)
	}
	for _, k := range order {
		in.ack(k.gateway, frame.Ack{Epoch: k.epoch, Lane: k.lane, Ranges: acks[k], Credit: in.credit(k.gateway)})
	}
	in.cfg.Publish(changes)
}

// hold tells the gateways of a group to send no backlog while the store is away.
func (in *Ingest) hold(group []county.Arrival) {
	held := map[string]bool{}
	for i := range group {
		f := group[i].Frame
		if !held[f.Gateway] {
			held[f.Gateway] = true
			in.ack(f.Gateway, frame.Ack{Epoch: f.Epoch, Lane: f.Lane})
		}
	}
}

// resume gives every gateway that is connected its credit again: held ones, and those whose credit ended while
// nothing was acknowledged. The ack is of no epoch, for of committed ranges it says nothing.
func (in *Ingest) resume() {
	online := in.cfg.Online()
	now := in.cfg.Now()
	for _, g := range online {
		in.active.seen(g, now) // all of them, before shares are made
	}
	for _, g := range online {
		in.ack(g, frame.Ack{Lane: telemetry.Track, Credit: in.credit(g)})
	}
}

// retry runs f until it succeeds, fails otherwise than by the store being away, or ctx ends. The
// first failure calls away.
func (in *Ingest) retry(ctx context.Context, f func() error, away func()) error {
	wait := 50 * time.Millisecond
	for try := 0; ; try++ {
		err := f()
		if err == nil || !errors.Is(err, county.ErrAway) {
			if in.away.CompareAndSwap(true, false) {
				in.cfg.Log.Info("state is back")
				in.resume()
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		in.away.Store(true)
		in.count.add("retries", 1)
		if try == 0 {
			in.cfg.Log.Warn("state is away", "err", err)
			if away != nil {
				away()
			}
		}
		if err := in.cfg.Pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
