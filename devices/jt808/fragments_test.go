package jt808

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// packet sends one fragment; the serial is the first's and what number says.
func (p *plug) packet(id uint16, first uint16, total, number int, body []byte) {
	p.t.Helper()
	h := p.head
	n := 12
	b := make([]byte, 21)
	if h.is2019 {
		n = 17
		b[4] = 1
		copy(b[5:], h.phone[:])
	} else {
		copy(b[4:], h.phone[4:])
	}
	attr := uint16(len(body)) | fragmentBit
	if h.is2019 {
		attr |= versionBit
	}
	binary.BigEndian.PutUint16(b, id)
	binary.BigEndian.PutUint16(b[2:], attr)
	binary.BigEndian.PutUint16(b[n-2:], first+uint16(number-1))
	binary.BigEndian.PutUint16(b[n:], uint16(total))
	binary.BigEndian.PutUint16(b[n+2:], uint16(number))
	_, err := p.Write(appendFrame(nil, b[:n+4], body))
	require.NoError(p.t, err)
}

func longBatch(points int) (body []byte, cuts [][]byte) {
	var ps [][]byte
	for i := range points {
		ps = append(ps, where(noon.Add(time.Duration(i-points)*time.Minute), 0, 3))
	}
	body = batch(1, ps...)
	for b := body; len(b) > 0; {
		n := min(len(b), 1000)
		cuts = append(cuts, b[:n])
		b = b[n:]
	}
	return body, cuts
}

func TestFragments(t *testing.T) {
	for _, is2019 := range []bool{false, true} {
		bubble(t, nil, func(t *testing.T, y *yard) {
			p := y.dial("7", is2019)
			p.login()
			y.take()
			_, cuts := longBatch(100)
			require.Len(t, cuts, 4)
			const first = 0xfffe // serials wrap within
			for _, n := range []int{4, 1, 3, 3} {
				p.packet(locationBatch, first, 4, n, cuts[n-1])
			}
			synctest.Wait()
			require.Empty(t, p.got, "part of a message isn't durable")

			time.Sleep(askAfter)
			r := p.hear()
			require.EqualValues(t, askFragments, r.id)
			require.Equal(t, []byte{0xff, 0xfe, 1, 0, 2}, r.body)
			p.packet(locationBatch, first, 4, 2, cuts[1])
			for i := range 4 {
				require.Zero(t, p.acked(uint16(0xfffe+i), locationBatch))
			}
			require.Len(t, y.take(), 100)
			require.Zero(t, y.driver.open.Load())
		})
	}
}

// A terminal that waits for each acknowledgement gets it when its profile says so.
func TestFragmentsAcknowledgedEach(t *testing.T) {
	each := func(c *Config) { c.Terminals = map[string]Terminal{"7": {AckFragments: AckEach}} }
	bubble(t, each, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		_, cuts := longBatch(100)
		for i, c := range cuts {
			p.packet(locationBatch, 9, 4, i+1, c)
			require.Zero(t, p.acked(uint16(9+i), locationBatch))
		}
		require.EqualValues(t, 100, y.count("positions"))
	})
}

// What never becomes whole is asked for three times, then forgotten.
func TestFragmentsLost(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		p.packet(locationBatch, 9, 4, 1, make([]byte, 1000))
		for range 10 {
			time.Sleep(50 * time.Second)
			p.say(heartbeat, nil)
		}
		asked := 0
		for len(p.got) > 0 {
			if p.hear().id == askFragments {
				asked++
			}
		}
		require.Equal(t, maxAsks, asked)
		require.EqualValues(t, 1, y.count("fragments_lost"))
		require.Zero(t, y.driver.open.Load())

		p.packet(locationBatch, 9, 4, 1, make([]byte, 1000))
		p.packet(locationBatch, 50, 4, 1, make([]byte, 1000)) // the next, before it was whole
		synctest.Wait()
		require.EqualValues(t, 2, y.count("fragments_lost"))
	})
}

func TestFragmentBounds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		for _, c := range [][2]int{{0, 1}, {4, 5}, {4, 0}, {maxFragments + 1, 1}} {
			p.packet(locationBatch, 9, c[0], c[1], nil)
			require.EqualValues(t, resultBad, p.hear().body[4])
		}
		const picture = 0x0801
		p.packet(picture, 9, 400, 1, make([]byte, 1000))
		require.EqualValues(t, resultUnsupported, p.hear().body[4])
		for i := range maxMessage/1000 + 1 {
			p.packet(locationBatch, 0, 100, i+1, make([]byte, 1000))
		}
		require.EqualValues(t, resultFailed, p.hear().body[4])
		require.Zero(t, y.driver.open.Load())
		y.driver.open.Store(maxAllOpen)
		p.packet(locationBatch, 500, 2, 1, make([]byte, 1000))
		require.EqualValues(t, resultFailed, p.hear().body[4])
	})
}

// Fragments that came before the connection broke count after it.
func TestFragmentsOverConnections(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		_, cuts := longBatch(100)
		for i, c := range cuts {
			p := y.dial("7", false)
			p.login()
			p.packet(locationBatch, 9, 4, i+1, c)
			synctest.Wait()
			require.NoError(t, p.Close())
		}
		synctest.Wait()
		require.EqualValues(t, 100, y.count("positions"))
	})
}
