package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// The two logs.
const (
	logKeep = 0
	logThin = 1
	logs    = 2
)

var logNames = [logs]string{"keep", "thin"}

// logLanes are the lanes of each log.
var logLanes = [logs][2]telemetry.Lane{
	logKeep: {telemetry.Command, telemetry.Custody},
	logThin: {telemetry.Condition, telemetry.Track},
}

// place returns the log of a lane and its slot there.
func place(l telemetry.Lane) (log, slot int) { return int(l-1) / 2, int(l-1) % 2 }

const (
	headerSize = 136
	footerSize = 160
	recordHead = 8                                  // length, CRC
	bodyMin    = 1 + 1 + 1 + 1 + 4 + 8 + 16 + 8 + 8 // what stands before the payload
	maxPayload = 64 << 10
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	headMagic  = [4]byte{'Y', 'Z', 'S', '1'}
	footMagic  = [4]byte{'Y', 'Z', 'S', 'F'}

	errRecord = errors.New("bad record")
)

// header is what a segment says of itself when it is made.
type header struct {
	log         int
	num         uint64
	incarnation uint64
	epoch       frame.Epoch
	first       [2]uint64
	prev        [2][32]byte // hash of the record before first; zeros when unknown or none
	born        uint32      // seconds that the spool had run when the segment was made; 0 when unknown
}

func (h *header) seed() uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], h.incarnation)
	return crc32.Checksum(b[:], castagnoli)
}

func (h *header) append(b []byte, magic [4]byte) []byte {
	b = append(b, magic[:]...)
	b = append(b, byte(h.log), 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, h.num)
	b = binary.LittleEndian.AppendUint64(b, h.incarnation)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.epoch))
	for i := range h.first {
		b = append(b, byte(logLanes[h.log][i]), 0, 0, 0, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint64(b, h.first[i])
		b = append(b, h.prev[i][:]...)
	}
	return b
}

func (h *header) encode() []byte {
	b := binary.LittleEndian.AppendUint32(h.append(make([]byte, 0, headerSize), headMagic), h.born)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (h *header) decode(b []byte, magic [4]byte) bool {
	if len(b) < headerSize-8 || [4]byte(b) != magic || b[4] >= logs {
		return false
	}
	h.log = int(b[4])
	h.num = binary.LittleEndian.Uint64(b[8:])
	h.incarnation = binary.LittleEndian.Uint64(b[16:])
	h.epoch = frame.Epoch(binary.LittleEndian.Uint64(b[24:]))
	for i := range h.first {
		at := b[32+48*i:]
		if at[0] != byte(logLanes[h.log][i]) {
			return false
		}
		h.first[i] = binary.LittleEndian.Uint64(at[8:])
		copy(h.prev[i][:], at[16:48])
	}
	return h.epoch != 0 && h.first[0] != 0 && h.first[1] != 0
}

func decodeHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || crc32.Checksum(b[:headerSize-4], castagnoli) != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return h, false
	}
	ok = h.decode(b, headMagic)
	h.born = binary.LittleEndian.Uint32(b[headerSize-8:])
	return h, ok
}

// footer is what a segment says of itself when it is sealed.
type footer struct {
	header
	next [2]uint64
	end  int64 // of the records
}

func (f *footer) encode() []byte {
	b := f.append(make([]byte, 0, footerSize), footMagic)
	b = binary.LittleEndian.AppendUint64(b, f.next[0])
	b = binary.LittleEndian.AppendUint64(b, f.next[1])
	b = binary.LittleEndian.AppendUint64(b, uint64(f.end))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return binary.LittleEndian.AppendUint32(b, f.born)
}

func decodeFooter(b []byte) (f footer, ok bool) {
	const sum = footerSize - 8
	if len(b) != footerSize || crc32.Checksum(b[:sum], castagnoli) != binary.LittleEndian.Uint32(b[sum:]) {
		return f, false
	}
	if !f.decode(b, footMagic) {
		return f, false
	}
	f.born = binary.LittleEndian.Uint32(b[footerSize-4:])
	at := b[headerSize-8:]
	f.next[0] = binary.LittleEndian.Uint64(at)
	f.next[1] = binary.LittleEndian.Uint64(at[8:])
	f.end = int64(binary.LittleEndian.Uint64(at[16:]))
	return f, f.next[0] >= f.first[0] && f.next[1] >= f.first[1] && f.end >= headerSize
}

