package modem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

// A fake modem answers from a table; answers maps what is asked to what is said, with \r\n for each /.
type fake struct {
	mu      sync.Mutex
	conn    devicestest.Conn
	answers map[string]string
	asked   []string // commands and PDUs, in order
	when    map[string][]time.Time
	pdus    []string
	result  func(n int) string // of the nth PDU; "" is none
	prompt  func(n int) string // of the nth AT+CMGS
	wait    time.Duration      // for the network
	echo    bool
	calls   int

	instead devicestest.Device // plays in its place
}

func newFake() *fake {
	return &fake{
		answers: map[string]string{
			"AT": "/OK/", "ATE0": "/OK/", "AT+CMEE=1": "/OK/", "AT+CPIN?": "/+CPIN: READY//OK/", "AT+CMGF=0": "/OK/", "AT+CSMS=1": "/+CSMS: 1,1,1//OK/",
			"AT+CREG=0": "/OK/", `AT+CPMS="SM","SM","SM"`: "/+CPMS: 0,40,0,40,0,40//OK/", "AT+COPS=3,2": "/OK/", "AT+CNMI=2,1,0,1,0": "/OK/",
			"AT+CREG?": "/+CREG: 0,1//OK/", "AT+CEREG?": "/ERROR/", "AT+CSQ": "/+CSQ: 18,99//OK/", "AT+COPS?": "/+COPS: 0,2,\"46000\",7//OK/",
			"AT+CPMS?": "/+CPMS: \"SM\",0,40,\"SM\",0,40,\"SM\",0,40//OK/", "AT+CNMA": "/OK/", "AT+CFUN=1,1": "/OK/",
		},
		when: map[string][]time.Time{},
	}
}

func (k *fake) play(ctx context.Context, conn devicestest.Conn) {
	k.mu.Lock()
	k.conn = conn
	k.mu.Unlock()
	var line []byte
	pdu := false
	chunk := make([]byte, 64)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		for _, c := range chunk[:n] {
			if k.echoes() {
				k.say(string(rune(c)))
			}
			switch {
			case c == esc:
				line, pdu = nil, false
			case c == '\r' && !pdu:
				pdu = k.obey(string(line))
				line = nil
			case c == ctrlZ && pdu:
				pdu = false
				k.take(ctx, string(line))
				line = nil
			default:
				line = append(line, c)
			}
		}
	}
}

func (k *fake) say(s string) {
	k.mu.Lock()
	conn := k.conn
	k.mu.Unlock()
	_, _ = conn.Write([]byte(s))
}

func (k *fake) echoes() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.echo
}

func lines(s string) string { return strings.ReplaceAll(s, "/", "\r\n") }

// obey reports whether a PDU comes next.
func (k *fake) obey(command string) bool {
	k.mu.Lock()
	k.asked = append(k.asked, command)
	k.when[command] = append(k.when[command], time.Now())
	answer, known := k.answers[command]
	k.echo = k.echo && command != "ATE0"
	if strings.HasPrefix(command, "AT+CMGS=") {
		k.calls++
		answer, known = "/> ", true
		if k.prompt != nil {
			answer = k.prompt(k.calls)
		}
	}
	k.mu.Unlock()
	if !known {
		answer = "/ERROR/"
	}
	k.say(lines(answer))
	return strings.HasSuffix(answer, "> ")
}

func (k *fake) take(ctx context.Context, pdu string) {
	k.mu.Lock()
	k.asked = append(k.asked, pdu)
	k.pdus = append(k.pdus, pdu)
	k.when["pdu"] = append(k.when["pdu"], time.Now())
	n := len(k.pdus)
	result := fmt.Sprintf("/+CMGS: %d//OK/", n)
	if k.result != nil {
		result = k.result(n)
	}
	wait := k.wait
	k.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		k.say(lines(result))
	}
}

func (k *fake) set(command, answer string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers[command] = answer
}

func (k *fake) count(command string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.asked {
		if a == command {
			n++
		}
	}
	return n
}

// A rig is a driver on a fake modem.
type rig struct {
	t       *testing.T
	driver  *Driver
	modem   *fake
	log     bytes.Buffer
	mu      sync.Mutex
	out     []telemetry.Reading
	cancel  context.CancelFunc
	done    chan error
	unplugs []func()
}

