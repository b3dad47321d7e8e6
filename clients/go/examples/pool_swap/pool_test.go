package main

import (
	"testing"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
)

func TestThePoolFollowsThePassword(t *testing.T) {
	fake := slots.NewFake(map[string]string{"app/db": "first"})
	defer fake.Close()
	pool, err := newPool(t.Context(), fake.Handle("app/db"))
	if err != nil {
		t.Fatal(err)
	}
	query := func() string {
		var session string
		if err := pool.Get().QueryRow("SELECT session").Scan(&session); err != nil {
			t.Fatal(err)
		}
		return session
	}
	before, old := query(), pool.Get()
	if err := fake.Rotate("app/db", "wrong"); err != nil {
		t.Fatal(err)
	}
	if query() != before {
		t.Fatal("a password that does not work took the pool away")
	}
	if err := fake.Rotate("app/db", "second"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); query() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the pool was not swapped")
		}
	}
	if err := old.Ping(); err != nil {
		t.Fatal("a query that took the old pool just before the swap would fail")
	}
}
