package frame

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"yizhan/devices/telemetry"
)

// Bounds of a frame. A frame beyond them is refused before anything is allocated for it.
const (
	MaxRecords = 8192
	MaxBody    = 4 << 20 // bytes, decompressed
	MaxFrame   = 1 << 20 // bytes as sent
	maxBoots   = 256
)

// Newest is the latest version of the format. All versions from 1 on are read.
const Newest = 2

var magic = [3]byte{'Y', 'Z', 'F'}

// ErrFormat is wrapped by every error of Decode: the bytes are no frame of a version known here.
var ErrFormat = errors.New("bad frame")

// ErrSignature says that the signature isn't by the key that was tried.
var ErrSignature = errors.New("bad frame signature")

// Frame is consecutive records of one lane of one epoch of one gateway.
type Frame struct {
	Gateway string
	Epoch   Epoch
	Lane    telemetry.Lane
	Prev    [32]byte // hash of the record before Records[0]; zeros when that has seq 1
	Records []Record // Records[i].Seq == Records[0].Seq + i
}

// First returns the seq of the first record.
func (f *Frame) First() uint64 { return f.Records[0].Seq }

// Last returns the seq of the last record.
func (f *Frame) Last() uint64 { return f.Records[len(f.Records)-1].Seq }

var qualities = [...]telemetry.Quality{telemetry.Unknown, telemetry.GNSS, telemetry.NTP, telemetry.Cloud, telemetry.RTC, telemetry.Retro}

func qualityByte(q telemetry.Quality) byte {
	for i, v := range qualities {
		if v == q {
			return byte(i)
		}
	}
	return 0
}

// Encoder packs and signs frames. It is not safe for concurrent use.
type Encoder struct {
	key   ed25519.PrivateKey
	zstd  *zstd.Encoder // of version 1
	zstd2 *zstd.Encoder // with the dictionary of version 2
	body  []byte
}

// NewEncoder returns an Encoder that signs with key.
func NewEncoder(key ed25519.PrivateKey) (*Encoder, error) {
	options := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(256 << 10)}
	z, err := zstd.NewWriter(nil, options...)
	if err != nil {
		return nil, fmt.Errorf("frame encoder: %w", err)
	}
	z2, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderCRC(false), zstd.WithEncoderDictRaw(dictID, dictionary))...)
	if err != nil {
		return nil, fmt.Errorf("frame encoder: %w", err)
	}
	return &Encoder{key: key, zstd: z, zstd2: z2}, nil
}

// Encode returns f as bytes of the newest version, packed and signed.
func (e *Encoder) Encode(f *Frame) ([]byte, error) { return e.EncodeAs(Newest, f) }

// EncodeAs is Encode in the newest version that a reader of versions up to newest knows; what is below 1 counts as 1.
func (e *Encoder) EncodeAs(newest int, f *Frame) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	version, pack, z := byte(1), pack1, e.zstd
	if newest >= 2 {
		version, pack, z = 2, pack2, e.zstd2
	}
	body, err := pack(e.body[:0], f.Records)
	if err != nil {
		return nil, err
	}
	if e.body = body; len(body) > MaxBody {
		return nil, fmt.Errorf("body of %d bytes, at most %d", len(body), MaxBody)
	}
	out := make([]byte, 0, len(body)/4+256)
	out = append(append(out, magic[:]...), version)
	out = binary.AppendUvarint(out, uint64(len(f.Gateway)))
	out = append(out, f.Gateway...)
	out = binary.BigEndian.AppendUint64(out, uint64(f.Epoch))
	out = append(out, byte(f.Lane))
	out = binary.AppendUvarint(out, f.First())
	out = binary.AppendUvarint(out, uint64(len(f.Records)))
	out = append(out, f.Prev[:]...)
	packed := z.EncodeAll(body, nil)
	out = binary.AppendUvarint(out, uint64(len(body)))
	out = binary.AppendUvarint(out, uint64(len(packed)))
	out = append(out, packed...)
	out = append(out, ed25519.Sign(e.key, out)...)
	if len(out) > MaxFrame {
		return nil, fmt.Errorf("frame of %d bytes, at most %d", len(out), MaxFrame)
	}
	return out, nil
}

func (f *Frame) check() error {
	switch {
	case !telemetry.ValidID(f.Gateway):
		return fmt.Errorf("gateway %.40q is no id", f.Gateway)
	case f.Epoch == 0:
		return errors.New("epoch is zero")
	case f.Lane < telemetry.Command || f.Lane > telemetry.Track:
		return fmt.Errorf("%v is none of the four lanes", f.Lane)
	case len(f.Records) == 0 || len(f.Records) > MaxRecords:
		return fmt.Errorf("%d records, must be 1 to %d", len(f.Records), MaxRecords)
	case f.First() == 0:
		return errors.New("first seq is zero")
	case f.First() == 1 && f.Prev != [32]byte{}:
		return errors.New("the first record has nothing before it")
	}
	for i := range f.Records {
		r := &f.Records[i]
		if r.Seq != f.First()+uint64(i) {
			return fmt.Errorf("record %d has seq %d, not %d", i, r.Seq, f.First()+uint64(i))
		}
		if r.Type < TypeReading || r.Type > TypeQuarantine {
			return fmt.Errorf("record %d has type %d", i, r.Type)
		}
	}
	return nil
}

