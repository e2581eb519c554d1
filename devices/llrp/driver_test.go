package llrp

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

func TestAPalletGoesThroughThePortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{Antennas: twoSides}, &reader{keepalive: true, play: func(c *readerConn) {
			through(c, tagA, 1, 2)
			c.wait(10 * time.Second)
			through(c, tagA, 2, 1)
		}})
		k.start()
		began := time.Now()
		idle(time.Minute)
		require.ErrorIs(t, k.stop(), context.Canceled)

		require.Equal(t, []string{"arrive 1", "in 2", "depart 2", "arrive 2", "out 1", "depart 1"}, k.passages())
		rs := k.of(telemetry.KindTag, false)
		for _, r := range rs {
			require.Equal(t, telemetry.RTC, r.TQ)
			require.NotEmpty(t, r.N)
			require.Equal(t, nameA, body[telemetry.Tag](t, r).EPC)
		}
		require.WithinDuration(t, began, rs[0].At, time.Millisecond)
		require.WithinDuration(t, began.Add(1900*time.Millisecond), rs[2].At, time.Millisecond)
		require.Equal(t, telemetry.Some(20), body[telemetry.Tag](t, rs[2]).Reads)

		raw := k.of(telemetry.KindTag, true)
		require.GreaterOrEqual(t, len(raw), 6)
		require.LessOrEqual(t, len(raw), 12, "raw reads are one a second for tag and antenna")
		c := k.d.Counters()
		require.Equal(t, uint64(40), c["tag_reports"])
		require.Equal(t, uint64(2), c["crossed"])
		require.Equal(t, uint64(len(raw)), c["raw_emitted"])
		require.Zero(t, c["resync"]+c["clock_refused"]+c["unexpected"])
	})
}

func TestOrderOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{}, &reader{keepalive: true})
		k.start()
		idle(25 * time.Second)
		began := time.Now()
		require.ErrorIs(t, k.stop(), context.Canceled)
		require.Less(t, time.Since(began), 500*time.Millisecond)
		k.wg.Wait()
		require.Equal(t, []uint16{
			msgCapabilities, msgDeleteROSpec, msgSetConfig, msgAddROSpec, msgEnableROSpec, msgStartROSpec,
			msgKeepaliveAck, msgKeepaliveAck,
			msgStopROSpec, msgDisableROSpec, msgDeleteROSpec, msgClose,
		}, k.reader.requests())
	})
}

func TestNothingIsSentBeforeTheReaderSpoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver, device := porttest.Pipe()
		d := testDriver(t, Config{}, func(context.Context, string) (port.Port, error) { return driver, nil })
		began := time.Now()
		err := d.Run(context.Background(), nil)
		require.ErrorContains(t, err, "connection attempt event: no answer within 10s")
		require.Equal(t, 10*time.Second, time.Since(began))
		require.NotErrorIs(t, err, devices.ErrPermanent)
		n, _ := device.Read(make([]byte, 1))
		require.Zero(t, n)
		require.Equal(t, uint64(1), d.Counters()["timeouts"])
	})
}

func TestAReaderThatServesAnotherIsLeftAlone(t *testing.T) {
	for _, attempt := range []uint16{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			k := newDock(t, Config{}, &reader{attempt: attempt})
			k.start()
			err := k.ended()
			require.ErrorIs(t, err, ErrBusy)
			require.NotErrorIs(t, err, devices.ErrPermanent)
			began := time.Now()
			k.start()
			require.ErrorIs(t, k.ended(), ErrBusy)
			require.Equal(t, busyPause, time.Since(began))
			require.Empty(t, k.reader.requests())
			require.Equal(t, uint64(2), k.d.Counters()["busy"])

			k.start() // and stopping doesn't wait for the pause
			began = time.Now()
			require.ErrorIs(t, k.stop(), context.Canceled)
			require.Zero(t, time.Since(began))
		})
	}
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{}, &reader{attempt: 3})
		k.start()
		err := k.ended()
		require.ErrorContains(t, err, "connection attempt status 3")
		require.NotErrorIs(t, err, ErrBusy)
	})
}

func TestASilentReaderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{Keepalive: 4 * time.Second}, &reader{})
		k.start()
		began := time.Now()
		require.ErrorContains(t, k.ended(), "no message for 10s")
		require.InDelta(t, 10, time.Since(began).Seconds(), 0.5)
		k.unplug()

		k = newDock(t, Config{Keepalive: 4 * time.Second}, &reader{keepalive: true})
		k.start()
		idle(time.Hour)
		require.ErrorIs(t, k.stop(), context.Canceled)
		require.GreaterOrEqual(t, k.d.Counters()["keepalives"], uint64(899))
	})
}