func newRig(t *testing.T, c Config, k *fake) *rig {
	x := &rig{t: t, modem: k}
	c.Port = "serial:/dev/null"
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "sms", Log: slog.New(slog.NewTextHandler(&x.log, nil)), Open: func(context.Context, string) (port.Port, error) {
		near, far := porttest.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		x.mu.Lock()
		x.unplugs = append(x.unplugs, func() { cancel(); far.Close() })
		x.mu.Unlock()
		play := k.play
		if k.instead != nil {
			play = k.instead
		}
		go play(ctx, far)
		return near, nil
	}})
	require.NoError(t, err)
	x.driver = d
	return x
}

func (x *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.done = make(chan error, 1)
	go func() { x.done <- x.driver.Run(ctx, x.emit) }()
	idle(10 * time.Second) // of the bubble: set up and looked once
}

func (x *rig) emit(ctx context.Context, rs ...telemetry.Reading) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range rs {
		require.NoError(x.t, r.Validate())
		require.Equal(x.t, "sms", r.Device)
	}
	x.out = append(x.out, rs...)
	return ctx.Err()
}

func (x *rig) stop() error {
	x.cancel()
	err := <-x.done
	x.unplug()
	return err
}

func (x *rig) unplug() {
	x.mu.Lock()
	all := x.unplugs
	x.unplugs = nil
	x.mu.Unlock()
	for _, u := range all {
		u()
	}
}

// readings returns the bodies of a kind.
func (x *rig) readings(kind telemetry.Kind) (out []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.out {
		if r.Kind == kind {
			out = append(out, string(r.Body))
		}
	}
	return out
}

const (
	phone  = "+8613800138000"
	secret = "取件码483920，请到青石村驿站"
)

func (x *rig) send(ctx context.Context, id, to, text string) telemetry.Result {
	defer synctest.Wait()
	return x.driver.Command(ctx, telemetry.CommandTo{ID: id, Device: "sms", Action: "send_sms", Args: map[string]string{"to": to, "text": text, "ref": "job-" + id}})
}

// nothingPersonal looks for the number and the text wherever the driver writes.
func (x *rig) nothingPersonal(results ...telemetry.Result) {
	x.t.Helper()
	var all strings.Builder
	all.WriteString(x.log.String())
	for _, r := range x.out {
		all.Write(r.AppendJSON(nil))
	}
	for _, r := range results {
		all.WriteString(r.Detail)
	}
	for _, b := range x.driver.LastBad() {
		fmt.Fprintf(&all, "%s %s", b.Reason, b.Hex)
	}
	for _, personal := range []string{"13800138", "683108108", "483920", "取件", "53D64EF6", "53d64ef6", fmt.Sprintf("%x", "683108108300F0")} {
		require.NotContains(x.t, all.String(), personal)
	}
}

// in runs a story in a bubble.
func in(t *testing.T, c Config, k *fake, story func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := newRig(t, c, k)
		x.start()
		story(x)
		x.cancel()
		<-x.done
		x.unplug()
	})
}

func TestHealth(t *testing.T) {
	in(t, Config{}, newFake(), func(x *rig) {
		require.Equal(t, []string{`{"sim_ready":1,"registered":1,"registration":1,"csq":18,"rssi_dbm":-77,"operator_mccmnc":46000,"sent_24h":0,"reports_awaited":0,"sim_messages":0}`}, x.readings(telemetry.KindHealth))
		idle(3 * time.Minute)
		require.Len(t, x.readings(telemetry.KindHealth), 4)
		require.Empty(t, x.readings(telemetry.KindAlarm))
		require.Equal(t, 1, x.modem.count("AT+CMGF=0"), "set up once")
	})
}

