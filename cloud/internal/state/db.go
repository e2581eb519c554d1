package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// conn runs statements: a pool outside of transactions, or a transaction. Statements number
// their arguments $1, $2, ... on both servers.
type conn interface {
	exec(ctx context.Context, sql string, args ...any) (int64, error)
	each(ctx context.Context, row func(scan func(...any) error) error, sql string, args ...any) error
	put(ctx context.Context, t *table, rows [][]any) error
	words() *words
}

// words are what differs between the two servers' SQL.
type words struct {
	postgres bool
	lock     string // ends a select whose rows are going to be changed
}

var (
	pgWords   = &words{postgres: true, lock: " for update"}
	liteWords = &words{}
)

// in tells that a column is one of the values of the list argument arg.
func (w *words) in(column, arg string) string {
	if w.postgres {
		return column + " = any(" + arg + ")"
	}
	return column + " in (select value from json_each(" + arg + "))"
}

// values is the list argument arg as a table of one column, value.
func (w *words) values(arg string) string {
	if w.postgres {
		return "(select unnest(" + arg + "::text[]) as value)"
	}
	return "json_each(" + arg + ")"
}

// list makes values an argument of in and values.
func (w *words) list(values []string) any {
	if w.postgres {
		return values
	}
	b, _ := json.Marshal(values) // strings always marshal
	return string(b)
}

// db is the server behind a store.
type db interface {
	// update runs f in a read-write transaction.
	update(ctx context.Context, f func(conn) error) error
	// reader is for reads outside of transactions; each statement sees one state.
	reader() conn
	// migrate brings the schema up to date.
	migrate(ctx context.Context) error
	close() error
}

type pgDB struct{ pool *pgxpool.Pool }

// planning keeps Postgres to the one plan that a keyed read has. Left to itself it plans a statement anew for each list of
// keys, and reads whole tables that have grown faster than their statistics: a transaction then takes ten times as long. What the URL says goes.
var planning = map[string]string{"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}

func openPostgres(ctx context.Context, dsn string) (*pgDB, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.PingTimeout = 2 * time.Second
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.MaxConns = max(cfg.MaxConns, 8)
	for k, v := range planning {
		if _, said := cfg.ConnConfig.RuntimeParams[k]; !said {
			cfg.ConnConfig.RuntimeParams[k] = v
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &pgDB{pool}, nil
}

func (d *pgDB) close() error { d.pool.Close(); return nil }

func (d *pgDB) reader() conn { return pgConn{d.pool} }

func (d *pgDB) update(ctx context.Context, f func(conn) error) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error { return f(pgConn{tx}) })
}

type pgQuerier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	CopyFrom(ctx context.Context, t pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error)
}

type pgConn struct{ q pgQuerier }

func (c pgConn) words() *words { return pgWords }

func (c pgConn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := c.q.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

func (c pgConn) each(ctx context.Context, row func(func(...any) error) error, sql string, args ...any) error {
	rows, err := c.q.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// put writes rows with one statement whose arguments are the columns as arrays, or by COPY
// where the table takes no second row of a key.
func (c pgConn) put(ctx context.Context, t *table, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if t.append {
		_, err := c.q.CopyFrom(ctx, pgx.Identifier{t.name}, t.names(), pgx.CopyFromRows(rows))
		return err
	}
	args := make([]any, len(t.columns))
	for i, col := range t.columns {
		args[i] = col.array(rows, i)
	}
	_, err := c.q.Exec(ctx, t.pgUpsert, args...)
	return err
}

// liteDB is SQLite: one connection writes, others read what is committed (WAL).
type liteDB struct{ write, read *sql.DB }

const readers = 4

func openSQLite(file string) (*liteDB, error) {
	if file == "" || strings.HasPrefix(file, ":memory:") {
		return nil, errors.New("sqlite: needs a file")
	}
	dsn := func(extra string) string {
		return "file:" + (&url.URL{Path: file}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-16000)&_pragma=temp_store(memory)" + extra
	}
	write, err := sql.Open("sqlite", dsn("&_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn("&_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &liteDB{write, read}, nil
}

func (d *liteDB) close() error { return errors.Join(d.read.Close(), d.write.Close()) }

func (d *liteDB) reader() conn { return liteConn{d.read} }

func (d *liteDB) update(ctx context.Context, f func(conn) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err := f(liteConn{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

type liteQuerier interface {
	ExecContext(ctx context.Context, sql string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, sql string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, sql string) (*sql.Stmt, error)
}

type liteConn struct{ q liteQuerier }

func (c liteConn) words() *words { return liteWords }

func (c liteConn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	res, err := c.q.ExecContext(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c liteConn) each(ctx context.Context, row func(func(...any) error) error, sql string, args ...any) error {
	rows, err := c.q.QueryContext(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c liteConn) put(ctx context.Context, t *table, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	stmt, err := c.q.PrepareContext(ctx, t.liteUpsert)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, row := range rows {
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}
