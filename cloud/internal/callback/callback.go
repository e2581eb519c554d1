package callback

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/cloud/internal/county"
)

// Queue keeps callbacks.
type Queue interface {
	// FollowCallbacks queues the next facts for whom they concern, in one transaction with the cursor.
	FollowCallbacks(ctx context.Context, limit int) (n, made int, err error)
	// ClaimCallbacks takes callbacks that came up, of each object only the oldest that isn't done.
	ClaimCallbacks(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]county.Callback, error)
	// SaveCallback writes one over the version it was claimed with.
	SaveCallback(ctx context.Context, b *county.Callback) (ok bool, err error)
	Subscriptions(ctx context.Context) ([]county.Subscriber, error)
	RestSubscription(ctx context.Context, id string, fails int, next time.Time) error
	AlarmLateCallbacks(ctx context.Context, before time.Time) (late int, err error)
	Wake() <-chan struct{}
}

// Options of a Caller.
type Options struct {
	Queue     Queue
	Event     func(ctx context.Context, key string, told county.StepTold) (data json.RawMessage, ok bool, err error) // the EPCIS event of a step; nil: none has one
	Key       []byte                                                                                                 // what secrets come from
	Source    string                                                                                                 // of the envelopes: urn:yizhan:county
	Private   bool                                                                                                   // addresses of this network may be called
	LateAfter time.Duration
	Now       func() time.Time
	Log       *slog.Logger
	Workers   int // calls at once; default 8
	After     func(time.Duration) <-chan time.Time
}

const (
	timeout     = 15 * time.Second
	lease       = time.Minute
	followBatch = 200
	idle        = time.Second
	maxPause    = 30 * time.Second
	giveUp      = 24 * time.Hour
	lateEvery   = time.Minute
	maxAnswer   = 4 << 10
)

// Caller calls subscribers back.
type Caller struct {
	opt      Options
	client   *http.Client
	busy     atomic.Int64
	lateNext time.Time

	queued, taken, refused, unreached, givenUp, late atomic.Uint64
}

// New makes a Caller.
func New(opt Options) *Caller {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Workers == 0 {
		opt.Workers = 8
	}
	if opt.After == nil {
		opt.After = time.After
	}
	c := &Caller{opt: opt}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: c.control}
	c.client = &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: opt.Workers, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       timeout,
	}
	return c
}

// Counters returns the counters of doc.go.
func (c *Caller) Counters() map[string]uint64 {
	return map[string]uint64{
		"queued": c.queued.Load(), "taken": c.taken.Load(), "refused": c.refused.Load(), "unreached": c.unreached.Load(),
		"given_up": c.givenUp.Load(), "late": c.late.Load(),
	}
}

// errPrivate says that an address isn't on the open net.
var errPrivate = errors.New("address of a private network")

// control looks at the address that is really called, after names were resolved.
func (c *Caller) control(_, address string, _ syscall.RawConn) error {
	if c.opt.Private {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !Open(at.Addr()) {
		return errPrivate
	}
	return nil
}

// Open reports whether an address is one of the open net.
func Open(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a) && !nat64.Contains(a)
}

// Networks that aren't private by name and lead inside all the same: carriers' shared space (RFC 6598), and IPv4 within IPv6 (RFC 6052).
var (
	shared = netip.MustParsePrefix("100.64.0.0/10")
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
)

// Secret is what a subscriber verifies signatures with.
func (c *Caller) Secret(id string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(c.secret(id))
}

func (c *Caller) secret(id string) []byte {
	h := hmac.New(sha256.New, c.opt.Key)
	_, _ = h.Write([]byte("callback\x00" + id))
	return h.Sum(nil)
}

// Run calls subscribers until ctx ends.
func (c *Caller) Run(ctx context.Context) error {
	g, run := errgroup.WithContext(ctx)
	done := make(chan struct{}, 1)
	pause := idle
	for run.Err() == nil {
		wake := c.opt.Queue.Wake()
		err := c.round(run, g, done)
		if err != nil && run.Err() == nil {
			c.opt.Log.Warn("callbacks wait", "err", err)
			pause, wake = min(2*pause, maxPause), nil
		} else {
			pause = idle
		}
		select {
		case <-run.Done():
		case <-wake:
		case <-done:
		case <-c.opt.After(pause):
		}
	}
	_ = g.Wait()
	return ctx.Err()
}

// round queues what is new, looks for what is late, and has what came up called.
func (c *Caller) round(ctx context.Context, g *errgroup.Group, done chan<- struct{}) error {
	if err := c.follow(ctx); err != nil {
		return err
	}
	if now := c.opt.Now(); !now.Before(c.lateNext) {
		c.lateNext = now.Add(lateEvery)
		late, err := c.opt.Queue.AlarmLateCallbacks(ctx, now.Add(-c.opt.LateAfter))
		if err != nil {
			return err
		}
		c.late.Store(uint64(late))
	}
	free := c.opt.Workers - int(c.busy.Load())
	if free <= 0 {
		return nil
	}
	claimed, err := c.claim(ctx, free)
	if err != nil {
		return err
	}
	c.busy.Add(int64(len(claimed)))
	for _, job := range claimed {
		g.Go(func() error {
			defer c.busy.Add(-1)
			if err := c.call(ctx, job); err != nil && ctx.Err() == nil {
				c.opt.Log.Warn("callback waits", "err", err)
			}
			select {
			case done <- struct{}{}:
			default:
			}
			return nil
		})
	}
	return nil
}