func TestSend(t *testing.T) {
	in(t, Config{}, newFake(), func(x *rig) {
		r := x.send(x.t.Context(), "c-1", phone, secret)
		require.Equal(t, telemetry.Result{Command: "c-1", Outcome: telemetry.Done, Detail: "sent parts=1 mr=1 ref=job-c-1"}, r)
		require.Len(t, x.modem.pdus, 1)
		p, err := parsePDU(x.modem.pdus[0], -1)
		require.NoError(t, err)
		require.Equal(t, pdu{kind: submit, number: phone, alphabet: ucs2, text: secret}, p)
		require.Equal(t, 1, x.modem.count(fmt.Sprintf("AT+CMGS=%d", len(x.modem.pdus[0])/2-1)), "octets, without the service centre's address")

		r = x.send(x.t.Context(), "c-2", phone, strings.Repeat("山路因雨封闭", 20))
		require.Equal(t, "sent parts=2 mr=2,3 ref=job-c-2", r.Detail)
		r = x.send(x.t.Context(), "c-3", phone, "x")
		require.Equal(t, telemetry.Done, r.Outcome)
		when := x.modem.when["pdu"]
		for i := range when[1:] {
			require.GreaterOrEqual(t, when[i+1].Sub(when[i]), 4*time.Second, "between messages")
		}
		x.nothingPersonal(r)
	})
}

// What a status report says is told once for the whole message, with the command's id.
func TestDeliveryReports(t *testing.T) {
	sr := func(mr, st string) string {
		return "/+CDS: 26/0006" + mr + "0D91683108108300F0" + "62112132600023" + "62112132603023" + st + "/"
	}
	in(t, Config{}, newFake(), func(x *rig) {
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "one", phone, secret).Outcome)
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "two", phone, strings.Repeat("山", 100)).Outcome)
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "lost", "13800138000", secret).Outcome)
		for _, s := range []string{sr("01", "30"), sr("02", "00"), sr("01", "00"), sr("01", "00"), sr("03", "00"), sr("04", "46"), sr("77", "00")} {
			x.modem.say(lines(s))
			idle(time.Second)
		}
		require.Equal(t, []string{
			`{"command":"one","outcome":"done","detail":"delivered ref=job-one"}`,
			`{"command":"two","outcome":"done","detail":"delivered ref=job-two"}`,
			`{"command":"lost","outcome":"refused","detail":"failed st=70 ref=job-lost"}`,
		}, x.readings(telemetry.KindResult))
		require.Equal(t, "dr-one", x.out[len(x.out)-3].N)
		require.Equal(t, 7, x.modem.count("AT+CNMA"), "or the modem tells no more")
		c := x.driver.Counters()
		require.Equal(t, []uint64{2, 1, 1, 2}, []uint64{c["delivered"], c["failed"], c["trying"], c["unmatched"]})
		x.nothingPersonal()
	})
}

// Reports and messages that lie on the SIM are read and deleted; a notice may come between the lines of an answer.
func TestStoredMessages(t *testing.T) {
	k := newFake()
	k.set("AT+CNMI=2,1,0,1,0", "/+CMS ERROR: 303/")
	k.set("AT+CNMI=2,1,0,2,0", "/OK/")
	k.set("AT+CSQ", "/+CDSI: \"SM\",3//+CSQ: 18,99//RING//OK/")
	k.set("AT+CMGR=3", "/+CMGR: 0,,26/000601"+"0D91683108108300F062112132600023621121326030230"+"0//OK/")
	in(t, Config{}, k, func(x *rig) {
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "one", phone, secret).Outcome)
		idle(2 * time.Minute)
		require.Equal(t, []string{`{"command":"one","outcome":"done","detail":"delivered ref=job-one"}`}, x.readings(telemetry.KindResult))
		require.Positive(t, k.count("AT+CMGD=3"))
		require.Zero(t, k.count("AT+CNMA"))

		k.set("AT+CPMS?", "/+CPMS: \"SM\",2,40,\"SM\",2,40,\"SM\",2,40//OK/")
		k.set("AT+CMGL=4", "/+CMGL: 7,0,,32/00040B813108108300F0000862112132600023085DF26536FF0CFF01/+CMGL: 9,1,,26/00garbage//OK/")
		before := x.driver.Counters()["received"]
		idle(time.Minute)
		require.Equal(t, before, x.driver.Counters()["received"], "the length is wrong: it isn't taken")
		k.set("AT+CMGL=4", "/+CMGL: 7,0,,27/00040B813108108300F0000862112132600023085DF26536FF0CFF01//OK/")
		idle(time.Minute)
		require.Equal(t, before+1, x.driver.Counters()["received"])
		require.Positive(t, k.count("AT+CMGD=7"))
		x.nothingPersonal()
	})
}

