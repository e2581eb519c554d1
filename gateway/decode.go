package main

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"yizhan/devices/epc"
	"yizhan/devices/gnss"
	"yizhan/devices/jt808"
	"yizhan/devices/llrp"
	"yizhan/devices/lockerbus"
	"yizhan/devices/modbus"
	"yizhan/devices/modem"
	"yizhan/devices/mqttlocker"
	"yizhan/devices/onewire"
	"yizhan/devices/scale"
	"yizhan/devices/scanner"
	"yizhan/devices/sht3x"
	"yizhan/devices/telemetry"
	"yizhan/devices/uhf"
)

// A stream is what every driver decodes captured bytes with.
type stream func(r io.Reader, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error)

// A decoding is one kind of captured bytes. flags declares the kind's own flags and returns the
// decoder that reads their values.
type decoding struct {
	kind, input string
	flags       func(*flag.FlagSet) stream
}

// decodings lists what decode understands.
var decodings = []decoding{
	{"epc", "EPCs in hex, one a line", func(*flag.FlagSet) stream { return epc.Decode }},
	{"gnss", "what a receiver or gpsd sends", decodeGNSS},
	{"jt808", "what JT/T 808 terminals send", decodeJT808},
	{"llrp", "LLRP messages, of either side", func(*flag.FlagSet) stream {
		return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
			return llrp.Decode(r, llrp.Options{}, emit, reject)
		}
	}},
	{"lockerbus", "the bytes of a line of lock boards", decodeLockerbus},
	{"modbus", "requests and replies of a Modbus line, in their order", decodeModbus},
	{"modem", "AT commands and answers of a modem, or PDUs in hex, one a line", func(*flag.FlagSet) stream {
		return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
			return modem.Decode(r, modem.Options{}, emit, reject)
		}
	}},
	{"mqttlocker", "what a locker published, as mosquitto_sub -v prints it", decodeMQTTLocker},
	{"onewire", "w1_slave texts of 1-Wire probes, as cat or grep print them", func(*flag.FlagSet) stream {
		return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
			return onewire.Decode(r, onewire.Options{}, emit, reject)
		}
	}},
	{"sht3x", "measurements of an SHT3x, six bytes each", func(*flag.FlagSet) stream {
		return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
			return sht3x.Decode(r, sht3x.Options{}, emit, reject)
		}
	}},
	{"scale", "what a weighing indicator sends", decodeScale},
	{"scanner", "what a barcode scanner sends", func(*flag.FlagSet) stream {
		return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
			return scanner.Decode(r, scanner.Options{}, emit, reject)
		}
	}},
	{"uhf", "the bytes of a serial UHF module's line, of either side", decodeUHF},
}

func decodeGNSS(f *flag.FlagSet) stream {
	var o gnss.Options
	f.BoolVar(&o.AllowMissingChecksum, "unchecked", false, "take sentences that have no checksum")
	choice(f, &o.Protocol, "protocol", "who speaks: a receiver in NMEA 0183 and UBX, or gpsd", gnss.Receiver, gnss.GPSD)
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		return gnss.Decode(r, o, emit, reject)
	}
}

func decodeJT808(f *flag.FlagSet) stream {
	var o jt808.Options
	f.BoolVar(&o.GCJ02, "gcj02", false, "coordinates are GCJ-02")
	f.BoolVar(&o.LenientChecksum, "lenient-checksum", false, "take frames whose check is wrong")
	f.BoolVar(&o.LenientLength, "lenient-length", false, "don't believe the length in the header")
	f.BoolVar(&o.YueBiao, "yue-biao", false, "items 64 to 70 have a length of four bytes")
	offset := f.Duration("utc-offset", 8*time.Hour, "of the terminals' times")
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		o.UTCOffset = offset
		return jt808.Decode(r, o, emit, reject)
	}
}

