package broker

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

func quickHash(password string) string {
	h, err := pbkdf2.Key(sha256.New, password, make([]byte, 16), 1000, hashBytes)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(h)
}

func TestPubackFollowsCommitInOrder(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	for i := range 5 {
		r.publish(uint16(100+i), 1, "dev/lk1/scan", scan(i))
	}
	log.wait(t, 5)
	r.quiet()
	log.commit(nil)
	r.acked(100, 101, 102, 103, 104)
	es := log.entries()
	require.Len(t, es, 5)
	for i, en := range es {
		require.Equal(t, telemetry.Custody, en.Lane)
		var rd telemetry.Reading
		require.NoError(t, json.Unmarshal(en.Payload, &rd))
		require.Equal(t, "lk1", rd.Device)
		require.Equal(t, telemetry.KindScan, rd.Kind)
		require.Equal(t, string(rune('0'+i)), rd.N)
	}
}

// A publish that is safe at once isn't acknowledged before an older one that isn't (MQTT-4.6.0-2).
func TestPubacksKeepTheOrderOfPublishes(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	r.publish(1, 1, "dev/lk1/scan", scan(1))
	log.wait(t, 1)
	log.commit(nil)
	r.acked(1)
	r.publish(2, 1, "dev/lk1/scan", scan(2)) // waits for its commit
	log.wait(t, 1)
	r.publish(3, 1, "dev/lk1/scan", scan(1)) // was told before, and is durable
	require.Eventually(t, func() bool { return e.Counters()["duplicates"] == 1 }, time.Minute, time.Millisecond)
	r.quiet()
	log.commit(nil)
	r.acked(2, 3)
}

func TestRetryIsStoredOnceAndAckedAfterTheOriginal(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	a, b := login(t, e, "lk1"), dialRaw(t, e.Addr())
	require.Zero(t, b.connect(options{user: "lk1", password: "pw", id: "y"}))
	a.publish(1, 1, "dev/lk1/scan", scan(7))
	log.wait(t, 1)
	b.publish(2, 1, "dev/lk1/scan", scan(7)) // told again elsewhere, before it is durable
	require.Eventually(t, func() bool { return e.Counters()["duplicates"] == 1 }, time.Minute, time.Millisecond)
	b.quiet()
	log.commit(nil)
	a.acked(1)
	b.acked(2)
	a.publish(3, 1, "dev/lk1/scan", scan(7)) // and after
	a.acked(3)
	require.Len(t, log.entries(), 1)
	require.EqualValues(t, 2, e.Counters()["duplicates"])
}

// A retry hangs on the original: where that can't be kept, nobody is told that it was.
func TestRetryOfWhatIsLostIsNotAcked(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	a, b := login(t, e, "lk1"), dialRaw(t, e.Addr())
	require.Zero(t, b.connect(options{user: "lk1", password: "pw", id: "y"}))
	a.publish(1, 1, "dev/lk1/scan", scan(7))
	log.wait(t, 1)
	b.publish(2, 1, "dev/lk1/scan", scan(7))
	require.Eventually(t, func() bool { return e.Counters()["duplicates"] == 1 }, time.Minute, time.Millisecond)
	log.commit(errors.New("card is gone"))
	a.over()
	b.over()
	require.Empty(t, e.shelf.stands)
}

func TestFailedCommitEndsTheConnectionAndForgets(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	r.publish(1, 1, "dev/lk1/scan", scan(1))
	log.wait(t, 1)
	log.commit(errors.New("card is gone"))
	r.over()
	require.Zero(t, e.Counters()["readings"])
	require.Empty(t, e.shelf.stands, "what isn't durable isn't shown")
	r = login(t, e, "lk1")
	r.publish(1, 1, "dev/lk1/scan", scan(1))
	log.wait(t, 1) // not taken for a duplicate
	log.commit(nil)
	r.acked(1)
	require.Len(t, log.entries(), 1)
}

func TestFullLogEndsTheConnection(t *testing.T) { // D1
	for _, v5 := range []bool{false, true} {
		log := &memLog{refuse: errors.New("full")}
		e := startEdge(t, log, Limits{})
		r := dialRaw(t, e.Addr())
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x", v5: v5}))
		r.publish(1, 1, "dev/lk1/scan", scan(1))
		typ, _, err := r.read(time.Minute)
		require.Error(t, err, "packet of type %d", typ)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it ends")
		require.EqualValues(t, 1, e.Counters()["full"])
	}
}