var qualities = [...]telemetry.Quality{telemetry.Unknown, telemetry.GNSS, telemetry.NTP, telemetry.Cloud, telemetry.RTC, telemetry.Retro}

func qualityByte(q telemetry.Quality) byte {
	for i, v := range qualities {
		if v == q {
			return byte(i)
		}
	}
	return 0
}

func recordSize(payload int) int64 { return int64(recordHead + bodyMin + payload) }

// appendRecord appends r as it stands in a segment of seed.
func appendRecord(b []byte, seed uint32, lane telemetry.Lane, synced int64, r *frame.Record) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(bodyMin+len(r.Payload)))
	b = append(b, 0, 0, 0, 0)
	b = append(b, byte(lane), byte(r.Type), qualityByte(r.Quality), 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(synced))
	b = binary.LittleEndian.AppendUint64(b, r.Seq)
	b = append(b, r.Boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.MonoNS))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.WallMS))
	b = append(b, r.Payload...)
	binary.LittleEndian.PutUint32(b[at+4:], recordSum(seed, b[at:]))
	return b
}

func recordSum(seed uint32, rec []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, rec[:4]), castagnoli, rec[recordHead:])
}

// stored is a record as it was found in a segment.
type stored struct {
	frame.Record // Payload is a slice of the bytes it was decoded from
	lane         telemetry.Lane
	synced       int64
	size         int // bytes in the file
}

// decodeRecord reads the record that b begins with. need is how many bytes it takes; when that is
// more than len(b) the rest must be had first.
func decodeRecord(b []byte, seed uint32) (r stored, need int, err error) {
	if len(b) < recordHead {
		return r, recordHead, nil
	}
	n := binary.LittleEndian.Uint32(b)
	if n < bodyMin || n > bodyMin+maxPayload {
		return r, 0, errRecord
	}
	if need = recordHead + int(n); need > len(b) {
		return r, need, nil
	}
	b = b[:need]
	lane, typ := telemetry.Lane(b[8]), frame.Type(b[9])
	if lane < telemetry.Command || lane > telemetry.Track || typ < frame.TypeReading || typ > frame.TypeQuarantine ||
		int(b[10]) >= len(qualities) || b[11] != 0 || recordSum(seed, b) != binary.LittleEndian.Uint32(b[4:]) {
		return r, need, errRecord
	}
	r.lane, r.Type, r.Quality = lane, typ, qualities[b[10]]
	r.synced = int64(binary.LittleEndian.Uint32(b[12:]))
	r.Seq = binary.LittleEndian.Uint64(b[16:])
	copy(r.Boot[:], b[24:40])
	r.MonoNS = int64(binary.LittleEndian.Uint64(b[40:]))
	r.WallMS = int64(binary.LittleEndian.Uint64(b[48:]))
	r.Payload = b[56:need:need]
	r.size = need
	return r, need, nil
}

// Names of files that are no segments yet, or no more.
const (
	spareStart = "spare-"
	spareEnd   = ".seg"
	copyEnd    = ".copy" // of a segment on its way from the mirror or to it
)

func spareName(num uint64) string { return fmt.Sprintf("%s%020d%s", spareStart, num, spareEnd) }

func parseSpareName(name string) (num uint64, ok bool) {
	rest, found := strings.CutPrefix(name, spareStart)
	digits, also := strings.CutSuffix(rest, spareEnd)
	if !found || !also || len(digits) != 20 {
		return 0, false
	}
	num, err := strconv.ParseUint(digits, 10, 64)
	return num, err == nil && num > 0
}

func segmentName(log int, num uint64) string {
	return fmt.Sprintf("%s-%020d.seg", logNames[log], num)
}

func parseSegmentName(name string) (log int, num uint64, ok bool) {
	rest, found := strings.CutSuffix(name, ".seg")
	if !found {
		return 0, 0, false
	}
	for log = range logNames {
		if digits, found := strings.CutPrefix(rest, logNames[log]+"-"); found && len(digits) == 20 {
			num, err := strconv.ParseUint(digits, 10, 64)
			return log, num, err == nil && num > 0
		}
	}
	return 0, 0, false
}
