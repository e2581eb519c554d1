package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

const tagA = "urn:epc:id:sgtin:0614141.812345.6789"

func (w *world) waybill(id, epc string) {
	_, refused, err := w.PutWaybills(w.t.Context(), []county.Waybill{{Waybill: id, EPC: epc, Site: "out-a", Locker: "lk-a"}}, t0)
	require.NoError(w.t, err)
	require.Empty(w.t, refused)
}

func (w *world) timeline(id string) county.Timeline {
	tl, ok, err := w.Timeline(w.t.Context(), id)
	require.NoError(w.t, err)
	require.True(w.t, ok)
	return tl
}

// life is a parcel's life from the warehouse to its receiver, as the devices tell it.
func life() map[string][]telemetry.Reading {
	return map[string][]telemetry.Reading{
		"wh-1": {tag("dock-a", 10, tagA, telemetry.In), tag("dock-b", 100, tagA, telemetry.Arrive)},
		"van-01": {
			position("gps", 90, 30.5, 103.2), tag("rfid", 110, tagA, telemetry.Arrive), position("gps", 150, 30.5, 103.2),
			position("gps", 200, 30.51, 103.2), position("gps", 260, 30.55, 103.25), position("gps", 300, 30.6, 103.3), position("gps", 330, 30.6, 103.3),
			tag("rfid", 320, tagA, telemetry.Depart),
		},
		"lk-a-1": {
			scan(400, "yz-000001"), cellEvent(405, 3, telemetry.CellOpened), cellEvent(420, 3, telemetry.CellDeposited),
			cellEvent(900, 3, telemetry.CellOpened), cellEvent(910, 3, telemetry.CellEmptied),
		},
	}
}

func TestLifeOfAParcel(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		stages := []county.Stage{}
		for _, g := range []string{"wh-1", "van-01", "lk-a-1"} {
			for _, r := range life()[g] {
				for _, c := range w.tell(g, r) {
					if c.Kind == county.ParcelChanged {
						stages = append(stages, c.Object.(county.Parcel).Stage)
					}
				}
			}
		}
		require.Equal(t, []county.Stage{county.AtWarehouse, county.Loaded, county.Loaded, county.InTransit, county.AtOutlet, county.InLocker, county.PickedUp}, stages)
		tl := w.timeline("YZ-000001")
		require.Equal(t, county.PickedUp, tl.Stage)
		require.Equal(t, at(910), tl.Since)
		var steps []string
		for _, e := range tl.Evidence {
			steps = append(steps, e.Step)
		}
		require.Equal(t, []string{"created", "passed_in", "arrived", "aboard", "left_site", "reached_site", "off", "scanned", "deposited", "collected"}, steps)
	})
}

func TestParcelAboardIsCountedWithItsVehicle(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		w.tell("van-01", position("gps", 90, 30.5, 103.2))
		before, _, err := w.Vehicle(t.Context(), "v01")
		require.NoError(t, err)
		changes := w.tell("van-01", tag("rfid", 110, tagA, telemetry.Arrive))
		v, ok, err := w.Vehicle(t.Context(), "v01")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 1, v.Aboard)
		require.Equal(t, []string{"YZ-000001"}, v.Waybills)
		require.Greater(t, v.Version, before.Version)
		require.Contains(t, kinds(changes), county.VehicleChanged)
		all, err := w.Vehicles(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, 1, all[0].Aboard)
	})
}

func kinds(cs []county.Change) (out []county.ChangeKind) {
	for _, c := range cs {
		out = append(out, c.Kind)
	}
	return out
}

func TestCoveredRecordsAreNotAppliedTwice(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		a := w.arrival(s, entry(position("gps", 1, 30.5, 103.2)), entry(position("gps", 2, 30.5, 103.2)))
		b := w.arrival(s, entry(position("gps", 3, 30.5, 103.2)))
		w.commit(a)
		w.commit(a)
		f := *a.Frame // cut anew: the end of a and b
		f.Prev = f.Records[0].Hash(f.Epoch, f.Lane)
		f.Records = append(append([]frame.Record(nil), f.Records[1:]...), b.Frame.Records...)
		v, _, err := w.Commit(t.Context(), []county.Arrival{w.seal(&f), b, a})
		require.NoError(t, err)
		require.Equal(t, []int{1, 0, 0}, []int{v[0].Fresh, v[1].Fresh, v[2].Fresh})
		for i := range v {
			require.False(t, v[i].Fork)
			require.Equal(t, []frame.Range{{From: 1, To: 3}}, v[i].Ranges)
		}
		n, err := w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, n["records"])
		require.EqualValues(t, 3, n["readings"])
	})
}

func TestForkIsQuarantinedAndAlarmed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		twin := *s
		a := w.arrival(s, entry(position("gps", 1, 30.5, 103.2)), entry(position("gps", 2, 30.5, 103.2)))
		w.commit(a)
		other := w.arrival(&twin, entry(position("gps", 1, 30.5, 103.2)), entry(position("gps", 2, 31, 103.2)), entry(position("gps", 3, 31, 103.2)))
		next := w.arrival(&twin, entry(position("gps", 4, 31, 103.2)))
		v, _, err := w.Commit(t.Context(), []county.Arrival{other})
		require.NoError(t, err)
		require.True(t, v[0].Fork)
		require.Equal(t, []frame.Range{{From: 1, To: 2}}, v[0].Ranges)
		n, err := w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n["alarms"])
		require.EqualValues(t, 1, n["quarantine"])
		require.EqualValues(t, 2, n["records"])

		// and where only the chain tells: the twin's next record continues another record 3
		w.commit(w.arrival(s, entry(position("gps", 3, 30.5, 103.2))))
		v, _, err = w.Commit(t.Context(), []county.Arrival{next})
		require.NoError(t, err)
		require.True(t, v[0].Fork)
	})
}

func TestForkWithinOneGroup(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		twin := *s
		a := w.arrival(s, entry(position("gps", 1, 30.5, 103.2)))
		b := w.arrival(&twin, entry(position("gps", 1, 31, 103.2)))
		v, _, err := w.Commit(t.Context(), []county.Arrival{a, b})
		require.NoError(t, err)
		require.Equal(t, []bool{false, true}, []bool{v[0].Fork, v[1].Fork})
	})
}

func TestBadRecordDoesNotHoldUpTheOthers(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		v, _, err := w.Commit(t.Context(), []county.Arrival{w.arrival(s,
			frame.Record{Type: frame.TypeReading, Quality: telemetry.Unknown, Payload: []byte(`{"device":"gps","kind":"position","body":{"lat":91,"lon":1}}`)},
			entry(position("gps", 1, 30.5, 103.2)),
			frame.Record{Type: frame.TypeOpening, Quality: telemetry.Unknown, Payload: []byte(`{"ends":[]}`)},
			frame.Record{Type: frame.TypeTombstone, Quality: telemetry.Unknown, Payload: []byte(`{"epoch":"0000000000000009","count":3,"reason":"thinned"}`)},
			frame.Record{Type: frame.TypeQuarantine, Quality: telemetry.Unknown, Payload: []byte(`{"source":"gps","reason":"body.lat","raw":"e30="}`)},
			frame.Record{Type: frame.TypeTombstone, Quality: telemetry.Unknown, Payload: []byte("no json \x00")},
		)})
		require.NoError(t, err)
		require.Equal(t, 6, v[0].Fresh)
		require.Equal(t, 1, v[0].Readings)
		n, err := w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, n["quarantine"])
	})
}

func TestLatestGoesByMeasuredTime(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		lat := func() float64 {
			v, _, err := w.Vehicle(t.Context(), "v01")
			require.NoError(t, err)
			return v.Position.Value.Lat
		}
		w.tell("van-01", position("gps", 100, 30.1, 103.2))
		w.tell("van-01", position("gps", 50, 30.2, 103.2))
		require.Equal(t, 30.1, lat())
		future := position("gps", 0, 30.3, 103.2)
		future.At = w.now.Add(county.Ahead + time.Second)
		w.tell("van-01", future)
		require.Equal(t, 30.1, lat(), "a time too far ahead never becomes state")
		undated := position("gps", 0, 30.4, 103.2)
		undated.At, undated.TQ = time.Time{}, telemetry.Unknown
		w.now = w.now.Add(time.Minute)
		w.commit(w.arrival(w.lane("van-02", telemetry.Track), entry(position("gps", 100, 30.1, 103.2)))) // no anchor for another boot
		r := entry(undated)
		r.Boot = frame.Boot{1}
		w.commit(w.arrival(w.lane("van-01", telemetry.Track), r))
		require.Equal(t, 30.1, lat(), "what can't be dated replaces nothing dated")
		d, ok, err := w.Device(t.Context(), "van-01/gps")
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, d.Registered)
		require.Equal(t, at(100), d.Last["position"].At)
	})
}