func TestInvalidIsQuarantinedThenAcked(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	for i, c := range []struct{ topic, payload, reason string }{
		{"dev/lk1/scan", `not json`, "payload"},
		{"dev/lk1/scan", `{"n":"1","body":{}}`, "body.text"},
		{"dev/lk1/scan", `{"body":{"text":"x"}}`, "n: is absent"},
		{"dev/lk1/scan", `{"device":"lk2","n":"1","body":{"text":"x"}}`, "device"},
		{"dev/lk1/nonsense", `{"n":"2"}`, "no kind"},
		{"dev/lk1/a/b", `{"n":"3"}`, "dev/{device}/{kind}"},
		{"dev/lk1/position", `{"n":"4","body":{"lat":91,"lon":0,"valid":true}}`, "body.lat"},
	} {
		r.publish(uint16(i+1), 1, c.topic, c.payload)
		r.acked(uint16(i + 1))
		es := log.entries()
		require.Len(t, es, i+1)
		last := es[i]
		require.Equal(t, telemetry.Command, last.Lane)
		require.Equal(t, frame.TypeQuarantine, last.Type)
		var q frame.Quarantine
		require.NoError(t, json.Unmarshal(last.Payload, &q))
		require.Equal(t, "lk1", q.Source)
		require.Contains(t, q.Reason, c.reason)
		if i != 2 { // of a reading that lacks an identity only, its normal form is kept
			require.Equal(t, c.payload, string(q.Raw))
		}
	}
	r.publish(50, 1, "dev/lk1/scan", `[`+scan(1)+`,{"n":"x","body":{}},`+scan(2)+`]`)
	r.acked(50)
	es := log.entries()[7:]
	require.Len(t, es, 3)
	require.Equal(t, []frame.Type{frame.TypeReading, frame.TypeReading, frame.TypeQuarantine}, []frame.Type{es[0].Type, es[1].Type, es[2].Type})
	r.publish(51, 1, "dev/lk1/scan", `[]`)
	r.acked(51)
	r.publish(52, 1, "dev/lk1/scan", "")
	r.acked(52)
}

func TestCapOnUnackedHoldsTheReaderAndPullsTheCommit(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{Unacked: 4})
	r := login(t, e, "lk1")
	for i := range 10 {
		r.publish(uint16(i+1), 1, "dev/lk1/scan", scan(i))
	}
	log.wait(t, 4)
	require.Eventually(t, func() bool { log.mu.Lock(); defer log.mu.Unlock(); return log.flushes > 0 }, time.Minute, time.Millisecond)
	log.commit(nil)
	r.acked(1, 2, 3, 4)
	log.wait(t, 4)
	log.commit(nil)
	r.acked(5, 6, 7, 8)
	log.wait(t, 2)
	log.commit(nil)
	r.acked(9, 10)
}

func TestFanOutAfterCommitAsReadableJSONAndRetained(t *testing.T) {
	log := &memLog{}
	e := startEdge(t, log, Limits{})
	tech := login(t, e, "tech")
	require.EqualValues(t, 0, tech.subscribe("dev/#", 0))
	r := login(t, e, "lk1")
	r.publish(1, 1, "dev/lk1/scan", `{ "n": 5, "body": {"text":"YZ1", "extra": [1] } }`)
	log.wait(t, 1)
	tech.quiet()
	log.commit(nil)
	topic, payload := tech.message()
	require.Equal(t, "dev/lk1/scan", topic)
	require.Equal(t, `{"device":"lk1","kind":"scan","tq":"unknown","n":"5","body":{"text":"YZ1", "extra": [1] }}`, payload)
	// somebody who comes later sees it at once
	late := login(t, e, "tech")
	require.EqualValues(t, 0, late.subscribe("dev/lk1/+", 0))
	_, again := late.message()
	require.Equal(t, payload, again)
}

func TestRawReadsAreShownNotKept(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	tech := login(t, e, "tech")
	tech.subscribe("dev/#", 0)
	raw := telemetry.New("dock", time.Time{}, telemetry.Unknown, telemetry.Tag{EPC: "3034257BF7194E4000001A85"})
	pass := telemetry.New("dock", time.Time{}, telemetry.Unknown, telemetry.Tag{EPC: "3034257BF7194E4000001A85", Passage: telemetry.In})
	require.NoError(t, e.Accept(t.Context(), raw, pass, pass))
	for range 3 {
		topic, _ := tech.message()
		require.Equal(t, "dev/dock/tag", topic)
	}
	require.Len(t, log.entries(), 2, "without n and at nothing tells a second passage from a retry: both are kept")
	r := login(t, e, "lk1")
	r.publish(1, 1, "dev/lk1/tag", `{"n":"1","body":{"epc":"urn:x"}}`)
	r.acked(1)
	require.Len(t, log.entries(), 2)
}

