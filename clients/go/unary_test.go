package slots

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

func TestUnavailableIsRetriedWithTheSameRequest(t *testing.T) {
	var mu sync.Mutex
	var ids []string
	server := serve(t, &scriptedServer{onPut: func(r *pb.PutSlotRequest) (*pb.PutSlotResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		if ids = append(ids, r.GetRequestId()); len(ids) < 3 {
			return nil, serverError(codes.Unavailable, "STORE_BUSY", time.Millisecond)
		}
		if r.GetCrc32C() != 0 || r.Crc32C == nil || r.Value == nil {
			return nil, serverError(codes.InvalidArgument, "INVALID_FIELD", 0)
		}
		return &pb.PutSlotResponse{Slot: proto.Uint64(MaxNumber), Revision: 4}, nil
	}})
	client := connect(t, Options{Address: server.address})
	result, err := client.PutSlot(t.Context(), "a", Slot(MaxNumber), Text(""))
	if err != nil || result.Slot != MaxNumber || result.CurrentSlot != nil {
		t.Fatalf("got %+v, %v", result, err)
	}
	if len(ids) != 3 || len(ids[0]) != 32 || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Fatalf("request ids %v", ids)
	}
	if _, err := client.PutSlot(t.Context(), "a", Slot(1), Text(""), RequestID("mine")); err != nil || ids[3] != "mine" {
		t.Fatalf("got %v with %v", err, ids)
	}
}

func TestRetriesEnd(t *testing.T) {
	server := serve(t, &scriptedServer{onGet: func(n int) (*pb.GetSecretResponse, error) {
		if n < 100 {
			return nil, serverError(codes.Unavailable, "STORE_BUSY", 0)
		}
		return nil, serverError(codes.Unavailable, "STORE_BUSY", time.Hour)
	}})
	client := connect(t, Options{Address: server.address, MaxAttempts: 3})
	_, err := client.GetSecret(t.Context(), "a")
	wantError(t, err, codes.Unavailable, "STORE_BUSY")
	if server.gets != 3 {
		t.Fatalf("%d attempts", server.gets)
	}
	// A wait that would pass the deadline is not begun: the error is the server's.
	server.gets = 100
	_, err = client.GetSecret(t.Context(), "a")
	if e := wantError(t, err, codes.Unavailable, "STORE_BUSY"); e.RetryAfter != time.Hour || server.gets != 101 {
		t.Fatalf("after %d attempts, retry after %v", server.gets-100, e.RetryAfter)
	}
}

func TestOtherErrorsAreNotRetried(t *testing.T) {
	server := serve(t, &scriptedServer{onGet: func(int) (*pb.GetSecretResponse, error) {
		return nil, serverError(codes.Internal, "INTERNAL", 0)
	}})
	_, err := connect(t, Options{Address: server.address}).GetSecret(t.Context(), "a")
	wantError(t, err, codes.Internal, "INTERNAL")
	if server.gets != 1 {
		t.Fatalf("%d attempts", server.gets)
	}
}

