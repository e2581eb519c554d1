package firmware

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// Replay plays a recorded device log onto w. A log of NMEA sentences keeps its own pace, told by the
// times in its sentences; any other log goes at baud. speed is how many times faster than
// recorded; 0 means as fast as w takes it.
func Replay(ctx context.Context, w io.Writer, log []byte, baud int, speed float64) error {
	var last time.Duration
	known := false
	for len(log) > 0 {
		n := bytes.IndexByte(log, '\n') + 1
		if n == 0 {
			n = len(log)
		}
		n = min(n, 256) // a binary log has no lines
		piece := log[:n]
		log = log[n:]
		pause := time.Duration(n) * 10 * time.Second / time.Duration(baud)
		if at, ok := sentenceTime(piece); ok {
			pause = 0
			if known && at != last {
				if pause = (at - last + 24*time.Hour) % (24 * time.Hour); pause > time.Minute {
					pause = time.Second // a cut in the recording
				}
			}
			last, known = at, true
		} else if known {
			pause = 0
		}
		if err := rest(ctx, pause, speed); err != nil {
			return nil
		}
		if _, err := w.Write(piece); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration, speed float64) error {
	if speed <= 0 || d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(float64(d) / speed))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// sentenceTime is the time of day in an NMEA sentence that carries one.
func sentenceTime(line []byte) (time.Duration, bool) {
	if len(line) < 14 || line[0] != '$' || line[6] != ',' {
		return 0, false
	}
	field := line[7:]
	switch string(line[3:6]) {
	case "RMC", "GGA", "GNS", "ZDA":
	case "GLL":
		parts := bytes.SplitN(line, []byte(","), 7)
		if len(parts) < 6 {
			return 0, false
		}
		field = parts[5]
	default:
		return 0, false
	}
	if i := bytes.IndexByte(field, ','); i >= 0 {
		field = field[:i]
	}
	var h, m int
	var s float64
	if len(field) < 6 {
		return 0, false
	}
	if _, err := fmt.Sscanf(string(field[:4])+" "+string(field[4:]), "%2d%2d %f", &h, &m, &s); err != nil {
		return 0, false
	}
	if h < 0 || h > 23 || m < 0 || m > 59 || !(s >= 0 && s < 61) {
		return 0, false
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s*float64(time.Second)), true
}
