package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/state"
	"yizhan/devices/telemetry"
)

// perFrame is how many readings a frame has.
const perFrame = 500

// smallCounty is where the parcels go.
func smallCounty() *county.Registry {
	return &county.Registry{
		Sites: []county.Site{
			{ID: "wh", Kind: county.Warehouse, Lat: 30.5, Lon: 103.2, FenceM: 200}, {ID: "out-a", Kind: county.Outlet, Lat: 30.6, Lon: 103.3, FenceM: 150},
		},
		Vehicles:   []county.Vehicle{{ID: "v01", Kind: "postal_van", Gateway: "van-01"}},
		Boundaries: []county.Boundary{{ID: "dock-a", Site: "wh", Kind: county.Inbound}, {ID: "dock-b", Site: "wh", Kind: county.Outbound}},
		Gateways:   []county.Gateway{{ID: "wh-1", Site: "wh"}, {ID: "van-01", Vehicle: "v01"}, {ID: "out-a-1", Site: "out-a"}},
		Bindings: map[string]string{
			"wh-1/dock-a": "boundary/dock-a", "wh-1/dock-b": "boundary/dock-b", "wh-1/scan-a": "boundary/dock-a", "wh-1/scan-b": "boundary/dock-b",
			"van-01/rfid": "vehicle/v01", "van-01/gps": "vehicle/v01",
		},
	}
}

type bench struct {
	*state.Store
	url   string
	o     options
	start time.Time
	epoch frame.Epoch
	raw   [][]any // what raw COPY gets
}

func waybill(i int) string { return fmt.Sprintf("YZ%010d", i) }

// tag is that of a parcel, where it bears one.
func tag(i int) string {
	if i%10 >= 3 {
		return ""
	}
	return fmt.Sprintf("urn:epc:id:sgtin:0614141.812345.%d", i+1)
}

func (b *bench) events(ctx context.Context) error {
	half := b.o.parcels / 2
	if err := b.announce(ctx, b.o.parcels); err != nil {
		return err
	}
	for _, round := range []struct {
		name   string
		groups [][]county.Arrival
	}{{"live", b.live(0, half)}, {"backlog", b.backlog(half, b.o.parcels)}} {
		n, took, err := b.commit(ctx, round.groups)
		if err != nil {
			return err
		}
		fmt.Printf("%-8s %7d events in %2d transactions, %d at once: %.0f events/s\n", round.name, n, len(round.groups), b.o.workers, float64(n)/took.Seconds())
	}
	if err := b.check(ctx); err != nil {
		return err
	}
	return b.copyRaw(ctx)
}

func (b *bench) announce(ctx context.Context, n int) error {
	began := time.Now()
	for from := 0; from < n; from += 1000 {
		var ws []county.Waybill
		for i := from; i < min(n, from+1000); i++ {
			ws = append(ws, county.Waybill{Waybill: waybill(i), EPC: tag(i), Site: "out-a", Handling: "ambient", Size: "s", Consent: county.ConsentYes})
		}
		_, refused, err := b.PutWaybills(ctx, ws, b.start)
		if err != nil || len(refused) > 0 {
			return fmt.Errorf("announce: %d refused: %w", len(refused), err)
		}
	}
	fmt.Printf("announced %d waybills: %.0f/s\n", n, float64(n)/time.Since(began).Seconds())
	return nil
}

// steps are how many readings there are of a parcel.
const steps = 4

// reading is one of the readings of a parcel, and the gateway that tells it.
func (b *bench) reading(i, step int) (gateway string, r telemetry.Reading) {
	at := b.start.Add(time.Duration(step)*time.Hour + time.Duration(i%3_000_000)*time.Millisecond)
	seen := func(device string, p telemetry.Passage) telemetry.Reading {
		return telemetry.New(device, at, telemetry.NTP, telemetry.Tag{EPC: tag(i), Passage: p, Antenna: telemetry.Some(1), Reads: telemetry.Some(17), RSSIDBm: telemetry.Some(-58.5)})
	}
	scan := func(device string) telemetry.Reading {
		return telemetry.New(device, at, telemetry.NTP, telemetry.Scan{Symbology: "code128", Text: waybill(i)})
	}
	tagged := tag(i) != ""
	switch {
	case step == 0 && tagged:
		return "wh-1", seen("dock-a", telemetry.In)
	case step == 0:
		return "wh-1", scan("scan-a")
	case step == 1 && tagged:
		return "wh-1", seen("dock-b", telemetry.Out)
	case step == 1:
		return "wh-1", scan("scan-b")
	case step == 2 && tagged:
		return "van-01", seen("rfid", telemetry.Arrive)
	case step == 2:
		return "van-01", scan("handheld")
	}
	return "out-a-1", scan("handheld")
}

// live makes groups of one step of many parcels each.
func (b *bench) live(from, to int) (groups [][]county.Arrival) {
	for step := range steps {
		for lo := from; lo < to; lo += b.o.batch {
			groups = append(groups, b.group(lo, min(to, lo+b.o.batch), step, step+1))
		}
	}
	return groups
}

// backlog makes groups of all steps of fewer parcels.
func (b *bench) backlog(from, to int) (groups [][]county.Arrival) {
	for lo := from; lo < to; lo += b.o.batch / steps {
		groups = append(groups, b.group(lo, min(to, lo+b.o.batch/steps), 0, steps))
	}
	return groups
}

// group makes frames of some steps of some parcels.
func (b *bench) group(from, to, firstStep, endStep int) (group []county.Arrival) {
	enc, err := frame.NewEncoder(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for step := firstStep; step < endStep; step++ {
		for lo := from; lo < to; lo += perFrame {
			b.epoch++
			f := &frame.Frame{Epoch: b.epoch, Lane: telemetry.Custody}
			a := county.Arrival{Frame: f, Received: b.start.Add(6 * time.Hour)}
			for i := lo; i < min(to, lo+perFrame); i++ {
				gateway, r := b.reading(i, step)
				f.Gateway = gateway
				f.Records = append(f.Records, frame.Record{Seq: uint64(i - lo + 1), Type: frame.TypeReading, Quality: telemetry.Unknown, MonoNS: int64(i), Payload: r.AppendJSON(nil)})
				a.Sights = append(a.Sights, county.Sight{Reading: r})
				b.raw = append(b.raw, []any{county.IdentityOf(gateway, &r, b.epoch, telemetry.Custody, 1).String(), gateway, gateway + "/" + r.Device, string(r.Kind), waybill(i), r.At.UnixMilli(), string(r.Body)})
			}
			if a.Raw, err = enc.Encode(f); err != nil {
				panic("BUG: " + err.Error())
			}
			group = append(group, a)
		}
	}
	return group
}

// commit commits groups, several at once.
func (b *bench) commit(ctx context.Context, groups [][]county.Arrival) (n int, took time.Duration, err error) {
	for _, g := range groups {
		for i := range g {
			n += len(g[i].Frame.Records)
		}
	}
	work, run := errgroup.WithContext(ctx)
	next := make(chan []county.Arrival)
	for range b.o.workers {
		work.Go(func() error {
			for g := range next {
				if _, _, err := b.Commit(run, g); err != nil {
					return err
				}
			}
			return nil
		})
	}
	began := time.Now()
	work.Go(func() error {
		defer close(next)
		for _, g := range groups {
			select {
			case next <- g:
			case <-run.Done():
				return run.Err()
			}
		}
		return nil
	})
	err = work.Wait()
	return n, time.Since(began), err
}

// check compares what stands at the end with what was sent.
func (b *bench) check(ctx context.Context) error {
	for _, i := range []int{0, 5, b.o.parcels/2 + 1, b.o.parcels - 1} {
		t, ok, err := b.Timeline(ctx, waybill(i))
		if err != nil {
			return err
		}
		if !ok || t.Stage != county.AtOutlet || len(t.Evidence) != steps+1 {
			return fmt.Errorf("%s: stage %s with %d steps", waybill(i), t.Stage, len(t.Evidence))
		}
	}
	// A step that was told before an earlier one came is taken back and told again: two facts more.
	told, err := b.FactsEnd(ctx)
	if more := told - int64(b.o.parcels*(steps+1)); err == nil && (more < 0 || more%2 != 0) {
		err = fmt.Errorf("%d facts for %d parcels", told, b.o.parcels)
	}
	return err
}

// copyRaw measures COPY of the same rows into a table without an index.
func (b *bench) copyRaw(ctx context.Context) error {
	db, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	if _, err := db.Exec(ctx, "create table raw (id text, gateway text, device text, kind text, waybill text, at_ms bigint, body text)"); err != nil {
		return err
	}
	began := time.Now()
	for chunk := range slices.Chunk(b.raw, b.o.batch) {
		if _, err := db.CopyFrom(ctx, pgx.Identifier{"raw"}, []string{"id", "gateway", "device", "kind", "waybill", "at_ms", "body"}, pgx.CopyFromRows(chunk)); err != nil {
			return err
		}
	}
	fmt.Printf("raw COPY %7d rows: %.0f rows/s\n", len(b.raw), float64(len(b.raw))/time.Since(began).Seconds())
	return nil
}
