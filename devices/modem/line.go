package modem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/devices"
	"yizhan/devices/port"
)

const (
	ctrlZ = 0x1A // ends a PDU
	esc   = 0x1B // takes the prompt back

	maxReply   = 512 // lines of an answer
	maxNews    = 64  // unasked lines that wait
	wakeTries  = 5   // AT without OK, before nobody is there
	wakeLimit  = time.Second
	settling   = 200 * time.Millisecond
	promptTime = 5 * time.Second
)

var (
	errTimeout  = errors.New("no answer")
	errNobody   = errors.New("no modem answers")
	errRestart  = errors.New("the modem began anew")
	errNoPrompt = errors.New("no prompt")
)

type counters struct {
	framesOK, timeouts, resync, garbled, echoes, unasked, strays, badPDU, restarts atomic.Uint64
	sent, refused, unknown, parts, late                                            atomic.Uint64
	delivered, failed, trying, unmatched, received                                 atomic.Uint64
}

func (c *counters) named() map[string]uint64 {
	return map[string]uint64{
		"frames_ok": c.framesOK.Load(), "timeouts": c.timeouts.Load(), "resync": c.resync.Load(), "garbled": c.garbled.Load(),
		"echoes": c.echoes.Load(), "unasked": c.unasked.Load(), "strays": c.strays.Load(), "bad_pdu": c.badPDU.Load(),
		"restarts": c.restarts.Load(), "sent": c.sent.Load(), "refused": c.refused.Load(), "unknown": c.unknown.Load(),
		"parts": c.parts.Load(), "late": c.late.Load(), "delivered": c.delivered.Load(), "failed": c.failed.Load(),
		"trying": c.trying.Load(), "unmatched": c.unmatched.Load(), "received": c.received.Load(),
	}
}

// An info is a line with a name, and the PDU that follows it where it announces one.
type info struct {
	name, rest string
	length     int // of the PDU, as announced
	pdu        string
}

// A line has one owner and one command under way. A goroutine of its own only reads.
type line struct {
	port   port.Port
	counts *counters
	bad    *devices.BadFrames

	rx  chan []byte // closed when the port fails
	err error       // why; read after rx was closed

	split  splitter
	tokens []token
	news   []*info // unasked, in order
	half   *info   // announced its PDU, which is the next line
	echo   string  // what may come back first
	quiet  bool    // echo was switched off: one means that the modem began anew
	again  bool    // the modem began anew
	fresh  bool    // the modem has come up
	unsure bool    // an answer is missing and may still come
}

type token struct {
	kind int
	text string
}

// listen begins to read p. The returned function ends it and closes p.
func listen(p port.Port, counts *counters, bad *devices.BadFrames) (*line, func()) {
	l := &line{port: p, counts: counts, bad: bad, rx: make(chan []byte)}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { l.read(stop) })
	return l, func() {
		close(stop)
		_ = p.Close()
		wg.Wait()
	}
}

func (l *line) read(stop <-chan struct{}) {
	defer close(l.rx)
	var chunk [512]byte
	for {
		n, err := l.port.Read(chunk[:])
		if n > 0 {
			select {
			case l.rx <- bytes.Clone(chunk[:n]):
			case <-stop:
				return
			}
		}
		if err != nil {
			l.err = fmt.Errorf("read: %w", err)
			return
		}
	}
}

// feed takes what came from rx.
func (l *line) feed(chunk []byte, ok bool) error {
	if !ok {
		return l.err
	}
	l.split.feed(chunk, func(kind int, text []byte) {
		switch kind {
		case garbled:
			l.counts.garbled.Add(1)
			l.bad.Add("garbled", hidden(text))
		case overlong:
			l.counts.resync.Add(uint64(len(text)))
			l.bad.Add("overlong", hidden(text))
		default:
			l.tokens = append(l.tokens, token{kind, string(text)})
		}
	})
	return nil
}

// next waits for a token until the timer fires, which is errTimeout.
func (l *line) next(ctx context.Context, timer <-chan time.Time) (token, error) {
	for len(l.tokens) == 0 {
		select {
		case <-ctx.Done():
			return token{}, ctx.Err()
		case chunk, ok := <-l.rx:
			if err := l.feed(chunk, ok); err != nil {
				return token{}, err
			}
		case <-timer:
			return token{}, errTimeout
		}
	}
	t := l.tokens[0]
	l.tokens = l.tokens[1:]
	return t, nil
}

