// A connection pool that is swapped when the database's password rotates, with no query failing.
//
// Put your own driver in place of the pretend one of database.go: sql.Open("pgx", …) and so on.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
)

func main() {
	options := slots.Options{Address: os.Getenv("SLOTS_ADDRESS"), TokenFile: os.Getenv("SLOTS_TOKEN_FILE")}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	secrets := slots.Must(slots.Open(ctx, options, []string{"app/db"}))
	defer secrets.Close()
	pool := slots.Must(newPool(ctx, secrets.Handle("app/db")))

	for last := ""; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		var session string
		if err := pool.Get().QueryRowContext(ctx, "SELECT session").Scan(&session); err != nil {
			fmt.Println("the query failed:", err)
		} else if session != last {
			fmt.Println("connected as", session)
			last = session
		}
	}
}