// Whatever happens before the PDU refuses; whatever happens after it leaves a doubt; and nothing is handed over twice.
func TestAtMostOnce(t *testing.T) {
	for _, c := range []struct {
		name           string
		prompt, result string
		want           string // outcome and detail
		pdus           int
	}{
		{"the network is congested", "", "/+CMS ERROR: 42/", "refused temporary cms=42", 1},
		{"the modem gave up", "", "/+CMS ERROR: 332/", "refused doubtful cms=332", 1},
		{"a wrong length", "", "/+CMS ERROR: 304/", "refused malformed cms=304", 1},
		{"a bare error", "", "/ERROR/", "refused error", 1},
		{"refused instead of a prompt", "/+CMS ERROR: 331/", "", "refused temporary cms=331", 0},
		{"an OK instead of a prompt", "/OK/", "", "refused no_prompt", 0},
		{"no prompt", "-", "", "refused no_prompt", 0},
		{"a prompt that is damaged", "/\xff> ", "", "refused no_prompt", 0},
		{"a report comes before the prompt", "/+CDS: 26/00060102//> ", "", "done sent parts=1 mr=1", 1},
		{"no result", "", "-", "unknown no_result part=1/1", 1},
		{"half a result", "", "/+CMG", "unknown no_result part=1/1", 1},
		{"a damaged result", "", "/+CMGS\x80 5//O\x81/", "unknown no_result part=1/1", 1},
		{"the OK gets lost", "", "/+CMGS: 9/", "done sent parts=1 mr=9", 1},
		{"the reference gets lost", "", "/+C\x80GS: 9//OK/", "done sent parts=1 mr=", 1},
		{"a call comes meanwhile", "", "/RING//+CMGS: 9//RING//OK/", "done sent parts=1 mr=9", 1},
		{"it goes down meanwhile", "", "/NORMAL POWER DOWN/", "unknown stopped part=1/1", 1},
		{"it begins anew meanwhile", "", "/RDY/", "unknown stopped part=1/1", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newFake()
			if c.prompt != "" {
				k.prompt = func(int) string { return c.prompt }
			}
			if c.result != "" {
				k.result = func(int) string { return c.result }
			}
			in(t, Config{}, k, func(x *rig) {
				r := x.send(x.t.Context(), "c", phone, secret)
				require.Equal(t, c.want+" ref=job-c", string(r.Outcome)+" "+r.Detail)
				idle(5 * time.Minute)
				require.Len(t, k.pdus, c.pdus)
				x.nothingPersonal(r)
			})
		})
	}
}

func TestUnplugged(t *testing.T) {
	k := newFake()
	k.wait = 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		x := newRig(t, Config{}, k)
		require.Equal(t, "not_running ref=job-0", x.send(x.t.Context(), "0", phone, secret).Detail)
		x.start()
		time.AfterFunc(10*time.Second, x.unplug)
		r := x.send(x.t.Context(), "c", phone, secret)
		require.Equal(t, telemetry.OutcomeUnknown, r.Outcome)
		require.ErrorIs(t, <-x.done, io.EOF)
		require.Len(t, k.pdus, 1)
		x.start()
		require.Len(t, k.pdus, 1)
		require.NoError(t, ignoreCancel(x.stop()))
	})
}

func ignoreCancel(err error) error {
	if err == context.Canceled {
		return nil
	}
	return err
}

// A stop between the prompt and the result: the outcome is unknown, and told before Run is over.
func TestStoppedWhileSending(t *testing.T) {
	k := newFake()
	k.wait = 20 * time.Second
	in(t, Config{}, k, func(x *rig) {
		time.AfterFunc(10*time.Second, x.cancel)
		r := x.send(x.t.Context(), "c", phone, secret)
		require.Equal(t, "stopped part=1/1 ref=job-c", r.Detail)
		require.Equal(t, telemetry.OutcomeUnknown, r.Outcome)
	})
}

// A second part that is refused doesn't make the message refused: the first one is out.
func TestPartial(t *testing.T) {
	k := newFake()
	k.result = func(n int) string {
		if n == 2 {
			return "/+CMS ERROR: 41/"
		}
		return "/+CMGS: 1//OK/"
	}
	in(t, Config{}, k, func(x *rig) {
		r := x.send(x.t.Context(), "c", phone, strings.Repeat("山", 150))
		require.Equal(t, telemetry.OutcomeUnknown, r.Outcome)
		require.Equal(t, "partial temporary cms=41 part=2/3 ref=job-c", r.Detail)
		require.Len(t, k.pdus, 2)
		x.modem.say(lines("/+CDS: 26/0006010D91683108108300F06211213260002362112132603023" + "00/"))
		idle(time.Second)
		require.Empty(t, x.readings(telemetry.KindResult), "a part isn't the message")
	})
}

