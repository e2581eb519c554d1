package mqttlocker

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// An order is a command on its way to the locker.
type order struct {
	id            string
	cell          int // as the locker counts
	now, deadline time.Time
}

const stamp = "2006-01-02T15:04:05.000Z"

// payload fills in the template. A word stands as it does within a JSON string.
func (c Command) payload(o order) []byte {
	seconds := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	return []byte(strings.NewReplacer(
		"{id}", escaped(o.id), "{cell}", strconv.Itoa(o.cell),
		"{now}", o.now.UTC().Format(stamp), "{now_s}", seconds(o.now),
		"{deadline}", o.deadline.UTC().Format(stamp), "{deadline_s}", seconds(o.deadline),
		"{expires_s}", strconv.FormatInt(int64(o.deadline.Sub(o.now)/time.Second), 10),
	).Replace(c.Payload))
}

func escaped(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always can
		return ""
	}
	return string(b[1 : len(b)-1])
}
