package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
)

// What stands in for a database: it takes every password that does not begin with "wrong", and its one query answers
// the number of the session.

type pretendConnector struct{ password string }

var sessions atomic.Int64

func (c pretendConnector) Connect(context.Context) (driver.Conn, error) {
	if strings.HasPrefix(c.password, "wrong") {
		return nil, errors.New("password authentication failed")
	}
	return pretendConn{fmt.Sprintf("session %d", sessions.Add(1))}, nil
}

func (c pretendConnector) Driver() driver.Driver { return nil }

type pretendConn struct{ session string }

func (c pretendConn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (c pretendConn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }
func (c pretendConn) Close() error                        { return nil }

func (c pretendConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &pretendRows{session: c.session}, nil
}

type pretendRows struct {
	session string
	read    bool
}

func (r *pretendRows) Columns() []string { return []string{"session"} }
func (r *pretendRows) Close() error      { return nil }

func (r *pretendRows) Next(row []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	row[0] = r.session
	return nil
}
