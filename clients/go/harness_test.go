package slots

import (
	"context"
	"errors"
	"hash/crc32"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// eventually waits for a condition with a generous bound.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// noLeaks checks at the end of a test that nothing of this package goes on running.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		eventually(t, "no goroutine of the client is left", func() bool {
			stacks := make([]byte, 1<<20)
			text := string(stacks[:runtime.Stack(stacks, true)])
			return !strings.Contains(text, "slots.(*follower)") && !strings.Contains(text, "slots.(*cacheWriter)") &&
				!strings.Contains(text, "slots.(*Derived") && !strings.Contains(text, "slots.(*subscription)")
		})
	})
}

type watchStream = grpc.ServerStreamingServer[pb.WatchSlotsResponse]

// scriptedServer is a real gRPC server whose answers the test writes.
type scriptedServer struct {
	pb.UnimplementedSecretServiceServer
	address string
	grpc    *grpc.Server

	mu      sync.Mutex
	watches []*pb.WatchSlotsRequest // what came, in order
	tokens  []string                // of every call, in order
	onWatch func(n int, request *pb.WatchSlotsRequest, stream watchStream) error
	onGet   func(n int) (*pb.GetSecretResponse, error)
	onPut   func(request *pb.PutSlotRequest) (*pb.PutSlotResponse, error)
	gets    int
}

// serve starts the server on a free port, or on the unix socket that its address names.
func serve(t *testing.T, s *scriptedServer, opts ...grpc.ServerOption) *scriptedServer {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if path, isUnix := strings.CutPrefix(s.address, "unix:"); isUnix {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	if s.grpc = server; network == "tcp" {
		s.address = listener.Addr().String()
	}
	pb.RegisterSecretServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return s
}

func (s *scriptedServer) called(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.tokens = append(s.tokens, strings.Join(md.Get("authorization"), ","))
}

func (s *scriptedServer) WatchSlots(request *pb.WatchSlotsRequest, stream watchStream) error {
	s.mu.Lock()
	s.called(stream.Context())
	n := len(s.watches)
	s.watches = append(s.watches, request)
	s.mu.Unlock()
	return s.onWatch(n, request, stream)
}

func (s *scriptedServer) GetSecret(ctx context.Context, _ *pb.GetSecretRequest) (*pb.GetSecretResponse, error) {
	s.mu.Lock()
	s.called(ctx)
	n := s.gets
	s.gets++
	s.mu.Unlock()
	return s.onGet(n)
}

func (s *scriptedServer) PutSlot(ctx context.Context, request *pb.PutSlotRequest) (*pb.PutSlotResponse, error) {
	s.mu.Lock()
	s.called(ctx)
	s.mu.Unlock()
	return s.onPut(request)
}

func (s *scriptedServer) seenWatches() []*pb.WatchSlotsRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*pb.WatchSlotsRequest(nil), s.watches...)
}

// hold keeps a stream open until the client leaves.
func hold(stream watchStream) error {
	<-stream.Context().Done()
	return nil
}

func sendAll(stream watchStream, messages ...*pb.WatchSlotsResponse) error {
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return nil
}

// The events of epoch "e1" unless told otherwise by in.

func in(epoch string, message *pb.WatchSlotsResponse) *pb.WatchSlotsResponse {
	message.Epoch = epoch
	return message
}

func begin(name string) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{Epoch: "e1", Event: &pb.WatchSlotsResponse_Begin{Begin: &pb.Begin{Name: name}}}
}

func live(name string, slot, revision uint64, value string) *pb.WatchSlotsResponse {
	sum := crc32.Checksum([]byte(value), castagnoli)
	return &pb.WatchSlotsResponse{Epoch: "e1", Revision: revision, Event: &pb.WatchSlotsResponse_Slot{
		Slot: &pb.LiveSlot{Name: name, Slot: &slot, Value: []byte(value), Crc32C: &sum},
	}}
}

func damaged(name string, slot, revision uint64, value string) *pb.WatchSlotsResponse {
	message := live(name, slot, revision, value)
	message.GetSlot().Crc32C = proto.Uint32(message.GetSlot().GetCrc32C() + 1)
	return message
}

func removed(name string, slot, revision uint64) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{Epoch: "e1", Revision: revision, Event: &pb.WatchSlotsResponse_Removed{
		Removed: &pb.RemovedSlot{Name: name, Slot: &slot},
	}}
}

func failed(name string, slot, revision uint64) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{Epoch: "e1", Revision: revision, Event: &pb.WatchSlotsResponse_Failed{
		Failed: &pb.FailedSlot{Name: name, Slot: &slot},
	}}
}

func absent(name string, revision uint64, reason pb.AbsentReason) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{Epoch: "e1", Revision: revision, Event: &pb.WatchSlotsResponse_Absent{
		Absent: &pb.AbsentSecret{Name: name, Reason: reason},
	}}
}

func synced(revision uint64) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{
		Epoch: "e1", Revision: revision, ResumeToken: "t" + decimal(revision),
		Event: &pb.WatchSlotsResponse_Synced{Synced: &pb.Synced{}},
	}
}

func progressAt(revision uint64) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{
		Epoch: "e1", Revision: revision, ResumeToken: "p" + decimal(revision),
		Event: &pb.WatchSlotsResponse_Progress{Progress: &pb.Progress{}},
	}
}

func historyReset(epoch string, revision uint64) *pb.WatchSlotsResponse {
	return &pb.WatchSlotsResponse{
		Epoch: epoch, Revision: revision, Event: &pb.WatchSlotsResponse_HistoryReset{HistoryReset: &pb.HistoryReset{}},
	}
}

// serverError is what the server sends, details and all.
func serverError(code codes.Code, reason string, retryAfter time.Duration) error {
	s, err := status.New(code, "told to").WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: "secretslots", Metadata: map[string]string{"name": "a"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)},
	)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// connect makes a client with waits that suit a test.
func connect(t *testing.T, options Options) *Client {
	t.Helper()
	client, err := Connect(options)
	if err != nil {
		t.Fatal(err)
	}
	client.timing.backoff = time.Millisecond
	client.timing.cacheGrace = time.Minute
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func mustOpen(t *testing.T, client *Client, names []string, opts ...OpenOption) *Set {
	t.Helper()
	set, err := client.Open(t.Context(), names, append([]OpenOption{WithOpenTimeout(30 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func wantText(t *testing.T, h *Handle, want string) {
	t.Helper()
	version, err := h.Current()
	if err != nil {
		t.Fatalf("current of %s: %v", h.Name(), err)
	}
	if got, _ := version.Value.Text(); got != want {
		t.Fatalf("current of %s is %q, want %q", h.Name(), got, want)
	}
}

func holds(h *Handle, want string) func() bool {
	return func() bool {
		version, err := h.Current()
		return err == nil && version.Value.Equal(Text(want))
	}
}

func wantError(t *testing.T, err error, code codes.Code, reason string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, which is no *Error", err)
	}
	if e.Code != code || e.Reason != reason {
		t.Fatalf("got %s %q (%s), want %s %q", CodeName(e.Code), e.Reason, e.Message, CodeName(code), reason)
	}
	return e
}