// drain takes what came already: it answers nothing that is asked from now on.
func (l *line) drain(ctx context.Context) error {
	over := make(chan time.Time)
	close(over)
	for {
		select {
		case chunk, ok := <-l.rx:
			if err := l.feed(chunk, ok); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	return l.sort(ctx, over)
}

// sort takes tokens as unasked ones until the timer fires.
func (l *line) sort(ctx context.Context, timer <-chan time.Time) error {
	for {
		t, err := l.next(ctx, timer)
		switch {
		case errors.Is(err, errTimeout):
			return nil
		case err != nil:
			return err
		}
		l.unaskedToken(t)
	}
}

// unaskedToken takes a token while no answer is awaited.
func (l *line) unaskedToken(t token) {
	if t.kind != textLine || l.attach(t.text) {
		return
	}
	if _, isFinal := finalOf(t.text); isFinal {
		l.counts.strays.Add(1)
		return
	}
	l.unasked(t.text)
}

// attach gives a line to the one that announced a PDU before it.
func (l *line) attach(text string) bool {
	i := l.half
	l.half = nil
	if i == nil || !hexOnly(text) {
		return false
	}
	i.pdu = text
	return true
}

func hexOnly(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return len(s) >= 2
}

// unasked keeps what the modem tells of itself.
func (l *line) unasked(text string) {
	switch name, rest, ok := header(text); {
	case restarts(text):
		l.restarted()
	case l.quiet && strings.HasPrefix(text, "AT"): // an echo
		l.restarted()
	case booted(text):
		l.counts.unasked.Add(1)
		l.fresh = true
	case ok:
		l.counts.unasked.Add(1)
		if len(l.news) == maxNews {
			l.news = slices.Delete(l.news, 0, 1)
		}
		l.news = append(l.news, l.info(name, rest))
	case text == "RING" || text == "NO CARRIER":
		l.counts.unasked.Add(1)
	default:
		l.counts.strays.Add(1)
	}
}

// info begins an info, and waits for its PDU where it announces one.
func (l *line) info(name, rest string) *info {
	i := &info{name: name, rest: rest, length: -1}
	if n, follows := announced(name, rest); follows {
		i.length, l.half = n, i
	}
	return i
}

func (l *line) restarted() {
	if !l.again {
		l.counts.restarts.Add(1)
	}
	l.again = true
}

// An answer is what came between a command and its final result code.
type answer struct {
	infos []*info
	final
}

// first is the text behind the first line with the command's name.
func (a answer) first() string {
	if len(a.infos) == 0 {
		return ""
	}
	return a.infos[0].rest
}

// ask sends a command and returns its answer, whose final says whether it worked. The error is errTimeout, errRestart,
// ctx's, or what broke the port.
func (l *line) ask(ctx context.Context, command string, limit time.Duration) (answer, error) {
	if err := l.ready(ctx); err != nil {
		return answer{}, err
	}
	return l.exchange(ctx, command, limit)
}

// ready makes sure that what comes next answers what is asked next.
func (l *line) ready(ctx context.Context) error {
	if err := l.drain(ctx); err != nil {
		return err
	}
	if l.unsure {
		return l.wake(ctx)
	}
	return nil
}

func (l *line) exchange(ctx context.Context, command string, limit time.Duration) (answer, error) {
	if l.again {
		return answer{}, errRestart
	}
	if err := l.write(command, "\r"); err != nil {
		return answer{}, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	return l.await(ctx, nameOf(command), timer.C)
}

func (l *line) write(text, end string) error {
	l.echo = text
	if _, err := l.port.Write([]byte(text + end)); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// echoed reports whether a line is what was sent, come back.
func (l *line) echoed(text string) bool {
	if l.echo == "" || strings.Trim(text, "\x1a\x1b") != l.echo {
		return false
	}
	l.echo = ""
	l.counts.echoes.Add(1)
	if l.quiet {
		l.restarted()
	}
	return true
}

// await collects an answer. The lines of name belong to it, and so does a PDU that one of them announces.
func (l *line) await(ctx context.Context, name string, timer <-chan time.Time) (answer, error) {
	var a answer
	for {
		t, err := l.next(ctx, timer)
		if err != nil {
			if errors.Is(err, errTimeout) {
				l.counts.timeouts.Add(1)
			}
			l.unsure = true
			return a, err
		}
		if t.kind != textLine || l.echoed(t.text) || l.attach(t.text) {
			continue
		}
		if f, ok := finalOf(t.text); ok {
			l.counts.framesOK.Add(1)
			a.final = f
			return a, nil
		}
		if n, rest, ok := header(t.text); ok && n == name && len(a.infos) < maxReply {
			a.infos = append(a.infos, l.info(n, rest))
			continue
		}
		l.unasked(t.text)
		if l.again {
			l.unsure = true
			return a, errRestart
		}
	}
}

// wake brings the modem to where it takes commands, whatever it waits for: ESC takes a prompt back, and a PDU that was half
// sent with it. A missing answer to an earlier command doesn't count as one to AT: the line must fall silent first.
func (l *line) wake(ctx context.Context) error {
	l.split.awaited = false
	if _, err := l.port.Write([]byte{esc}); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	for range wakeTries {
		if err := l.pause(ctx, settling); err != nil {
			return err
		}
		a, err := l.exchange(ctx, "AT", wakeLimit)
		switch {
		case err == nil && a.ok:
			l.unsure = false
			return l.pause(ctx, settling)
		case err != nil && !errors.Is(err, errTimeout):
			return err
		}
	}
	return errNobody
}

// pause lets d pass and listens meanwhile.
func (l *line) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	return l.sort(ctx, timer.C)
}
