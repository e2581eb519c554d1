package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"yizhan/cloud/internal/state/pgtest"
)

// A meter tells what a stretch of work costs this process and the server.
type meter struct {
	pg     *pgtest.Server
	db     *pgx.Conn
	byText bool // statements are counted
}

func newMeter(ctx context.Context, pg *pgtest.Server, url string, statements bool) (*meter, error) {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	if statements {
		_, err = db.Exec(ctx, "create extension pg_stat_statements")
	}
	return &meter{pg, db, statements}, err
}

func (m *meter) close(ctx context.Context) error { return m.db.Close(ctx) }

// usage is what work took: processor time of this process and of the server, and bytes of the server's log.
type usage struct {
	took, client, server time.Duration
	wal                  int64
}

func (u *usage) add(o usage) {
	u.took, u.client, u.server, u.wal = u.took+o.took, u.client+o.client, u.server+o.server, u.wal+o.wal
}

// per says what each of n of the work's objects cost.
func (u usage) per(n int, what string) string {
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	return fmt.Sprintf("%.0f %s/s; each %.1f µs of this process, %.1f µs of the server, %d bytes of log",
		float64(n)/u.took.Seconds(), what, each(u.client), each(u.server), u.wal/int64(n))
}

func (m *meter) read(ctx context.Context) (u usage, err error) {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return u, err
	}
	u.client, u.server = time.Duration(self.Utime.Nano()+self.Stime.Nano()), m.pg.CPU()
	err = m.db.QueryRow(ctx, "select pg_current_wal_lsn() - '0/0'::pg_lsn").Scan(&u.wal)
	return u, err
}

// during measures f.
func (m *meter) during(ctx context.Context, f func() error) (usage, error) {
	before, err := m.read(ctx)
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return usage{}, err
	}
	took := time.Since(began)
	after, err := m.read(ctx)
	return usage{took, after.client - before.client, after.server - before.server, after.wal - before.wal}, err
}

// statements prints which statements took the server's time since it printed last, those that took most first.
func (m *meter) statements(ctx context.Context, round string, n int) error {
	if !m.byText {
		return nil
	}
	rows, err := m.db.Query(ctx, `select query, calls, total_exec_time, rows, wal_bytes::bigint from pg_stat_statements where total_exec_time > 20 order by total_exec_time desc limit 25`)
	if err != nil {
		return err
	}
	defer rows.Close()
	fmt.Printf("%8s  %10s %7s %10s %11s  statement\n", round, "µs/event", "calls", "rows/event", "bytes/event")
	for rows.Next() {
		var text string
		var calls, count, wal int64
		var took float64
		if err := rows.Scan(&text, &calls, &took, &count, &wal); err != nil {
			return err
		}
		text = strings.Join(strings.Fields(text), " ")
		fmt.Printf("%8s  %10.2f %7d %10.2f %11.0f  %.110s\n", "", 1000*took/float64(n), calls, float64(count)/float64(n), float64(wal)/float64(n), text)
	}
	return rows.Err()
}

// forget begins to count statements anew.
func (m *meter) forget(ctx context.Context) error {
	if !m.byText {
		return nil
	}
	_, err := m.db.Exec(ctx, "select pg_stat_statements_reset()")
	return err
}