func decodeLockerbus(f *flag.FlagSet) stream {
	var o lockerbus.Options
	choice(f, &o.Family, "family", "what the boards speak", lockerbus.Families()...)
	choice(f, &o.Feedback, "feedback", "when the lock's contact is closed", lockerbus.LockedShort, lockerbus.OpenShort)
	choice(f, &o.BitmapOneMeans, "bitmap-one-means", "what a bit of 1 in an answer for all locks means, as feedback says of 11 unless given", "", lockerbus.Locked, lockerbus.Open)
	choice(f, &o.Occupancy, "occupancy", "whether answers carry item bits", lockerbus.None, lockerbus.Infrared)
	choice(f, &o.ItemOneMeans, "item-one-means", "what an item bit of 1 means", lockerbus.Present, lockerbus.Absent)
	number(f, &o.Doors, "doors", "doors of each board, as the family's boards have unless given", 1, 56)
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		return lockerbus.Decode(r, o, emit, reject)
	}
}

func decodeModbus(f *flag.FlagSet) stream {
	var o modbus.Options
	choice(f, &o.Profile, "profile", "what the registers mean", append([]string{"xy-md02"}, modbus.Profiles()...)...)
	choice(f, &o.Framing, "framing", "how frames travel", "rtu", "tcp")
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		return modbus.Decode(r, o, emit, reject)
	}
}

func decodeUHF(f *flag.FlagSet) stream {
	var o uhf.Options
	choice(f, &o.Family, "family", "the module's protocol", append([]string{"auto"}, uhf.Families()...)...)
	choice(f, &o.RSSI.Profile, "rssi", "what the byte of strength means", "auto", "signed", "minus_129", "none")
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		return uhf.Decode(r, o, emit, reject)
	}
}

func decodeMQTTLocker(f *flag.FlagSet) stream {
	var o mqttlocker.Options
	choice(f, &o.Shape, "shape", "how it names topics and fields", mqttlocker.OpenLocker, mqttlocker.LKAAS)
	number(f, &o.Cells, "cells", "how many it has, all unless given", 1, 1024)
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		return mqttlocker.Decode(r, o, emit, reject)
	}
}

func decodeScale(f *flag.FlagSet) stream {
	var o scale.Options
	choice(f, &o.Format, "format", "how it writes weights", scale.Formats()...)
	choice(f, &o.Unit, "unit", "of weights without one", scale.Units()...)
	return func(r io.Reader, emit func(telemetry.Reading) error, reject func(int64, []byte, string)) (map[string]uint64, error) {
		return scale.Decode(r, o, emit, reject)
	}
}

// choice declares a flag with one of some values, the first being the default.
func choice(f *flag.FlagSet, v *string, name, usage string, values ...string) {
	*v = values[0]
	values = slices.Compact(slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" }))
	list := strings.Join(values, ", ")
	f.Func(name, fmt.Sprintf("%s, `word` one of %s (default %s)", usage, list, cmp.Or(*v, "none")), func(s string) error {
		if !slices.Contains(values, s) {
			return fmt.Errorf("must be one of %s", list)
		}
		*v = s
		return nil
	})
}

// number declares a flag with a whole number in a range.
func number(f *flag.FlagSet, v *int, name, usage string, lo, hi int) {
	f.Func(name, fmt.Sprintf("%s, `n` from %d to %d (default %d)", usage, lo, hi, *v), func(s string) error {
		var n int
		if _, err := fmt.Sscanf(s, "%d", &n); err != nil || fmt.Sprint(n) != s || n < lo || n > hi {
			return fmt.Errorf("must be %d to %d", lo, hi)
		}
		*v = n
		return nil
	})
}

// decode prints what a driver makes of captured bytes: readings as JSON lines on stdout; on stderr what was
// thrown away (offset, bytes in hex, reason), and the counters at the end. It returns the exit status.
func decode(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return decodeUsage(stderr, "which kind?")
	}
	i := slices.IndexFunc(decodings, func(d decoding) bool { return d.kind == args[0] })
	if i < 0 {
		return decodeUsage(stderr, fmt.Sprintf("%.40q is no kind", args[0]))
	}
	flags := flag.NewFlagSet("gateway decode "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	hexText := flags.Bool("hex", false, "the input is text: bytes in hex")
	run := decodings[i].flags(flags)
	files, err := positional(flags, args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	if len(files) > 1 {
		return decodeUsage(stderr, "one file at a time")
	}
	in := stdin
	if len(files) == 1 && files[0] != "-" {
		f, err := os.Open(files[0])
		if err != nil {
			fmt.Fprintln(stderr, err)
			return exitFailed
		}
		defer f.Close()
		in = f
	}
	if *hexText {
		in = &hexReader{in: bufio.NewReader(in)}
	}
	return decodeStream(run, in, stdout, stderr)
}

func decodeUsage(stderr io.Writer, why string) int {
	fmt.Fprintf(stderr, "gateway decode: %s\nusage: gateway decode KIND [flags] [FILE]; kinds are\n", why)
	for _, d := range decodings {
		fmt.Fprintf(stderr, "  %-10s %s\n", d.kind, d.input)
	}
	return exitUsage
}

// positional parses flags before, between and after the words, which it returns.
func positional(f *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return words, nil
		}
		words = append(words, f.Arg(0))
		args = f.Args()[1:]
	}
}