// The reference comes after the wait was over; a report then tells what the outcome couldn't.
func TestLateReference(t *testing.T) {
	k := newFake()
	k.result = func(int) string { return "" }
	in(t, Config{}, k, func(x *rig) {
		require.Equal(t, telemetry.OutcomeUnknown, x.send(x.t.Context(), "c", phone, secret).Outcome)
		k.say(lines("/+CMGS: 5//OK/"))
		idle(time.Second)
		k.say(lines("/+CDS: 26/0006050D91683108108300F06211213260002362112132603023" + "00/"))
		idle(time.Second)
		require.Equal(t, []string{`{"command":"c","outcome":"done","detail":"delivered ref=job-c"}`}, x.readings(telemetry.KindResult))
		require.Equal(t, uint64(1), x.driver.Counters()["late"])
	})
}

// A modem that never prompts is woken with ESC and AT, and reset after the second time.
func TestReset(t *testing.T) {
	k := newFake()
	k.prompt = func(int) string { return "" }
	in(t, Config{}, k, func(x *rig) {
		require.Equal(t, "no_prompt ref=job-1", x.send(x.t.Context(), "1", phone, secret).Detail)
		require.Zero(t, k.count("AT+CFUN=1,1"))
		require.Equal(t, "no_prompt ref=job-2", x.send(x.t.Context(), "2", phone, secret).Detail)
		require.Equal(t, 1, k.count("AT+CFUN=1,1"))
		require.ErrorIs(t, <-x.done, errRestart)
		x.done <- nil
		require.Empty(t, k.pdus)
	})
}

// A modem that has come up says so some seconds after it took the first commands.
func TestComesUp(t *testing.T) {
	k := newFake()
	in(t, Config{}, k, func(x *rig) {
		require.Equal(t, 1, k.count("AT+CNMI=2,1,0,1,0"))
		k.say(lines("/+CPIN: NOT READY/"))
		idle(time.Second)
		k.say(lines("/+CPIN: READY//Call Ready//SMS Ready/"))
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "c", phone, secret).Outcome)
		require.Equal(t, 2, k.count("AT+CNMI=2,1,0,1,0"))
	})
}

// Without echo a command that comes back shows a modem that lost its settings.
func TestBrownOut(t *testing.T) {
	k := newFake()
	in(t, Config{}, k, func(x *rig) {
		k.mu.Lock()
		k.echo = true
		k.mu.Unlock()
		idle(2 * time.Minute)
		require.ErrorIs(t, <-x.done, errRestart)
		x.start()
		require.Positive(t, x.driver.Counters()["echoes"])
		require.Equal(t, uint64(1), x.driver.Counters()["restarts"])
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "c", phone, secret).Outcome)
	})
}

func TestAlarms(t *testing.T) {
	k := newFake()
	k.set("AT+CPIN?", "/+CME ERROR: 10/")
	in(t, Config{}, k, func(x *rig) {
		require.Equal(t, "sim missing ref=job-c", x.send(x.t.Context(), "c", phone, secret).Detail)
		idle(3 * time.Minute)
		k.set("AT+CPIN?", "/+CPIN: SIM PIN//OK/")
		idle(3 * time.Minute)
		require.Equal(t, "sim pin ref=job-d", x.send(x.t.Context(), "d", phone, secret).Detail)
		k.set("AT+CPIN?", "/+CPIN: READY//OK/")
		k.set("AT+CREG?", "/+CREG: 0,2//OK/")
		idle(2 * time.Minute)
		require.Equal(t, "temporary not_registered ref=job-e", x.send(x.t.Context(), "e", phone, secret).Detail)
		require.Len(t, x.readings(telemetry.KindAlarm), 2)
		idle(10 * time.Minute)
		k.set("AT+CREG?", "/+CREG: 0,5//OK/")
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "f", phone, secret).Outcome, "it is looked again before it is refused")
		require.Equal(t, []string{
			`{"code":"sim_missing","severity":"major","detail":"no messages can be sent"}`,
			`{"code":"sim_pin","severity":"major","detail":"no messages can be sent"}`,
			`{"code":"not_registered","severity":"major","detail":"registration 2"}`,
		}, x.readings(telemetry.KindAlarm))
		k.set("AT+CREG?", "/+CREG: 0,3//OK/")
		idle(10 * time.Minute)
		require.Len(t, x.readings(telemetry.KindAlarm), 4, "it comes again")
	})
}

