package broker

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// startLocker runs an Edge whose user lk1 speaks of itself on box/.
func startLocker(t *testing.T, log Log, translate func(string, []byte) ([]telemetry.Reading, []telemetry.Rejected)) (*Edge, chan bool) {
	present := make(chan bool, 16)
	e, err := NewEdge(EdgeConfig{Listen: []string{"127.0.0.1:0"}, Users: testUsers(t), Log: log, Dialects: map[string]Dialect{"lk1": {
		Publish: []string{"box/a/door/+", "box/a/state"}, Subscribe: []string{"box/a/cmd"},
		Translate: translate, Present: func(on bool) { present <- on },
	}}})
	require.NoError(t, err)
	run(t, e.Run)
	return e, present
}

// asEvent takes the payload as a cell that opened.
func asEvent(name string, payload []byte) ([]telemetry.Reading, []telemetry.Rejected) {
	if string(payload) == "panic" {
		panic("as asked")
	}
	var v struct {
		N    string
		Cell int
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return nil, []telemetry.Rejected{{Raw: payload, Err: errors.New("no event")}}
	}
	r := telemetry.New("board", time.Time{}, telemetry.Unknown, telemetry.Locker{Cell: telemetry.Some(v.Cell), Event: telemetry.CellOpened})
	r.N = v.N
	return []telemetry.Reading{r}, nil
}

func TestADialectIsAcknowledgedAfterTheCommit(t *testing.T) {
	log := &memLog{}
	e, present := startLocker(t, log, asEvent)
	r := login(t, e, "lk1")
	require.True(t, <-present)
	r.publish(1, 1, "box/a/door/7", `{"n":"1","cell":7}`)
	r.publish(2, 1, "box/a/state", `{"n":"1","cell":7}`) // told twice
	r.publish(3, 1, "box/a/state", `{"n":"2","cell":0}`) // invalid
	r.publish(4, 1, "box/a/state", `what`)
	r.publish(5, 1, "box/a/state", `panic`)
	r.publish(6, 1, "dev/lk1/scan", scan(1)) // its own words go on
	log.wait(t, 5)
	r.quiet()
	log.commit(nil)
	r.acked(1, 2, 3, 4, 5, 6)
	es := log.entries()
	require.Len(t, es, 5)
	require.JSONEq(t, `{"device":"board","kind":"locker","tq":"unknown","n":"1","body":{"cell":7,"event":"opened"}}`, string(es[0].Payload))
	for i, reason := range []string{"body.cell", "no event", "can't be translated"} {
		require.Equal(t, frame.TypeQuarantine, es[i+1].Type)
		var q frame.Quarantine
		require.NoError(t, json.Unmarshal(es[i+1].Payload, &q))
		require.Contains(t, q.Reason, reason)
		require.Equal(t, "lk1", q.Source)
	}

	r.publish(7, 1, "box/a/state", `{"n":"3","cell":1}`)
	log.wait(t, 1)
	log.commit(errors.New("card is gone"))
	r.over()
	require.False(t, <-present)
}

func TestADialectStaysAtHome(t *testing.T) {
	log := &memLog{auto: true}
	e, _ := startLocker(t, log, asEvent)
	for _, topic := range []string{"box/a/cmd", "box/b/state", "box/a/door", "box/a/door/7/x", "dev/lk2/scan", "cmd/lk1"} {
		r := login(t, e, "lk1")
		r.publish(1, 1, topic, scan(1))
		r.over()
	}
	r := login(t, e, "lk1")
	for filter, may := range map[string]bool{
		"box/a/cmd": true, "cmd/lk1": true, "box/a/state": false, "box/+/cmd": false, "box/#": false, "#": false, "box/a/#": false, "dev/#": false, "$share/g/box/a/cmd": true,
	} {
		require.Equal(t, may, r.subscribe(filter, 0) < 0x80, filter)
	}
	other := login(t, e, "lk2")
	require.EqualValues(t, 0x80, other.subscribe("box/a/cmd", 0))
	other.publish(1, 1, "box/a/state", `{"n":"1","cell":1}`)
	other.over()
	require.Empty(t, log.entries())
}

