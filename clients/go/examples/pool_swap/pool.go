package main

import (
	"context"
	"database/sql"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
)

// Queries that took the old pool just before the swap have so long to begin. Those that began are waited for by
// sql.DB.Close itself.
const grace = 5 * time.Second

// newPool is a pool that follows the password. A new one is published once it answered a ping, so a password that does
// not work yet leaves the old pool in use, and is tried again.
func newPool(ctx context.Context, password *slots.Handle) (*slots.Derived[*sql.DB], error) {
	return slots.Derive(ctx, password, connect, func(old *sql.DB) error {
		time.AfterFunc(grace, func() { _ = old.Close() })
		return nil
	})
}

func connect(ctx context.Context, version slots.Version) (*sql.DB, error) {
	password, err := version.Value.Text()
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(pretendConnector{password})
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, err
	}
	return pool, nil
}