func TestRefusedSettingsAreBelievedTheThirdTime(t *testing.T) {
	for typ, code := range map[uint16]uint16{msgSetConfig: 101, msgAddROSpec: 301} {
		synctest.Test(t, func(t *testing.T) {
			k := newDock(t, Config{}, &reader{refuse: map[uint16]uint16{typ: code}})
			for range 2 {
				k.start()
				err := k.ended()
				require.ErrorContains(t, err, statusNames[code])
				require.NotErrorIs(t, err, devices.ErrPermanent)
			}
			k.start()
			require.ErrorIs(t, k.ended(), devices.ErrPermanent)
			k.unplug()
		})
	}
	for name, r := range map[string]*reader{
		"device error":    {refuse: map[uint16]uint16{msgAddROSpec: deviceError}},
		"can't start now": {refuse: map[uint16]uint16{msgStartROSpec: 101}},
		"no answer":       {mute: map[uint16]bool{msgEnableROSpec: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newDock(t, Config{}, r)
				for range 5 {
					k.start()
					err := k.ended()
					require.Error(t, err)
					require.NotErrorIs(t, err, devices.ErrPermanent)
				}
				k.unplug()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{Antennas: []passage.Antenna{{Port: 5}}}, &reader{})
		k.start()
		require.ErrorContains(t, k.ended(), "the reader has 4, the config names antenna 5")
		k.unplug()
	})
}

func TestALostConnectionKeepsWhoIsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{}, &reader{keepalive: true, play: func(c *readerConn) {
			for c.wait(100 * time.Millisecond) {
				c.see(tagA, 1, -50)
			}
		}})
		k.start()
		idle(5 * time.Second)
		k.unplug()
		err := k.ended()
		require.ErrorContains(t, err, "EOF")
		require.NotErrorIs(t, err, devices.ErrPermanent)
		idle(10 * time.Minute)
		k.start()
		idle(5 * time.Second)
		require.ErrorIs(t, k.stop(), context.Canceled)
		require.Equal(t, []string{"arrive 1"}, k.passages())
	})
}

func TestWhatCouldNotBeHandedOverComesFirstAndUnderItsId(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("the spool is full")
		var tried []telemetry.Reading
		k := newDock(t, Config{}, &reader{keepalive: true, play: func(c *readerConn) {
			c.see(tagA, 1, -50)
			c.see(tagA, 1, -50)
		}})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		err := k.d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			tried = append(tried, rs...)
			for _, r := range rs {
				if !r.RawRead() {
					return full
				}
			}
			return nil
		})
		require.ErrorIs(t, err, full)
		k.unplug()
		lost := tried[slices.IndexFunc(tried, func(r telemetry.Reading) bool { return !r.RawRead() })]

		k.reader.play = nil
		k.start()
		idle(time.Second)
		require.ErrorIs(t, k.stop(), context.Canceled)
		got := k.of(telemetry.KindTag, false)
		require.Len(t, got, 1)
		require.True(t, lost.Same(got[0]))
	})
}

func TestAReaderWithoutAClock(t *testing.T) {
	for name, r := range map[string]*reader{"uptime": {uptime: true}, "an hour off": {skew: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r.keepalive = true
				r.play = func(c *readerConn) { through(c, tagB, 2, 1) }
				k := newDock(t, Config{Antennas: twoSides}, r)
				began := time.Now()
				k.start()
				idle(20 * time.Second)
				require.ErrorIs(t, k.stop(), context.Canceled)
				require.Equal(t, []string{"arrive 2", "out 1", "depart 1"}, k.passages())
				for _, e := range k.of(telemetry.KindTag, false) {
					require.True(t, e.At.IsZero())
					require.Equal(t, telemetry.Unknown, e.TQ)
				}
				depart := k.of(telemetry.KindTag, false)[2]
				require.InDelta(t, 3000, depart.ErrMS, 250)
				tag := body[telemetry.Tag](t, depart)
				require.Equal(t, strings.ToUpper(hex.EncodeToString(tagB)), tag.EPC)
				require.WithinDuration(t, began, tag.FirstSeen, 10*time.Millisecond)
			})
		})
	}
}

func TestAlarmsWithoutAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{}, &reader{keepalive: true, play: func(c *readerConn) {
			c.event(prmAntennaEvent, 1, 0, 1) // connected: no news
			for range 100 {
				c.event(prmAntennaEvent, 0, 0, 2)
				c.event(prmAntennaEvent, 1, 0, 2)
				c.event(prmException, append([]byte{0, 8}, "too\nhot "...)...)
			}
			c.event(prmAntennaEvent, 0, 0, 2)
			c.event(prmOverflow)
			c.wait(3 * time.Minute)
			c.event(prmAntennaEvent, 1, 0, 2)
		}})
		k.start()
		idle(10 * time.Minute)
		require.ErrorIs(t, k.stop(), context.Canceled)
		var got []string
		for _, r := range k.of(telemetry.KindAlarm, false) {
			a := body[telemetry.Alarm](t, r)
			got = append(got, a.Code+": "+a.Detail)
		}
		require.ElementsMatch(t, []string{
			"antenna_lost: antenna 2", "antenna_back: antenna 2", "reader_exception: too hot",
			"reader_overflow: the reader lost reads: its report buffer was full",
		}, got)
		require.NotZero(t, k.d.Counters()["alarms_held"])
	})
}

func TestInputsAreDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{Inputs: []Input{{Port: 1, Door: "gate", Open: "low"}}}, &reader{keepalive: true, play: func(c *readerConn) {
			c.event(prmGPIEvent, 0, 1, 0x80)
			c.event(prmGPIEvent, 0, 2, 0x80) // not configured
			c.wait(5 * time.Second)
			for range 50 { // a contact that chatters ends open
				c.event(prmGPIEvent, 0, 1, 0x80)
				c.event(prmGPIEvent, 0, 1, 0)
			}
		}})
		k.start()
		idle(time.Minute)
		require.ErrorIs(t, k.stop(), context.Canceled)
		var got []telemetry.Door
		for _, r := range k.of(telemetry.KindDoor, false) {
			got = append(got, body[telemetry.Door](t, r))
		}
		require.Equal(t, []telemetry.Door{
			{Door: "gate", Open: telemetry.Some(false)}, {Door: "gate", Open: telemetry.Some(true)},
		}, got)
	})
}

func TestTheReaderEndsIt(t *testing.T) {
	for name, play := range map[string]func(*readerConn){
		"closed the connection": func(c *readerConn) { c.event(prmConnClose) },
		"ended its inventory":   func(c *readerConn) { c.event(prmROSpecEvent, 1, 0, 0, 0, 1, 0, 0, 0, 0) },
		"doesn't speak LLRP":    func(c *readerConn) { c.send(make([]byte, 1<<17)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newDock(t, Config{}, &reader{keepalive: true, play: play})
			k.start()
			require.ErrorContains(t, k.ended(), name)
			k.unplug()
		})
	}
}

func TestRawReadsCanBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDock(t, Config{RawReads: "off"}, &reader{keepalive: true, play: func(c *readerConn) { through(c, tagA, 1, 1) }})
		k.start()
		idle(10 * time.Second)
		require.ErrorIs(t, k.stop(), context.Canceled)
		require.Empty(t, k.of(telemetry.KindTag, true))
		require.Equal(t, []string{"arrive 1", "depart 1"}, k.passages())
	})
}

func TestConfigNamesEveryWrongField(t *testing.T) {
	power, session := 99.0, 4
	err := Config{
		Port: "nowhere", Antennas: []passage.Antenna{{Port: 1, Role: "left"}}, PowerDBm: &power, Session: &session,
		TagPopulation: -1, Keepalive: time.Millisecond, MaxClockSkew: -1, RawReads: "maybe", RawInterval: 1,
		Passage: passage.Config{MinReads: 99}, Inputs: []Input{{Port: 0, Door: "A B", Open: "shut"}},
	}.Validate()
	for _, field := range []string{"port:", "antennas[0].role", "power_dbm", "session", "tag_population", "keepalive",
		"max_clock_skew", "raw_reads", "raw_interval", "passage: min_reads", "inputs[0].port", "inputs[0].door", "inputs[0].open"} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, Config{Port: "tcp:127.0.0.1:5084"}.Validate())
}

// busyPortal is a reader that never rests.
func busyPortal() *reader {
	return &reader{keepalive: true, wrong: func(string, ...any) {}, play: func(c *readerConn) {
		for i := 0; c.wait(20 * time.Millisecond); i++ {
			c.see(tagA, 1+uint16(i/50%2), -50)
			if i%10 == 0 {
				c.see(tagB, 1, -70)
			}
		}
	}}
}

func TestContract(t *testing.T) {
	newDriver := func(open port.Opener) devices.Driver {
		return testDriver(t, Config{Antennas: twoSides}, open)
	}
	device := func(ctx context.Context, conn devicestest.Conn) { busyPortal().run(ctx, conn) }
	devicestest.Contract(t, newDriver, device)
	devicestest.OnTCP(t, newDriver, device)
}