func TestPublishToADialect(t *testing.T) {
	e, present := startLocker(t, &memLog{auto: true}, asEvent)
	require.ErrorIs(t, e.Publish("lk1", "box/a/cmd", []byte("7"), time.Second), ErrAbsent)
	for _, bad := range [][2]string{{"lk2", "box/a/cmd"}, {"nobody", "box/a/cmd"}, {"lk1", "dev/lk1/scan"}, {"lk1", "box/a/state"}, {"lk1", "box/+/cmd"}} {
		require.Error(t, e.Publish(bad[0], bad[1], nil, 0), bad)
	}
	r := login(t, e, "lk1")
	require.True(t, <-present)
	require.ErrorIs(t, e.Publish("lk1", "box/a/cmd", []byte("7"), time.Second), ErrAbsent, "it doesn't listen yet")
	require.Less(t, r.subscribe("box/a/cmd", 1), byte(0x80))
	require.NoError(t, e.Publish("lk1", "box/a/cmd", []byte("7"), time.Second))
	topic, payload := r.message()
	require.Equal(t, "box/a/cmd 7", topic+" "+payload)

	// The same user again, under another client id: the first hears nothing more.
	again := dialRaw(t, e.Addr())
	require.Zero(t, again.connect(options{user: "lk1", password: "pw", id: "y", v5: true}))
	r.over()
	require.True(t, <-present)
	require.Less(t, again.subscribe("box/a/cmd", 1), byte(0x80))
	require.NoError(t, e.Publish("lk1", "box/a/cmd", []byte("8"), 5*time.Second))
	typ, body := again.next()
	require.EqualValues(t, 3, typ)
	require.Equal(t, "\x00\x09box/a/cmd\x05\x02\x00\x00\x00\x058", string(body), "with its expiry")

	e.HangUp("lk1")
	again.over()
	require.False(t, <-present)
	e.HangUp("lk1")
	require.Eventually(t, func() bool { return errors.Is(e.Publish("lk1", "box/a/cmd", nil, 0), ErrAbsent) }, time.Minute, time.Millisecond)
}

func TestDialectsAreChecked(t *testing.T) {
	ok := Dialect{Publish: []string{"box/a/+"}, Subscribe: []string{"box/a/cmd"}, Translate: asEvent}
	with := func(f func(*Dialect)) map[string]Dialect {
		d := ok
		f(&d)
		return map[string]Dialect{"lk1": d}
	}
	for name, c := range map[string]struct {
		d    map[string]Dialect
		want string
	}{
		"nobody":       {map[string]Dialect{"lk9": ok}, "no user"},
		"a technician": {map[string]Dialect{"tech": ok}, "no user of the role device"},
		"silent":       {with(func(d *Dialect) { d.Translate = nil }), "nothing translates"},
		"dev":          {with(func(d *Dialect) { d.Publish = []string{"dev/lk2/scan"} }), "not dev, cmd or yz"},
		"cmd":          {with(func(d *Dialect) { d.Subscribe = []string{"cmd/lk2"} }), "not dev, cmd or yz"},
		"any":          {with(func(d *Dialect) { d.Subscribe = []string{"+/lk2"} }), "first level"},
		"all":          {with(func(d *Dialect) { d.Subscribe = []string{"box/#"} }), "is no level"},
		"empty level":  {with(func(d *Dialect) { d.Subscribe = []string{"box//a"} }), "is no level"},
		"system":       {with(func(d *Dialect) { d.Subscribe = []string{"$SYS/a"} }), "is no level"},
		"shared":       {map[string]Dialect{"lk1": ok, "lk2": {Publish: []string{"box/+/x"}, Translate: asEvent}}, "is also of"},
	} {
		_, err := NewEdge(EdgeConfig{Listen: []string{"127.0.0.1:0"}, Users: testUsers(t), Log: &memLog{}, Dialects: c.d})
		require.ErrorContains(t, err, c.want, name)
	}
}
