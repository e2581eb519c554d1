package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"yizhan/cloud/internal/county"
)

// ErrAway is county.ErrAway, which ingest tells apart too.
var ErrAway = county.ErrAway

// classify adds ErrAway to an error by its nature.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrAway) || !away(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func away(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57"), strings.HasPrefix(pg.Code, "58"),
			strings.HasPrefix(pg.Code, "40"), pg.Code == "55P03", pg.Code == "25006", strings.HasPrefix(pg.Code, "28"), strings.HasPrefix(pg.Code, "3D"):
			return true
		}
		return false
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case 3, 5, 6, 7, 8, 10, 13, 14, 23: // PERM BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN AUTH
			return true
		}
		return false
	}
	var n net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &n) || errors.As(err, &connect) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, sql.ErrConnDone) || pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

// guarded runs f and turns a panic into an error: a rule that trips over one record must not
// take down the process that would meet the record again after its start.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// conflict tells a transaction that another one stood in the way of.
func conflict(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// refusal is an error about what was asked, not about the store: it goes out as it is.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }
