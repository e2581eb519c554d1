package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// provider is a text provider that notes when it was handed a message.
type provider struct {
	*httptest.Server
	mu     sync.Mutex
	handed map[string]handed // by the last four characters of the waybill
	twice  int
}

type handed struct {
	at   time.Time
	code string
}

func newProvider(t testing.TB) *provider {
	p := &provider{handed: map[string]handed{}}
	says := regexp.MustCompile(`Code (\d{6}): parcel \.\.(\w{4})`)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		if json.NewDecoder(r.Body).Decode(&m) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		at := time.Now()
		if said := says.FindStringSubmatch(m.Text); said != nil {
			p.mu.Lock()
			if _, again := p.handed[said[2]]; again {
				p.twice++
			} else {
				p.handed[said[2]] = handed{at, said[1]}
			}
			p.mu.Unlock()
		}
		_, _ = fmt.Fprint(w, `{"code": "OK"}`)
	}))
	t.Cleanup(p.Close)
	return p
}

// channel is the provider as the cloud is told of it.
func (p *provider) channel() string {
	return fmt.Sprintf(`    - name: provider
      kind: http
      quiet: {}
      http:
        url: %q
        headers: {Content-Type: application/json}
        body: '{"text": {{json .Text}}}'
        success: {field: code, match: OK}
`, p.URL)
}

func (p *provider) of(waybill string) (handed, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.handed[waybill[len(waybill)-4:]]
	return h, ok
}

// wave is how many parcels lie in the locker before they are taken out: a cell of the size is always free.
const wave = 10

// figures are durations that were measured.
type figures []time.Duration

func (f figures) String() string {
	if len(f) == 0 {
		return "none"
	}
	slices.Sort(f)
	at := func(p float64) time.Duration { return f[min(len(f)-1, int(p*float64(len(f))))].Round(time.Millisecond) }
	return fmt.Sprintf("p50 %v  p95 %v  p99 %v  max %v  (%d)", at(.5), at(.95), at(.99), at(1), len(f))
}

// From a door that is shut on a parcel to the message in its provider's hands, and from the last key to the pulse with and without a link: real programs,
// in real time, b.N parcels through one locker.
func BenchmarkNotice(b *testing.B) {
	for name, state := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": postgres} {
		b.Run(name, func(b *testing.B) {
			if b.N > 1 { // with one the testing package feels its way
				benchNotice(b, name, state(b))
			}
		})
	}
}

func benchNotice(b *testing.B, name, state string) {
	const board = "lk-qingshi-1"
	sms := newProvider(b)
	o := options{speed: 1, seed: 3, boards: "wh-1," + board, state: state}
	p := play(b, o, func(s *site) { s.provider = sms.channel() })
	waybills := make([]string, b.N)
	for i := range waybills {
		waybills[i] = fmt.Sprintf("BENCH-%04d", i)
		p.announce(b, waybills[i])
	}
	v := p.villager(b, "lk-qingshi")
	var closed, near, far figures
	connected := func(boards int) {
		b.Helper()
		require.Eventually(b, func() bool {
			var health struct {
				Connected int `json:"gateways_connected"`
			}
			return p.front.get(b.Context(), "/healthz", &health) == nil && health.Connected == boards
		}, patience, 50*time.Millisecond)
	}
	take := func(in []lying, into *figures) {
		b.Helper()
		for _, l := range in {
			word, took := v.types(b, l.cell, l.code)
			require.Equal(b, "take", word)
			*into = append(*into, took)
			v.shuts(b, l.cell, false, "emptied")
		}
	}
	for parcels := range slices.Chunk(waybills, wave) {
		var in []lying
		for _, w := range parcels {
			cell, shut := v.deposit(b, w)
			require.Eventually(b, func() bool { _, ok := sms.of(w); return ok }, patience, time.Millisecond, w)
			h, _ := sms.of(w)
			closed = append(closed, h.at.Sub(shut))
			in = append(in, lying{cell, h.code})
		}
		take(in[:len(in)/2], &near)
		require.NoError(b, p.do(board, "cut"))
		connected(1)
		take(in[len(in)/2:], &far)
		require.NoError(b, p.do(board, "mend"))
		connected(2)
	}
	require.Zero(b, sms.twice, "messages that came twice")
	b.Logf("state in %s, %d parcels\n  door closed to message handed over:  %v\n  last key to pulse, with a link:      %v\n  last key to pulse, the cable cut:    %v", name, b.N, closed, near, far)
	b.ReportMetric(0, "ns/op") // of no meaning here
}

// lying is a parcel in a cell, and its code.
type lying struct {
	cell int
	code string
}

func TestFigures(t *testing.T) {
	var f figures
	for i := range 200 {
		f = append(f, time.Duration(200-i)*time.Millisecond)
	}
	require.Equal(t, "p50 101ms  p95 191ms  p99 199ms  max 200ms  (200)", f.String())
	require.Equal(t, "none", figures(nil).String())
}