func TestUndatedIsDatedFromTheHello(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, _, err := w.Hello(t.Context(), "van-01", &frame.Hello{Boot: frame.Boot{9}, MonoNS: int64(time.Hour)}, w.now)
		require.NoError(t, err)
		r := entry(position("gps", 0, 30.4, 103.2))
		undated := position("gps", 0, 30.4, 103.2)
		undated.At, undated.TQ = time.Time{}, telemetry.Unknown
		r.Payload, r.Boot, r.MonoNS = undated.AppendJSON(nil), frame.Boot{9}, int64(50*time.Minute)
		w.commit(w.arrival(w.lane("van-01", telemetry.Track), r))
		v, _, err := w.Vehicle(t.Context(), "v01")
		require.NoError(t, err)
		require.Equal(t, w.now.Add(-10*time.Minute), v.Position.At)
		require.Equal(t, telemetry.Retro, v.Position.TQ)
	})
}

func TestUnregisteredDeviceIsKeptAndFlagged(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.tell("stranger", position("gps", 1, 30.5, 103.2))
		d, ok, err := w.Device(t.Context(), "stranger/gps")
		require.NoError(t, err)
		require.True(t, ok)
		require.False(t, d.Registered)
		require.NotNil(t, d.Last["position"])
		w.tell("van-01", telemetry.New("gateway", at(1), telemetry.NTP, telemetry.Health{{Name: "rss_bytes", Value: 1}}))
		d, _, err = w.Device(t.Context(), "van-01/gateway")
		require.NoError(t, err)
		require.True(t, d.Registered, "a known board's report on itself needs no binding")
		g, ok, err := w.Gateway(t.Context(), "stranger")
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 1, g.Committed)
	})
}

func TestColdBoxKnowsSinceWhenItIsOut(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.tell("van-01", celsius(1, 5), celsius(2, 9), celsius(3, 10))
		b, ok, err := w.ColdBox(t.Context(), "cb-v01")
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, b.Out)
		require.Equal(t, at(2), *b.OutFrom)
		require.Equal(t, 10.0, *b.Climate.Value.TemperatureC)
		w.tell("van-01", celsius(4, 7))
		b, _, err = w.ColdBox(t.Context(), "cb-v01")
		require.NoError(t, err)
		require.False(t, b.Out)
		require.Nil(t, b.OutFrom)
	})
}

func TestHelloIsAnsweredWithWhatIsCommitted(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		w.commit(w.arrival(s, entry(position("gps", 1, 30.5, 103.2)), entry(position("gps", 2, 30.5, 103.2))))
		hello := &frame.Hello{Boot: frame.Boot{9}, MonoNS: 77, Version: "1.2", Lanes: []frame.LaneState{
			{Epoch: s.epoch, Lane: telemetry.Track, First: 1, Next: 6, Acked: 2}, {Epoch: 99, Lane: telemetry.Command, First: 1, Next: 2},
		}}
		acks, changes, err := w.Hello(t.Context(), "van-01", hello, w.now)
		require.NoError(t, err)
		require.Len(t, changes, 1)
		require.Equal(t, []frame.Range{{From: 1, To: 2}}, acks[0].Ranges)
		require.Empty(t, acks[1].Ranges)
		g, _, err := w.Gateway(t.Context(), "van-01")
		require.NoError(t, err)
		require.EqualValues(t, 4, g.Backlog)
		require.Equal(t, "1.2", g.Version)
		w.commit(w.arrival(s, entry(position("gps", 3, 30.5, 103.2))))
		g, _, err = w.Gateway(t.Context(), "van-01")
		require.NoError(t, err)
		require.EqualValues(t, 3, g.Backlog)
		require.EqualValues(t, 1, g.Epochs)
		boot, mono, received, ok, err := w.GatewayClock(t.Context(), "van-01")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, frame.Boot{9}, boot)
		require.EqualValues(t, 77, mono)
		require.Equal(t, w.now, received)
	})
}
