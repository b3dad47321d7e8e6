package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"

	slots "github.com/secretslots/secretslots/clients/go"
	"google.golang.org/grpc/codes"
)

type driver struct {
	clients map[string]*slots.Client
	sets    map[string]*openSet
	derived map[string]*derivedPool
}

func (d *driver) close() {
	for _, set := range d.sets {
		set.close()
	}
	for _, client := range d.clients {
		_ = client.Close()
	}
}

func (d *driver) do(r *request) (answer, error) {
	switch r.Op {
	case "hello":
		return answer{"lang": "go", "version": slots.ClientVersion}, nil
	case "connect":
		return nil, d.connect(r)
	case "closeClient":
		if client := d.clients[r.Client]; client != nil {
			return nil, client.Close()
		}
		return nil, fmt.Errorf("no client %s", r.Client)
	case "open", "fakeOpen":
		return nil, d.open(r)
	case "derivedGet":
		return d.derivedGet(r)
	}
	if unaryOps[r.Op] {
		client := d.clients[r.Client]
		if client == nil {
			return nil, fmt.Errorf("no client %q", r.Client)
		}
		return unary(context.Background(), r, client)
	}
	set := d.sets[r.Set]
	if set == nil {
		return nil, unknownOp(r.Op + " without a set")
	}
	return d.onSet(r, set)
}

func unknownOp(op string) error {
	return &slots.Error{Code: codes.Unimplemented, Message: "no op " + op}
}

func (d *driver) connect(r *request) error {
	options := slots.Options{
		Address: r.Address, TokenFile: r.TokenFile, AllowPlaintext: r.AllowPlaintext,
		Timeout: r.millis(r.TimeoutMs, 0), MaxAttempts: int(r.number(r.MaxAttempts, "maxAttempts")), Logger: stderrLog(),
	}
	if r.Token != "" {
		options.Token = slots.Text(r.Token)
	}
	if r.CA != "" || r.Cert != "" || r.Key != "" {
		options.TLS = &slots.TLS{CA: r.CA, Cert: r.Cert, Key: r.Key}
	}
	client, err := slots.Connect(options)
	if err == nil {
		d.clients[r.Client] = client
	}
	return err
}

func versionAnswer(v slots.Version) answer {
	return answer{
		"name": v.Name, "slot": decimal(v.Slot), "value": encode(v.Value), "revision": decimal(v.Revision),
		"epoch": v.Epoch,
	}
}

func encode(v slots.Value) string { return base64.StdEncoding.EncodeToString(v.Bytes()) }

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func optional(n *uint64) any {
	if n == nil {
		return nil
	}
	return decimal(*n)
}