// Decoder reads frames. It is not safe for concurrent use.
type Decoder struct{ zstd *zstd.Decoder }

// NewDecoder returns a Decoder.
func NewDecoder() (*Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxBody), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderDictRaw(dictID, dictionary))
	if err != nil {
		return nil, fmt.Errorf("frame decoder: %w", err)
	}
	return &Decoder{zstd: z}, nil
}

// Header is what a frame says of itself before its body is unpacked.
type Header struct {
	Version     int
	Gateway     string
	Epoch       Epoch
	Lane        telemetry.Lane
	First       uint64
	Count       int
	Prev        [32]byte
	size        int
	packed      []byte
	signed, sig []byte
}

// Last returns the seq of the last record.
func (h *Header) Last() uint64 { return h.First + uint64(h.Count) - 1 }

// Verify checks the signature with the gateway's public key; it fails with ErrSignature.
func (h *Header) Verify(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, h.signed, h.sig) {
		return ErrSignature
	}
	return nil
}

// ReadHeader reads all of a frame but its records. Its errors wrap ErrFormat and name the byte.
func ReadHeader(b []byte) (Header, error) {
	var h Header
	if len(b) > MaxFrame {
		return h, fmt.Errorf("%w: %d bytes, at most %d", ErrFormat, len(b), MaxFrame)
	}
	c := cursor{b: b}
	if m := c.take(4, "magic"); c.err == nil {
		if h.Version = int(m[3]); !bytes.Equal(m[:3], magic[:]) || h.Version < 1 || h.Version > Newest {
			return h, fmt.Errorf("%w: byte 0: % x is not YZF of a version from 1 to %d", ErrFormat, m, Newest)
		}
	}
	h.Gateway = string(c.take(c.count("gateway", 32), "gateway"))
	h.Epoch = Epoch(binary.BigEndian.Uint64(c.take(8, "epoch")))
	h.Lane = telemetry.Lane(c.take(1, "lane")[0])
	h.First = c.uvarint("first")
	h.Count = c.count("count", MaxRecords)
	copy(h.Prev[:], c.take(32, "prev"))
	h.size = c.count("size", MaxBody)
	h.packed = c.take(c.count("packed", MaxFrame), "body")
	h.signed = b[:c.i]
	h.sig = c.take(ed25519.SignatureSize, "signature")
	switch {
	case c.err != nil:
		return h, c.err
	case c.i != len(b):
		return h, fmt.Errorf("%w: byte %d: bytes after the signature", ErrFormat, c.i)
	case !telemetry.ValidID(h.Gateway):
		return h, fmt.Errorf("%w: gateway %.40q is no id", ErrFormat, h.Gateway)
	case h.Epoch == 0, h.First == 0, h.Count == 0, h.First+uint64(h.Count) < h.First:
		return h, fmt.Errorf("%w: epoch %v, first %d, count %d", ErrFormat, h.Epoch, h.First, h.Count)
	case h.Lane < telemetry.Command || h.Lane > telemetry.Track:
		return h, fmt.Errorf("%w: %v is none of the four lanes", ErrFormat, h.Lane)
	case h.First == 1 && h.Prev != [32]byte{}:
		return h, fmt.Errorf("%w: first record names a record before it", ErrFormat)
	}
	return h, nil
}

// Decode reads a whole frame; it doesn't check the signature (Header.Verify does). Payloads
// are slices of one buffer of the frame's own. Its errors wrap ErrFormat.
func (d *Decoder) Decode(b []byte) (*Frame, error) {
	h, err := ReadHeader(b)
	if err != nil {
		return nil, err
	}
	return d.Records(&h)
}

// Records unpacks the records of a header read before.
func (d *Decoder) Records(h *Header) (*Frame, error) {
	body, err := d.zstd.DecodeAll(h.packed, make([]byte, 0, min(h.size, 16*len(h.packed)+1024)))
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", ErrFormat, err)
	}
	if len(body) != h.size {
		return nil, fmt.Errorf("%w: body has %d bytes, the header says %d", ErrFormat, len(body), h.size)
	}
	f := &Frame{Gateway: h.Gateway, Epoch: h.Epoch, Lane: h.Lane, Prev: h.Prev, Records: make([]Record, h.Count)}
	for i := range f.Records {
		f.Records[i].Seq = h.First + uint64(i)
	}
	read := read1
	if h.Version == 2 {
		read = read2
	}
	if err := read(f, body); err != nil {
		return nil, err
	}
	return f, nil
}
