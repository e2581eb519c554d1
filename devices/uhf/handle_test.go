package uhf

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// framed makes an answer of a family.
func framed(f family, cmd byte, data []byte) []byte {
	data = data[:min(len(data), 240)]
	switch f.(type) {
	case bb7e:
		return bbAnswer(1+byte(len(data)&1), cmd, data...)
	case a0:
		return a0Frame(1, cmd, data...).frame
	case lenadr:
		return laFrame(0, cmd, data...).frame
	}
	return swAnswer(cmd, swOK, data...)
}

// FuzzHandle feeds what any sound frame can hold to everything that looks into one.
func FuzzHandle(f *testing.F) {
	f.Add(byte(0), byte(bbPoll), unhex(f, "C9340030751FEB705C5904E3D50D703A76"))
	f.Add(byte(1), byte(a0RealTime), unhex(f, "743000E2004074850A0103163070E136"))
	f.Add(byte(2), byte(swInventory), unhex(f, "00010F0101E2004074850A0103163070E1BC"))
	f.Add(byte(3), byte(laInventory), unhex(f, "0101010CE2004074850A0103163070E162"))
	f.Fuzz(func(t *testing.T, which, cmd byte, data []byte) {
		fam := families()[which%4]
		d := testDriver(t, Config{PowerDBm: ptr(20)}, nil)
		s := newSession(d, nil, nil)
		s.speak(fam)
		s.up, s.polling, s.antenna = true, which&8 == 0, int(which>>4)
		s.round = !s.polling
		frame := framed(fam, cmd, data)
		if size, v := fam.cut(frame); v == whole && size == len(frame) {
			s.handle(time.Now(), frame)
		}
		for _, set := range fam.settings(broadcast, d.cfg) {
			if set.value != nil {
				set.value(data)
			}
		}
		d.teller.Reads(time.Now(), s.reads)
		d.teller.Tick(time.Now().Add(time.Hour))
		require.NoError(t, d.teller.Flush(t.Context(), func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				require.NoError(t, r.Validate())
			}
			return nil
		}))
	})
}

// All that a read costs the gateway, from the bytes to the readings: at 1,000 reads a second
// 50,000 ns/op would be 5% of a core. Beside it, what splitting the bytes into frames costs.
func BenchmarkRead(b *testing.B) {
	for _, fam := range families() {
		const e = "3074257BF7194E40000000"
		var stream []byte
		for i := range 200 {
			epc := append(unhex(b, e), byte(i))
			switch fam.(type) {
			case bb7e:
				stored := append([]byte{0x30, 0}, epc...)
				crc := gen2CRC(stored)
				stream = append(stream, bbAnswer(bbNotice, bbPoll, append(append([]byte{0xC9}, stored...), byte(crc>>8), byte(crc))...)...)
			case a0:
				stream = append(stream, a0Frame(1, a0RealTime, append(append([]byte{0x74, 0x30, 0}, epc...), 0x36)...).frame...)
			case lenadr:
				stream = append(stream, laFrame(0, laInventory, append(append([]byte{laMore, 1, 1, 12}, epc...), 0x36)...).frame...)
			default:
				stream = append(stream, swAnswer(swInventory, swOK, append(append([]byte{0, 1, 15, 1, 1}, epc...), 0xC9)...)...)
			}
		}
		each := func(b *testing.B, frame func(int, []byte)) {
			in := frames{cut: fam.cut, counts: &counts{}}
			src := bytes.NewReader(stream)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f, ok := in.next(false)
				for !ok {
					if in.fill(src) != nil {
						src.Reset(stream)
					}
					f, ok = in.next(false)
				}
				frame(i, f)
			}
		}
		b.Run(fam.word()+"/split", func(b *testing.B) { each(b, func(int, []byte) {}) })
		b.Run(fam.word()+"/fold", func(b *testing.B) {
			d := testDriver(b, Config{}, nil)
			s := newSession(d, nil, nil)
			s.speak(fam)
			s.up, s.polling = true, true
			now := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
			each(b, func(i int, f []byte) {
				now = now.Add(time.Millisecond)
				s.reads = s.reads[:0]
				s.handle(now, f)
				d.teller.Reads(now, s.reads)
				if i%200 == 0 {
					d.teller.Tick(now)
					require.NoError(b, d.teller.Flush(b.Context(), func(context.Context, ...telemetry.Reading) error { return nil }))
				}
			})
		})
	}
}
