package strict_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/configs/strict"
)

type level string

func (l *level) UnmarshalText(b []byte) error {
	if s := string(b); s != "low" && s != "high" {
		return errors.New("must be low or high")
	}
	*l = level(b)
	return nil
}

type user struct {
	Name string `yaml:"name" strict:"required"`
	Hash string `yaml:"hash" strict:"secret"`
}

type limits struct {
	Clients uint16  `yaml:"clients"`
	Ratio   float64 `yaml:"ratio"`
}

type config struct {
	Gateway string            `yaml:"gateway" strict:"required"`
	Linger  time.Duration     `yaml:"linger"`
	Level   level             `yaml:"level"`
	Users   []user            `yaml:"users"`
	Labels  map[string]string `yaml:"labels"`
	Small   int8              `yaml:"small"`
	On      bool              `yaml:"on"`
	Extra   *limits           `yaml:"extra"`
	Devices []strict.Node     `yaml:"devices"`
	limits  `yaml:",inline"`
	Hidden  string `yaml:"-"`
}

func (c *config) Validate() error {
	var errs []error
	if c.Gateway != "van-03" {
		errs = append(errs, strict.Field("gateway", "%q is not van-03", c.Gateway))
	}
	for _, u := range c.Users {
		if u.Name == "root" {
			errs = append(errs, strict.Field("users[1].name", "root is not allowed"))
		}
	}
	return errors.Join(errs...)
}

type settings struct {
	Port string `yaml:"port"`
	Baud int    `yaml:"baud"`
}

const good = `# a comment
gateway: van-03
linger: 250ms
level: high
users:
  - {name: anna, hash: "x:y"}
  - name: bert   # his comment
    hash: z
labels: {site: wh, "on": "1"}
small: -128
on: true
extra:
  clients: 65535
ratio: 2
devices:
  - id: gps
    port: "serial:/dev/ttyUSB0?baud=9600"
    baud: 9600
`

func TestDecodeAndPrintRoundTrip(t *testing.T) {
	c := config{Hidden: "kept"}
	require.NoError(t, strict.Decode("g.yaml", []byte(good), &c))
	require.Equal(t, 250*time.Millisecond, c.Linger)
	require.Equal(t, level("high"), c.Level)
	require.Equal(t, []user{{"anna", "x:y"}, {"bert", "z"}}, c.Users)
	require.Equal(t, map[string]string{"site": "wh", "on": "1"}, c.Labels)
	require.Equal(t, int8(-128), c.Small)
	require.True(t, c.On)
	require.Equal(t, uint16(65535), c.Extra.Clients)
	require.Equal(t, 2.0, c.Ratio)
	require.Equal(t, "kept", c.Hidden)
	var s settings
	require.NoError(t, c.Devices[0].Decode(&s, "id"))
	require.Equal(t, settings{"serial:/dev/ttyUSB0?baud=9600", 9600}, s)

	out := strict.Print(&c)
	require.NotContains(t, out, "x:y")
	require.Contains(t, out, "hash: (set)")
	var again config
	require.NoError(t, strict.Decode("p.yaml", []byte(out), &again), out)
	again.Users, again.Devices, again.Hidden = c.Users, c.Devices, c.Hidden
	require.Equal(t, c, again)
}

