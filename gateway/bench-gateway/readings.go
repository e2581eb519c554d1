package main

import (
	"fmt"
	"strconv"
)

// A sort is one kind of reading as a device of that kind sends it.
type sort struct {
	kind string
	body func(dst []byte, n uint64) []byte
}

// wave is a value that moves slowly between low and high, as temperatures and roads do.
func wave(n uint64, low, high float64) float64 {
	const period = 600
	k := n % period
	if k > period/2 {
		k = period - k
	}
	return low + (high-low)*float64(k)/(period/2)
}

// day is a second of a day.
func day(n uint64) string {
	n %= 86400
	return fmt.Sprintf("2026-11-21T%02d:%02d:%02d.%03dZ", n/3600, n/60%60, n%60, n*137%1000)
}

func scan(dst []byte, n uint64) []byte {
	dst = append(dst, `{"n":"`...)
	dst = strconv.AppendUint(dst, n, 10)
	dst = append(dst, `","body":{"symbology":"code128","text":"YZ`...)
	dst = strconv.AppendUint(dst, 1300000000000+n*7919%1000000000, 10)
	return append(dst, `"}}`...)
}

func position(dst []byte, n uint64) []byte {
	return fmt.Appendf(dst, `{"at":%q,"tq":"gnss","te_ms":100,"n":"%d","body":{"lat":%.7f,"lon":%.7f,"altitude_m":%.1f,"speed_mps":%.2f,"heading_deg":%.1f,"fix":"3d","satellites":%d,"hdop":%.1f,"valid":true}}`,
		day(n), n, wave(n, 30.51, 30.58), wave(n*3, 103.2, 103.31), wave(n, 480, 530), wave(n*5, 0, 16), wave(n*11, 0, 359), 8+n%4, 0.8+float64(n%5)/10)
}

func climate(dst []byte, n uint64) []byte {
	return fmt.Appendf(dst, `{"at":%q,"tq":"rtc","n":"%d","body":{"probe":"p%d","temperature_c":%.2f,"humidity_pct":%.1f,"quality":"ok"}}`,
		day(n), n, n%4, wave(n, -19.5, -17), wave(n, 40, 62))
}

func tag(dst []byte, n uint64) []byte {
	serial := 1000 + n*31%50000
	return fmt.Appendf(dst, `{"at":%q,"tq":"ntp","n":"%d","body":{"epc":"urn:epc:id:sgtin:6901234.056789.%d","epc_hex":"30361A4B48DDD5400000%04X","antenna":%d,"rssi_dbm":%.1f,"reads":%d,"passage":"in"}}`,
		day(n), n, serial, serial, 1+n%2, wave(n, -66, -41), 1+n%40)
}

func locker(dst []byte, n uint64) []byte {
	event := [...]string{"opened", "closed", "deposited", "opened", "closed", "emptied"}[n%6]
	return fmt.Appendf(dst, `{"n":"%d","body":{"cell":%d,"event":%q,"occupied":%t}}`, n, 1+n/6%24, event, n%6 >= 2 && n%6 < 5)
}

// sorts are what is measured by kind.
func sorts() []sort {
	return []sort{{"position", position}, {"climate", climate}, {"tag", tag}, {"scan", scan}, {"locker", locker}}
}

// hundred makes a payload of an array of 100.
func hundred(one func([]byte, uint64) []byte) func([]byte, uint64) []byte {
	return func(dst []byte, n uint64) []byte {
		dst = append(dst, '[')
		for i := range uint64(100) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = one(dst, n*100+i)
		}
		return append(dst, ']')
	}
}