func TestDailyCap(t *testing.T) {
	in(t, Config{DailyCap: 3}, newFake(), func(x *rig) {
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "1", phone, strings.Repeat("山", 100)).Outcome)
		require.Equal(t, "daily_cap ref=job-2", x.send(x.t.Context(), "2", phone, strings.Repeat("山", 100)).Detail)
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "3", phone, "x").Outcome)
		require.Equal(t, "daily_cap ref=job-4", x.send(x.t.Context(), "4", phone, "x").Detail)
		idle(time.Second)
		require.Len(t, x.readings(telemetry.KindAlarm), 1)
		idle(24 * time.Hour)
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "5", phone, "x").Outcome)
	})
}

func TestBadCommands(t *testing.T) {
	in(t, Config{MaxParts: 2}, newFake(), func(x *rig) {
		for want, c := range map[string]telemetry.CommandTo{
			"unknown_action": {Action: "read_sms"},
			"bad_number":     {Action: "send_sms", Args: map[string]string{"to": "+86138 0013", "text": "x"}},
			"bad_text":       {Action: "send_sms", Args: map[string]string{"to": phone, "text": "a\x1a"}},
			"too_long":       {Action: "send_sms", Args: map[string]string{"to": phone, "text": strings.Repeat("山", 135)}},
			"bad_ref":        {Action: "send_sms", Args: map[string]string{"to": phone, "text": "x", "ref": "for-13800138000"}},
		} {
			r := x.driver.Command(x.t.Context(), c)
			require.Equal(t, telemetry.Result{Outcome: telemetry.Refused, Detail: want}, r)
		}
		require.Empty(t, x.modem.pdus)
		require.True(t, x.driver.Private("send_sms"))
		require.False(t, x.driver.Private("restart"))
	})
}

// A command whose time is over while it waits for the pause between messages isn't sent.
func TestBusy(t *testing.T) {
	in(t, Config{Spacing: 30 * time.Second}, newFake(), func(x *rig) {
		require.Equal(t, telemetry.Done, x.send(x.t.Context(), "1", phone, "x").Outcome)
		ctx, cancel := context.WithTimeout(x.t.Context(), 10*time.Second)
		defer cancel()
		require.Equal(t, "busy ref=job-2", x.send(ctx, "2", phone, "x").Detail)
		require.Len(t, x.modem.pdus, 1)
	})
}

func contract(t *testing.T) (func(port.Opener) devices.Driver, devicestest.Device) {
	return func(open port.Opener) devices.Driver {
		d, err := New(Config{Port: "serial:/dev/null"}, devices.Env{Name: "sms", Log: slog.New(slog.DiscardHandler), Open: open})
		require.NoError(t, err)
		return d
	}, func(ctx context.Context, conn devicestest.Conn) { newFake().play(ctx, conn) }
}

func TestContract(t *testing.T) {
	d, device := contract(t)
	devicestest.Contract(t, d, device)
	devicestest.OnPTY(t, d, device)
	devicestest.OnTCP(t, d, device)
}

func TestConfig(t *testing.T) {
	err := Config{
		Port: "usb", SMSC: "+86x", Validity: time.Minute, Spacing: time.Second, DailyCap: -1, MaxParts: 11, Inbox: "read", Every: time.Second,
		Timeout: time.Millisecond, SendTimeout: time.Hour, RegisterAlarm: time.Second, ResetAfter: 101,
	}.Validate()
	for _, key := range []string{"port", "smsc", "validity", "spacing", "daily_cap", "max_parts", "inbox", "every", "timeout", "send_timeout", "register_alarm", "reset_after"} {
		require.ErrorContains(t, err, key+":")
	}
	require.NoError(t, Config{Port: "serial:/dev/ttyUSB0"}.Validate())
}

// idle lets time of the bubble pass, until all are at rest.
func idle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