func (c *Caller) follow(ctx context.Context) error {
	for {
		n, made, err := c.opt.Queue.FollowCallbacks(ctx, followBatch)
		c.queued.Add(uint64(made))
		if err != nil || n == 0 {
			return err
		}
	}
}

// A job is a callback and whom to call.
type job struct {
	county.Callback
	to county.Subscriber
}

func (c *Caller) claim(ctx context.Context, limit int) (jobs []job, err error) {
	claimed, err := c.opt.Queue.ClaimCallbacks(ctx, c.opt.Now(), lease, limit)
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	subs, err := c.opt.Queue.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range claimed {
		for _, u := range subs {
			if u.ID == b.Subscription {
				jobs = append(jobs, job{b, u})
			}
		}
	}
	return jobs, nil
}

// Envelope is a CloudEvents envelope.
type Envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	Sequence        string          `json:"sequence"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

// envelope is the body of a callback, the same each time.
func (c *Caller) envelope(ctx context.Context, f *county.Fact) ([]byte, error) {
	e := Envelope{
		SpecVersion: "1.0", ID: f.Key, Source: c.opt.Source, Type: "yizhan." + string(f.Event), Subject: f.Object, Time: f.At.UTC(),
		Sequence: fmt.Sprintf("%020d", f.Seq), DataContentType: "application/json", Data: json.RawMessage(f.Doc),
	}
	if c.opt.Event != nil && f.Event == county.FactStep {
		var told county.StepTold
		if err := json.Unmarshal(f.Doc, &told); err != nil {
			return nil, fmt.Errorf("fact %d: %w", f.Seq, err)
		}
		data, ok, err := c.opt.Event(ctx, f.Key, told)
		if err != nil {
			return nil, fmt.Errorf("fact %d: %w", f.Seq, err)
		}
		if ok {
			e.Data = data
		}
	}
	return json.Marshal(e)
}

// call makes one try.
func (c *Caller) call(ctx context.Context, j job) error {
	b := &j.Callback
	if b.Fact.Seq == 0 { // pruned: nobody knows any more what was to be told
		b.Status, b.Detail, b.Next = county.CallbackSkipped, "too_old", time.Time{}
		_, err := c.opt.Queue.SaveCallback(ctx, b)
		return err
	}
	body, err := c.envelope(ctx, &b.Fact)
	if err != nil {
		return err
	}
	status, detail := c.post(ctx, j.to.URL, b, body)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := c.opt.Now()
	if err := c.reached(ctx, &j.to, status, now); err != nil {
		return err
	}
	b.Tries++
	b.Detail = detail
	switch {
	case status >= 200 && status < 300:
		c.taken.Add(1)
		b.Status, b.Next = county.CallbackDone, time.Time{}
	case now.Sub(b.Created) >= giveUp:
		c.givenUp.Add(1)
		b.Status = county.CallbackFailed
	default:
		b.Next = now.Add(min(5*time.Second*time.Duration(pow3(b.Tries-1)), time.Hour))
	}
	_, err = c.opt.Queue.SaveCallback(ctx, b)
	return err
}

// reached counts whether a subscriber was there.
func (c *Caller) reached(ctx context.Context, u *county.Subscriber, status int, now time.Time) error {
	switch status {
	case 0, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		c.unreached.Add(1)
		return c.opt.Queue.RestSubscription(ctx, u.ID, u.Fails+1, now.Add(min(time.Second<<min(u.Fails, 6), time.Minute)))
	}
	if status >= 300 {
		c.refused.Add(1)
	}
	if u.Fails == 0 {
		return nil
	}
	return c.opt.Queue.RestSubscription(ctx, u.ID, 0, time.Time{})
}

func pow3(n int) (p int) {
	p = 1
	for range min(n, 10) {
		p *= 3
	}
	return p
}

// post sends a body, signed. status is 0 when no answer came.
func (c *Caller) post(ctx context.Context, url string, b *county.Callback, body []byte) (status int, detail string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "bad_url"
	}
	sum := sha256.Sum256([]byte(b.Key))
	id, at := hex.EncodeToString(sum[:]), strconv.FormatInt(c.opt.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	r.Header.Set("Idempotency-Key", strconv.Quote(b.Key))
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", Sign(c.secret(b.Subscription), id, at, body))
	r.Header.Set("User-Agent", "yizhan")
	res, err := c.client.Do(r)
	if err != nil {
		if errors.Is(err, errPrivate) {
			return 0, "private_address"
		}
		return 0, "unreached"
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, strconv.Itoa(res.StatusCode)
}

// Sign is the signature of a request by a secret's bytes.
func Sign(secret []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(h, id+"."+timestamp+".")
	_, _ = h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
