// A web service whose JWT key rotates while it runs.
//
// The slots of app/jwt-key are Unix times: the key in slot t signs from t on. A new token is signed with the current
// key; an old one is verified with the key that was in force when it was issued, so nobody is logged out.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	slots "github.com/secretslots/secretslots/clients/go"
)

func main() {
	options := slots.Options{Address: os.Getenv("SLOTS_ADDRESS"), TokenFile: os.Getenv("SLOTS_TOKEN_FILE")}
	secrets := slots.Must(slots.Open(context.Background(), options, []string{"app/jwt-key"}))
	defer secrets.Close()
	listen := "127.0.0.1:8080"
	if given := os.Getenv("LISTEN"); given != "" {
		listen = given
	}
	listener := slots.Must(net.Listen("tcp", listen))
	fmt.Printf("serving on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, newService(secrets.Handle("app/jwt-key"))))
}
