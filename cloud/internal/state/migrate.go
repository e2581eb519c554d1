package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// migrate takes a session lock, so that of several starting at once one migrates and the others wait.
func (d *pgDB) migrate(ctx context.Context) error {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(d.pool)
	return errors.Join(up(ctx, goose.DialectPostgres, db, "migrations/postgres", goose.WithSessionLocker(locker)), db.Close())
}

func (d *liteDB) migrate(ctx context.Context) error {
	return up(ctx, goose.DialectSQLite3, d.write, "migrations/sqlite")
}

func up(ctx context.Context, dialect goose.Dialect, db *sql.DB, dir string, opt ...goose.ProviderOption) error {
	sub, err := fs.Sub(migrations, dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, sub, append(opt, goose.WithVerbose(false))...)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}
