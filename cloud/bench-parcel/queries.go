package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// fill makes n parcels of ten events each, by the server alone; their ids begin with YQ.
const fill = `
insert into parcels (waybill, epc, site, locker, handling, created_ms, stage, since_ms, place, cell, inferred, version, changed_ms, direction, size, consent, hold, order_no, recipient, phone_hash, told, wrong)
select 'YQ' || lpad(i::text, 10, '0'), '', 'out-a', '', 'ambient', $2::bigint, 'completed', $2::bigint + 400000, '', 0, 0, 11, $2::bigint + i, 'inbound', 's', 'yes', 0, '', '', md5((i / 3)::text), '*', ''
from generate_series(1, $1::bigint) i`

const fillNames = `
insert into names (kind, name, waybill)
select 'waybill_end', reverse(waybill), waybill from parcels where waybill like 'YQ%' union all select 'phone', phone_hash, waybill from parcels where waybill like 'YQ%'`

const fillEvidence = `
insert into evidence (id, subject, kind, step, thing, device, at_ms, tq, gateway, epoch, lane, seq, body)
select md5(i::text || '/' || k), 'scan/YQ' || lpad(i::text, 10, '0'), 'scan', '', case when k < 5 then 'boundary/dock-a' else '' end, case when k < 5 then 'wh-1/scan-a' else 'out-a-1/handheld' end,
	$1::bigint + k * 3600000 + i, 'ntp', case when k < 5 then 'wh-1' else 'out-a-1' end, '0000000000000001', 1, i * 10 + k, '{"symbology":"code128","text":"YQ' || lpad(i::text, 10, '0') || '"}'
from generate_series($2::bigint, $3::bigint) i, generate_series(0, 9) k`

func (b *bench) queries(ctx context.Context) error {
	db, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	began := time.Now()
	n := b.o.query
	past := b.start.AddDate(0, -3, 0).UnixMilli()
	if _, err := db.Exec(ctx, fill, int64(n), past); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, fillNames); err != nil {
		return err
	}
	for lo := 1; lo <= n; lo += 100_000 {
		if _, err := db.Exec(ctx, fillEvidence, past, int64(lo), int64(min(n, lo+99_999))); err != nil {
			return err
		}
	}
	if _, err := db.Exec(ctx, "vacuum analyze parcels, names, evidence"); err != nil {
		return err
	}
	fmt.Printf("filled with %d parcels and %d events in %v\n", n, 10*n, time.Since(began).Round(time.Second))
	rnd := rand.New(rand.NewPCG(1, 2))
	id := func() string { return fmt.Sprintf("YQ%010d", 1+rnd.IntN(n)) }
	for _, q := range []struct {
		name string
		ask  func() (int, error)
	}{
		{"a parcel with its timeline", func() (int, error) {
			t, ok, err := b.Timeline(ctx, id())
			if err == nil && !ok {
				err = fmt.Errorf("a parcel is not there")
			}
			return len(t.Evidence) - 10, err
		}},
		{"parcels by the end of a waybill", func() (int, error) {
			items, _, err := b.Parcels(ctx, id()[6:], "", 50)
			return len(items), err
		}},
		{"the newest 50", func() (int, error) {
			items, _, err := b.Parcels(ctx, "", "", 50)
			return len(items), err
		}},
	} {
		if err := b.repeat(ctx, q.name, q.ask); err != nil {
			return err
		}
	}
	return nil
}

// repeat asks 2,000 times, and prints how long that took and what it cost.
func (b *bench) repeat(ctx context.Context, name string, ask func() (int, error)) error {
	const times = 2000
	all := make([]time.Duration, 0, times)
	use, err := b.meter.during(ctx, func() error {
		for range times {
			began := time.Now()
			n, err := ask()
			if err != nil {
				return err
			}
			if n < 1 {
				return fmt.Errorf("%s: found nothing", name)
			}
			all = append(all, time.Since(began))
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(all)
	at := func(share int) time.Duration { return all[times*share/100].Round(10 * time.Microsecond) }
	fmt.Printf("%-32s p50 %v p95 %v p99 %v; each %v of this process, %v of the server\n", name, at(50), at(95), at(99), use.client/times, use.server/times)
	return nil
}
