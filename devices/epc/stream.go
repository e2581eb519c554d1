package epc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

const (
	maxLine  = 4096
	maxBytes = 62 // a Gen2 EPC has at most 31 words (TDS 1.13, 15.1)
)

// Decode reads one EPC in hex a line and emits one undated raw tag reading of device "decode" for each.
// Spaces within a line and a leading 0x are allowed, blank lines are skipped. What is no hex, or longer than an EPC can
// be, goes to reject with its offset in r. It fails only when r or emit does.
func Decode(r io.Reader, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	var lines, gs1, raw, rejected uint64
	counters := func() map[string]uint64 {
		return map[string]uint64{"lines": lines, "gs1": gs1, "raw": raw, "rejected": rejected}
	}
	in := bufio.NewReaderSize(r, maxLine)
	var offset int64
	for {
		line, size, err := readLine(in)
		if text := bytes.TrimSpace(line); len(text) > 0 {
			lines++
			b, herr := parseHex(squeeze(text))
			switch {
			case herr != nil || len(b) > maxBytes:
				rejected++
				reject(offset, line, "line is no hex of at most 62 bytes")
			default:
				name, hex := Name(b, false)
				if name == hex {
					raw++
				} else {
					gs1++
				}
				tag := telemetry.Tag{EPC: name, EPCHex: hex}
				if err := emit(telemetry.New("decode", time.Time{}, telemetry.Unknown, tag)); err != nil {
					return counters(), err
				}
			}
		}
		offset += size
		if errors.Is(err, io.EOF) {
			return counters(), nil
		}
		if err != nil {
			return counters(), err
		}
	}
}

// readLine returns the start of the next line, at most maxLine bytes, and the size of all of it.
func readLine(in *bufio.Reader) (line []byte, size int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		size += int64(len(part))
		if line == nil {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, size, err
		}
	}
}

func squeeze(text []byte) string {
	text = bytes.Join(bytes.Fields(text), nil)
	if len(text) > 2 && text[0] == '0' && text[1]|0x20 == 'x' {
		text = text[2:]
	}
	return string(text)
}