func TestDeadlineAndCancellation(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, &scriptedServer{onGet: func(int) (*pb.GetSecretResponse, error) {
		<-release
		return &pb.GetSecretResponse{}, nil
	}})
	defer close(release)
	client := connect(t, Options{Address: server.address, Timeout: 50 * time.Millisecond})
	_, err := client.GetSecret(t.Context(), "a")
	if wantError(t, err, codes.DeadlineExceeded, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.GetSecret(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestUnauthenticatedReadsTheTokenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(path, []byte(" "+token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	server := &scriptedServer{}
	server.onGet = func(int) (*pb.GetSecretResponse, error) {
		server.mu.Lock()
		defer server.mu.Unlock()
		if server.tokens[len(server.tokens)-1] != "Bearer second" {
			return nil, serverError(codes.Unauthenticated, "UNAUTHENTICATED", 0)
		}
		return &pb.GetSecretResponse{Name: "a", Slot: proto.Uint64(0), Crc32C: proto.Uint32(0)}, nil
	}
	serve(t, server)
	client := connect(t, Options{Address: server.address, TokenFile: path})
	_, err := client.GetSecret(t.Context(), "a")
	wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED")
	if server.gets != 1 {
		t.Fatalf("%d attempts with a token that did not change", server.gets)
	}
	write("second")
	if _, err := client.GetSecret(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	// The last good token stays in use when the file is gone.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetSecret(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
}

func TestTokensThatCannotBeRead(t *testing.T) {
	for _, options := range []Options{
		{TokenFile: filepath.Join(t.TempDir(), "missing")},
		{TokenFunc: func(context.Context) (string, error) { return "", errors.New("no") }},
		{Token: Text("two\nlines")},
	} {
		options.Address = "127.0.0.1:1"
		_, err := connect(t, options).GetSecret(t.Context(), "a")
		wantError(t, err, codes.Unauthenticated, ReasonTokenUnreadable)
	}
}

func TestDamagedValueIsRefused(t *testing.T) {
	server := serve(t, &scriptedServer{onGet: func(int) (*pb.GetSecretResponse, error) {
		return &pb.GetSecretResponse{Name: "a", Slot: proto.Uint64(0), Value: []byte("x"), Crc32C: proto.Uint32(1)}, nil
	}})
	_, err := connect(t, Options{Address: server.address}).GetSecret(t.Context(), "a")
	wantError(t, err, codes.DataLoss, ReasonDataLoss)
}

func TestOptionsAreChecked(t *testing.T) {
	token := Text("t")
	for _, c := range []struct {
		options Options
		reason  string
	}{
		{Options{}, ReasonInvalidArgument},
		{Options{Address: "localhost"}, ReasonInvalidArgument},
		{Options{Address: "localhost:0"}, ReasonInvalidArgument},
		{Options{Address: "localhost:99999"}, ReasonInvalidArgument},
		{Options{Address: "dns:///x:1"}, ReasonInvalidArgument},
		{Options{Address: "unix:"}, ReasonInvalidArgument},
		{Options{Address: "::1:50051"}, ReasonInvalidArgument},
		{Options{Address: "localhost:1", Token: token, TokenFile: "x"}, ReasonInvalidArgument},
		{Options{Address: "localhost:1", TLS: &TLS{Cert: "x"}}, ReasonInvalidArgument},
		{Options{Address: "example.com:1", Token: token}, ReasonPlaintextRefused},
		{Options{Address: "127.0.0.1.example.com:1", Token: token}, ReasonPlaintextRefused},
		{Options{Address: "[2001:db8::1]:1", TokenFile: "x"}, ReasonPlaintextRefused},
		{
			Options{Address: "10.0.0.1:1", TokenFunc: func(context.Context) (string, error) { return "", nil }},
			ReasonPlaintextRefused,
		},
	} {
		_, err := Connect(c.options)
		wantError(t, err, codes.InvalidArgument, c.reason)
	}
	for _, options := range []Options{
		{Address: "example.com:1"},
		{Address: "example.com:1", Token: token, AllowPlaintext: true},
		{Address: "example.com:1", Token: token, TLS: &TLS{}},
		{Address: "LocalHost:1", Token: token}, {Address: "127.8.0.1:1", Token: token},
		{Address: "[::1]:1", Token: token}, {Address: "unix:/tmp/x", Token: token},
	} {
		connect(t, options)
	}
	_, err := Connect(Options{Address: "localhost:1", TLS: &TLS{CA: "missing"}})
	wantError(t, err, codes.FailedPrecondition, ReasonTLSUnreadable)
	client := connect(t, Options{Address: "localhost:1"})
	_, err = client.PutSlot(t.Context(), "a", Slot(MaxNumber+1), Text("x"))
	wantError(t, err, codes.InvalidArgument, ReasonInvalidArgument)
	_ = client.Close()
	_, err = client.GetSecret(t.Context(), "a")
	wantError(t, err, codes.Canceled, ReasonClosed)
	_, err = client.Open(t.Context(), []string{"a"})
	wantError(t, err, codes.Canceled, ReasonClosed)
}
