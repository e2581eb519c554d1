package channels

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Notify says how recipients are told.
type Notify struct {
	Channels    []Channel           `yaml:"channels"`     // in order: the next is taken when one can't
	Templates   map[string]Template `yaml:"templates"`    // texts that replace the built-in ones, by event
	Sign        Text                `yaml:"sign"`         // who it is from, in front of each text
	Off         []string            `yaml:"off"`          // events that nobody is told of
	Quiet       Quiet               `yaml:"quiet"`        // nobody is told then, but by a channel that says otherwise
	Keepers     map[string]string   `yaml:"keepers"`      // whose task it is at a site; else keeper/SITE
	Marker      string              `yaml:"marker"`       // a file outside of the database, by which a restored one is noticed; empty: notice.mark beside token_file
	ReportWait  time.Duration       `yaml:"report_wait"`  // how long a delivery report may take
	TaskAfter   time.Duration       `yaml:"task_after"`   // a notice that isn't out by then is a person's task too
	GiveUp      time.Duration       `yaml:"give_up"`      // and by then a person's alone
	ArrivalWait time.Duration       `yaml:"arrival_wait"` // where an outlet has a locker, how long a parcel may take into it
	OldAfter    time.Duration       `yaml:"old_after"`    // what happened longer ago is told when a person says so
}

// Text is a word in the county's languages.
type Text struct {
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
}

// Quiet is a stretch of the day, of the county's clock: 21:30 to 07:30. Empty: none.
type Quiet struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// Template is the text of an event. {name} stands for a value, see Values.
type Template struct {
	ZH     string   `yaml:"zh"`
	EN     string   `yaml:"en"`
	ID     string   `yaml:"id"`     // the provider's, where it takes no free text
	Params []string `yaml:"params"` // names of values, in the order of the provider's template
}

// Channel is one way to a recipient.
type Channel struct {
	Name      string              `yaml:"name" strict:"required"`
	Kind      string              `yaml:"kind" strict:"required"` // modem, http, smtp, outbox
	Form      string              `yaml:"form"`                   // text (the default), speech, mail, data
	Events    []string            `yaml:"events"`                 // empty: all
	Sites     []string            `yaml:"sites"`                  // only for parcels of these outlets; empty: of all
	Device    string              `yaml:"device"`                 // of kind modem: gateway/device
	HTTP      *HTTP               `yaml:"http"`
	SMTP      *SMTP               `yaml:"smtp"`
	Templates map[string]Template `yaml:"templates"`  // this provider's, by event
	Extension string              `yaml:"extension"`  // of a virtual number: skip (the default), dial, text
	DailyCap  int64               `yaml:"daily_cap"`  // messages a day of the county, 0: no cap
	PerMinute int64               `yaml:"per_minute"` // 0: no limit
	Quiet     *Quiet              `yaml:"quiet"`      // in place of the one for all
	Tries     int                 `yaml:"tries"`      // in a row before the next channel, default 3
	Timeout   time.Duration       `yaml:"timeout"`    // of one try, default 15s
	Reports   bool                `yaml:"reports"`    // says later what became of a message
}