func TestAccept(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	good := telemetry.New("cold", at, telemetry.GNSS, telemetry.Climate{TemperatureC: telemetry.Some(4.5)})
	bad := telemetry.New("cold", at, telemetry.GNSS, telemetry.Climate{})
	err := e.Accept(t.Context(), good, bad)
	require.ErrorIs(t, err, telemetry.ErrInvalid)
	require.ErrorContains(t, err, "body.temperature_c")
	require.NoError(t, e.Accept(t.Context(), good))
	es := log.entries()
	require.Len(t, es, 2)
	require.Equal(t, telemetry.Condition, es[0].Lane)
	require.Equal(t, frame.TypeQuarantine, es[1].Type)

	log.mu.Lock()
	log.refuse = errors.New("full")
	log.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	good.At = at.Add(time.Second)
	go func() { done <- e.Accept(ctx, good) }()
	require.Eventually(t, func() bool { return e.Counters()["full"] > 0 }, time.Minute, time.Millisecond)
	log.mu.Lock()
	log.refuse = nil
	log.mu.Unlock()
	require.NoError(t, <-done)
	require.Len(t, log.entries(), 3)
	log.mu.Lock()
	log.refuse = errors.New("full")
	log.mu.Unlock()
	good.At = at.Add(2 * time.Second)
	go func() { done <- e.Accept(ctx, good) }()
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestQoS0IsBestEffort(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	r.publish(0, 0, "dev/lk1/scan", `{"body":{"text":"x"}}`)
	r.publish(0, 0, "dev/lk1/scan", `{"body":{"text":"x"}}`)
	r.quiet()
	require.Eventually(t, func() bool { return len(log.entries()) == 2 }, time.Minute, time.Millisecond)
	log.mu.Lock()
	log.refuse = errors.New("full")
	log.mu.Unlock()
	r.publish(0, 0, "dev/lk1/scan", `{"body":{"text":"y"}}`)
	r.quiet() // the connection stays
	require.EqualValues(t, 3, e.Counters()["publishes_qos0"])
	require.EqualValues(t, 1, e.Counters()["lost_qos0"])
}

func TestUsersAreChecked(t *testing.T) {
	e := startEdge(t, &memLog{}, Limits{})
	for _, o := range []options{{}, {user: "lk1", password: "no"}, {user: "no", password: "pw"}, {user: "tech", password: "p"}} {
		o.id = "x"
		r := dialRaw(t, e.Addr())
		require.NotZero(t, r.connect(o))
		r.over()
	}
	r := dialRaw(t, e.Addr()) // the fifth in a row makes the address wait
	require.NotZero(t, r.connect(options{user: "lk1", password: "wrong", id: "x"}))
	r = dialRaw(t, e.Addr())
	require.NotZero(t, r.connect(options{user: "lk1", password: "pw", id: "x"}))
	require.EqualValues(t, 6, e.Counters()["auth_failed"])

	_, err := NewEdge(EdgeConfig{Log: &memLog{}, Users: []User{
		{Name: "A/b", Role: Device, PasswordHash: testUsers(t)[0].PasswordHash},
		{Name: "c", Role: "root", PasswordHash: testUsers(t)[0].PasswordHash},
		{Name: "d", Role: Device, PasswordHash: "plain"},
	}})
	require.ErrorContains(t, err, `"A/b"`)
	require.ErrorContains(t, err, "root")
	require.ErrorContains(t, err, "password hash")
}

func TestPasswordHash(t *testing.T) {
	h, err := HashPassword("geheim")
	require.NoError(t, err)
	require.NoError(t, CheckPasswordHash(h+"\n"))
	p, err := parseHash(h)
	require.NoError(t, err)
	require.True(t, p.verify("geheim"))
	require.False(t, p.verify("geheim "))
	_, err = HashPassword("")
	require.Error(t, err)
	for _, bad := range []string{"", "x", "pbkdf2-sha256$1$AA$AA", strings.Replace(h, "pbkdf2", "md5", 1), h[:len(h)-3]} {
		require.Error(t, CheckPasswordHash(bad), bad)
	}
}