func TestEveryErrorAtOnceInOrder(t *testing.T) {
	src := `gateway: van-04
gatewey: x
linger: 5
level: loud
users:
  - {hash: a}
  - {name: root}
  - just text
labels: [a]
small: 300
on: yes
extra: {clients: -1, ratio: much}
gateway: twice
devices:
- id: gps
  bawd: 1
  port: 7
`
	var c config
	err := strict.Decode("g.yaml", []byte(src), &c)
	require.Equal(t, []string{
		`g.yaml:2:1: gatewey: unknown key; allowed here: clients, devices, extra, gateway, labels, level, linger, on, ratio, small, users`,
		`g.yaml:3:9: linger: must be a duration such as 250ms, 5s or 10m, not 5`,
		`g.yaml:4:8: level: must be low or high`,
		`g.yaml:6:5: users[0].name: is required`,
		`g.yaml:7:12: users[1].name: root is not allowed`,
		`g.yaml:8:5: users[2]: must be a mapping (key: value), not the string "just text"`,
		`g.yaml:9:9: labels: must be a mapping (key: value), not a list`,
		`g.yaml:10:8: small: 300 is outside -128 to 127`,
		`g.yaml:11:5: on: must be true or false, not the string "yes"`,
		`g.yaml:12:18: extra.clients: -1 is outside 0 to 65535`,
		`g.yaml:12:29: extra.ratio: must be a number, not the string "much"`,
		`g.yaml:13:1: gateway: is given twice, first on line 1`,
	}, strings.Split(err.Error(), "\n"), "an error about a key that is already reported is left out")
	var s settings
	require.Equal(t, []string{
		`g.yaml:16:3: devices[0].bawd: unknown key; allowed here: baud, port`,
		`g.yaml:17:9: devices[0].port: must be a string: put 7 in quotes`,
	}, strings.Split(c.Devices[0].Decode(&s, "id").Error(), "\n"))
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"syntax":         {"gateway: [a\nb: c", "g.yaml:2:1: "},
		"tab":            {"a:\n\tb: c\n", "g.yaml:2:"},
		"anchor":         {"gateway: &a van-03\nlabels: {x: *a}\n", "g.yaml:1:10: gateway: anchors"},
		"merge":          {"gateway: van-03\nlabels:\n  <<: {a: b}\n", "g.yaml:3:3: labels: key << is no plain string"},
		"tag":            {"gateway: !!str 5\n", "g.yaml:1:10: gateway: anchors, aliases, merge keys and tags"},
		"two documents":  {"gateway: van-03\n---\ngateway: x\n", "a second document"},
		"null string":    {"gateway:\nsmall: 1\n", "gateway: must be a string, not nothing"},
		"number":         {"gateway: 007\n", "put 007 in quotes"},
		"number key":     {"gateway: van-03\n1: x\n", "g.yaml:2:1: key 1 is no plain string"},
		"float as int":   {"gateway: van-03\nsmall: 1.5\n", "must be a whole number, not 1.5"},
		"no mapping":     {"- a\n", "must be a mapping (key: value), not a list"},
		"empty":          {"", "g.yaml:1:1: gateway: is required"},
		"comments only":  {"# nothing\n", "gateway: is required"},
		"long duration":  {"gateway: van-03\nlinger: 9999999999h\n", "is no duration"},
		"not UTF-8, NUL": {"gateway: \x00\xff\n", "g.yaml:1:"},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg config
			err := strict.Decode("g.yaml", []byte(c.src), &cfg)
			require.ErrorContains(t, err, c.want)
		})
	}
	require.ErrorContains(t, strict.Decode("g.yaml", make([]byte, strict.MaxBytes+1), &config{}), "at most 1048576")
}

func TestLocatePlacesForeignErrors(t *testing.T) {
	n, err := strict.Parse("g.yaml", []byte("id: gps\nport: x\n"))
	require.NoError(t, err)
	err = n.Locate(errors.Join(errors.New("port: no such scheme"), errors.New("baud is absent")))
	require.EqualError(t, err, "g.yaml:1:1: baud is absent\ng.yaml:2:7: port: no such scheme")
	require.NoError(t, n.Locate(nil))

	// What could not be read is not judged, and the rest is.
	var s struct {
		Port int `yaml:"port"`
	}
	err = n.Locate(errors.Join(n.Decode(&s, "id"), errors.New("port: must be above 0"), errors.New("baud is absent")))
	require.EqualError(t, err, "g.yaml:1:1: baud is absent\ng.yaml:2:7: port: must be a whole number, not the string \"x\"")
	require.NoError(t, strict.Join(nil, nil))
}

func TestEmptyListAndMapping(t *testing.T) {
	c := config{Users: []user{{Name: "default"}}}
	require.NoError(t, strict.Decode("g.yaml", []byte("gateway: van-03\nusers:\n  # - {name: a}\nextra:\n"), &c))
	require.Empty(t, c.Users)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: [1, {b: c}]\n--- \n? x\n: y"))
	f.Add([]byte("gateway: |\n  x\nlabels: {a: 'b', <<: *c}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		var c config
		if err := strict.Decode("f.yaml", src, &c); err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		_ = strict.Print(&c)
	})
}
