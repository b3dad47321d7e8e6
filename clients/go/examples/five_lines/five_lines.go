// Five lines: open, read the current value, read the one effective at a time, react to changes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	slots "github.com/secretslots/secretslots/clients/go"
)

var options = slots.Options{Address: os.Getenv("SLOTS_ADDRESS"), TokenFile: os.Getenv("SLOTS_TOKEN_FILE")}

func main() {
	secrets := slots.Must(slots.Open(context.Background(), options, []string{"app/db"}))
	db := secrets.Handle("app/db")
	now := slots.Must(db.Current())
	then := slots.Must(db.EffectiveAt(1741790697))
	db.OnChange(func(c slots.Change) { fmt.Println(c.Name, "has changed: revision", c.Current.Revision()) })

	fmt.Printf("now slot %d: %v, at 1741790697 slot %d\n", now.Slot, now.Value, then.Slot)
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-interrupted.Done()
	_ = secrets.Close()
}