func decodeStream(run stream, in io.Reader, stdout, stderr io.Writer) int {
	out, side := bufio.NewWriter(stdout), bufio.NewWriter(stderr)
	flush := func() error { return errors.Join(out.Flush(), side.Flush()) }
	var line []byte
	emit := func(r telemetry.Reading) error {
		line = append(r.AppendJSON(line[:0]), '\n')
		_, err := out.Write(line)
		return err
	}
	reject := func(offset int64, raw []byte, reason string) {
		fmt.Fprintf(side, "%d %x %s\n", offset, raw, reason)
	}
	counters, err := run(&prompt{in, flush}, emit, reject)
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		fmt.Fprintf(side, "%s %d\n", name, counters[name])
	}
	if err != nil {
		fmt.Fprintln(side, err)
	}
	if err = errors.Join(err, flush()); err != nil {
		return exitFailed
	}
	return exitOK
}

// prompt shows what is known before it waits for more input: a capture may still be going on.
type prompt struct {
	io.Reader
	flush func() error
}

// Read flushes, and reads.
func (p *prompt) Read(b []byte) (int, error) {
	if err := p.flush(); err != nil {
		return 0, err
	}
	return p.Reader.Read(b)
}

// A hexReader gives the bytes that a text spells in hex. White space, commas, colons, dashes and 0x are
// passed over.
type hexReader struct {
	in  *bufio.Reader
	at  int64
	err error
}

// Read decodes as many digits as there are.
func (h *hexReader) Read(b []byte) (n int, err error) {
	for n < len(b) && h.err == nil && (n == 0 || h.in.Buffered() > 0) {
		var pair [2]byte
		if pair[0], h.err = h.digit(); h.err != nil {
			break
		}
		if pair[1], h.err = h.in.ReadByte(); h.err != nil {
			h.err = fmt.Errorf("byte %d: half a byte", h.at)
			break
		}
		h.at++
		if pair == [2]byte{'0', 'x'} || pair == [2]byte{'0', 'X'} {
			continue
		}
		if _, err := hex.Decode(b[n:n+1], pair[:]); err != nil {
			h.err = fmt.Errorf("byte %d: %q is no byte in hex", h.at-2, pair[:])
			break
		}
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, h.err
}

// digit returns the next byte that separates nothing.
func (h *hexReader) digit() (byte, error) {
	for {
		c, err := h.in.ReadByte()
		if err != nil {
			return 0, err
		}
		h.at++
		if !strings.ContainsRune(" \t\r\n,:-", rune(c)) {
			return c, nil
		}
	}
}