// HTTP is a provider's request and how its answers read. URL, header values and body are Go templates over Fields.
type HTTP struct {
	Method  string            `yaml:"method"` // default POST
	URL     string            `yaml:"url" strict:"required"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	Secrets map[string]string `yaml:"secrets"` // name to file; {{secret "name"}}
	CAFile  string            `yaml:"ca_file"` // who signed the provider's certificate, where no public one did
	Sign    *Sign             `yaml:"sign"`
	Success *Match            `yaml:"success"` // of answers with a 2xx status; absent: all are
	Errors  []Match           `yaml:"errors"`  // the first that fits gives the class
	ID      string            `yaml:"id"`      // where the answer has the message's id: a field
	Report  *Report           `yaml:"report"`  // how its delivery reports read
}

// Sign is a keyed hash over a template, which others name {{.Signature}}.
type Sign struct {
	Hash   string `yaml:"hash"`                   // sha256 (the default), sha1
	Key    string `yaml:"key" strict:"required"`  // the name of a secret
	Over   string `yaml:"over" strict:"required"` // {{.Body}} is the body where that doesn't name the signature
	Encode string `yaml:"encode"`                 // hex (the default), base64
}

// Match fits an answer when all that it says fits.
type Match struct {
	Status []int  `yaml:"status"`
	Field  string `yaml:"field"` // a JSON path (data.0.code), body, or in reports a parameter
	Match  string `yaml:"match"` // a regular expression for the whole of it
	Class  string `yaml:"class"` // temporary, permanent, unknown, accepted
}

// Report reads a delivery report, a request of the provider to /hook/notice/{channel}/{secret}.
type Report struct {
	Secret    string `yaml:"secret" strict:"required"` // name of the secret that stands in the path
	Ref       string `yaml:"ref"`                      // the field with our ref; or
	ID        string `yaml:"id"`                       // the field with the provider's id
	Status    string `yaml:"status" strict:"required"` // the field that tells
	Delivered string `yaml:"delivered" strict:"required"`
	Failed    string `yaml:"failed" strict:"required"` // what fits neither is no end, and passed over
	Answer    string `yaml:"answer"`                   // what the provider wants to hear, default "ok"
}

// SMTP is a mail server.
type SMTP struct {
	Server   string `yaml:"server" strict:"required"` // host:port
	From     string `yaml:"from" strict:"required"`
	User     string `yaml:"user"`
	Password string `yaml:"password_file"`
	TLS      string `yaml:"tls"`     // starttls (the default), none (loopback only)
	CAFile   string `yaml:"ca_file"` // who signed its certificate, where no public one did
	Hello    string `yaml:"hello"`   // default localhost
}

// Fields are what the templates of HTTP may name. Functions: json, query, xml, ucs2, base64, sha256, md5, upper, secret.
type Fields struct {
	Phone, Ext, Email          string
	Text, Subject, Lang        string
	Code, Tail, Event, Waybill string
	Template                   string
	Params                     []string
	Values                     map[string]string
	Ref, Nonce                 string
	Unix                       int64
	Time                       string // RFC 3339, UTC
	Report                     string // URL of the report hook, ending before any query
	Body, Signature            string
}

// Values are the names that texts may hold in braces.
var Values = []string{"sign", "code", "cell", "locker", "site", "until", "tail", "waybill", "class", "village", "link"}

// Events are those that a recipient is told of; exception has one text for each class, as exception.damage.
var Events = []string{
	"arrived", "deposited", "reminder", "last_day", "expired", "extended", "recoded", "collected", "late",
	"exception", "exception.loss", "exception.damage", "exception.misdelivery", "resolved", "offline", "sign_in",
}

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)
	clockForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	valueForm = regexp.MustCompile(`\{([a-z_]*)\}`)
)

// DefaultNotify is what holds where nothing else is said.
func DefaultNotify() Notify {
	return Notify{
		Sign: Text{ZH: "云岭驿站", EN: "Yunling Post"}, Quiet: Quiet{From: "21:30", To: "07:00"},
		ReportWait: 10 * time.Minute, TaskAfter: 9 * time.Minute, GiveUp: 24 * time.Hour, ArrivalWait: 2 * time.Hour, OldAfter: 72 * time.Hour,
	}
}

// Bad is told of a key that is wrong.
type Bad func(path, format string, args ...any)

// Validate names all keys below at that are wrong.
func (n *Notify) Validate(at string, bad Bad) {
	seen := map[string]bool{}
	for i := range n.Channels {
		c, path := &n.Channels[i], fmt.Sprintf("%s.channels[%d]", at, i)
		if !nameForm.MatchString(c.Name) || seen[c.Name] {
			bad(path+".name", "%q must be 1 to 24 of a-z, 0-9 and '-', and given once", c.Name)
		}
		seen[c.Name] = true
		c.validate(path, bad)
	}
	checkTemplates(at+".templates", n.Templates, bad)
	checkEvents(at+".off", n.Off, bad)
	n.Quiet.validate(at+".quiet", bad)
	for _, d := range []struct {
		name     string
		v        time.Duration
		min, max time.Duration
	}{
		{"report_wait", n.ReportWait, time.Minute, 24 * time.Hour},
		{"task_after", n.TaskAfter, time.Minute, 24 * time.Hour},
		{"give_up", n.GiveUp, n.TaskAfter, 14 * 24 * time.Hour},
		{"arrival_wait", n.ArrivalWait, 0, 48 * time.Hour},
		{"old_after", n.OldAfter, time.Hour, 30 * 24 * time.Hour},
	} {
		if d.v < d.min || d.v > d.max {
			bad(at+"."+d.name, "%v is outside %v to %v", d.v, d.min, d.max)
		}
	}
}

func (q *Quiet) validate(at string, bad Bad) {
	if (q.From == "") != (q.To == "") {
		bad(at, "needs from and to")
		return
	}
	for _, f := range [][2]string{{"from", q.From}, {"to", q.To}} {
		if f[1] != "" && !clockForm.MatchString(f[1]) {
			bad(at+"."+f[0], "%q is no time of day such as 21:30", f[1])
		}
	}
}

// Around tells when the quiet stretch that at lies in ends; ok is false outside of it. at is in the county's zone.
func (q Quiet) Around(at time.Time) (end time.Time, ok bool) {
	if q.From == "" || q.From == q.To {
		return end, false
	}
	from, to, now := minutes(q.From), minutes(q.To), at.Hour()*60+at.Minute()
	day := at
	switch {
	case from < to && (now < from || now >= to), from > to && now < from && now >= to:
		return end, false
	case from > to && now >= from:
		day = day.AddDate(0, 0, 1)
	}
	return time.Date(day.Year(), day.Month(), day.Day(), to/60, to%60, 0, 0, at.Location()), true
}

func minutes(clock string) int {
	h, _ := strconv.Atoi(clock[:2])
	m, _ := strconv.Atoi(clock[3:])
	return h*60 + m
}

func checkEvents(at string, events []string, bad Bad) {
	for i, e := range events {
		if !slices.Contains(Events, e) {
			bad(fmt.Sprintf("%s[%d]", at, i), "%q is none of %s", e, strings.Join(Events, ", "))
		}
	}
}

func checkTemplates(at string, all map[string]Template, bad Bad) {
	for event, t := range all {
		path := at + "." + event
		checkEvents(path, []string{event}, func(_, format string, args ...any) { bad(path, format, args...) })
		for _, m := range append(valueForm.FindAllStringSubmatch(t.ZH, -1), valueForm.FindAllStringSubmatch(t.EN, -1)...) {
			if !slices.Contains(Values, m[1]) {
				bad(path, "{%s} is none of %s", m[1], strings.Join(Values, ", "))
			}
		}
		for _, p := range t.Params {
			if !slices.Contains(Values, p) {
				bad(path+".params", "%q is none of %s", p, strings.Join(Values, ", "))
			}
		}
	}
}

// Parse reads a template of HTTP with the functions given.
func Parse(name, text string, funcs template.FuncMap) (*template.Template, error) {
	return template.New(name).Option("missingkey=error").Funcs(funcs).Parse(text)
}
