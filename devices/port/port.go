package port

import (
	"context"
	"io"
	"time"
)

// Port is an open byte stream.
//
// Read returns at least one byte or an error, never (0, nil). After the read deadline it returns an
// error for which errors.Is(err, os.ErrDeadlineExceeded) holds; the port stays usable. When the
// other side is gone (unplugged, hung up) it returns io.EOF or another error. Close unblocks a
// Read in another goroutine, which then returns an error for which errors.Is(err,
// os.ErrClosed) or net.ErrClosed holds.
type Port interface {
	io.ReadWriteCloser
	// SetReadDeadline bounds later Reads; the zero time means no bound.
	SetReadDeadline(t time.Time) error
	// Flush throws away received bytes that nobody has read yet.
	Flush() error
}

// Opener opens the port at an address. Its errors name the address.
type Opener func(ctx context.Context, addr string) (Port, error)

// Open is the Opener of real hardware.
func Open(ctx context.Context, addr string) (Port, error) {
	a, err := parse(addr)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.scheme == "tcp" {
		return openTCP(ctx, a)
	}
	return openSerial(a)
}

// Check reports whether Open could make sense of an address, without opening it.
func Check(addr string) error {
	_, err := parse(addr)
	return err
}
