package slots

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func steady(messages ...*pb.WatchSlotsResponse) func(int, *pb.WatchSlotsRequest, watchStream) error {
	return func(_ int, _ *pb.WatchSlotsRequest, stream watchStream) error {
		if err := sendAll(stream, messages...); err != nil {
			return err
		}
		return hold(stream)
	}
}

func TestOpenWaitsForEveryName(t *testing.T) {
	noLeaks(t)
	proceed := make(chan struct{})
	server := serve(t, &scriptedServer{onWatch: func(_ int, r *pb.WatchSlotsRequest, stream watchStream) error {
		_ = sendAll(stream, begin("a"), live("a", 1, 1, "x"),
			absent("b", 0, pb.AbsentReason_ABSENT_REASON_NOT_EXISTING), synced(1))
		<-proceed
		_ = sendAll(stream, live("b", 0, 2, "y"), synced(2))
		return hold(stream)
	}})
	time.AfterFunc(20*time.Millisecond, func() { close(proceed) })
	set, err := Open(t.Context(), Options{Address: server.address}, []string{"a", "b", "a"}, WithOpenTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, set.Handle("a"), "x")
	wantText(t, set.Handle("b"), "y")
	_, err = set.Handle("c").Current()
	wantError(t, err, codes.InvalidArgument, ReasonNameNotDeclared)
	request := server.seenWatches()[0]
	if !request.GetAllowMissing() || len(request.GetNames()) != 2 ||
		request.GetView() != pb.WatchView_WATCH_VIEW_ALL_ENABLED {
		t.Fatalf("asked for %v", request)
	}
	if age, heard := set.Age(); !heard || age < 0 || set.Stale() {
		t.Fatalf("age %v, %v", age, heard)
	}
	if set.Close() != nil || set.Close() != nil {
		t.Fatal("close is not idempotent")
	}
	wantText(t, set.Handle("a"), "x")
}

// manualDeadline passes when the test says so.
type manualDeadline struct {
	context.Context
	done chan struct{}
}

func (m *manualDeadline) Done() <-chan struct{} { return m.done }

func (m *manualDeadline) Err() error {
	select {
	case <-m.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	noLeaks(t)
	server := serve(t, &scriptedServer{onWatch: steady(
		begin("a"), live("a", 1, 1, "x"), absent("z", 0, pb.AbsentReason_ABSENT_REASON_NOT_EXISTING),
		absent("b", 3, pb.AbsentReason_ABSENT_REASON_NO_ENABLED_SLOT), begin("c"), failed("c", 4, 4), synced(4),
	)})
	client := connect(t, Options{Address: server.address})
	ctx := &manualDeadline{t.Context(), make(chan struct{})}
	go func() {
		defer close(ctx.done)
		client.mu.Lock()
		for len(client.sets) == 0 {
			client.mu.Unlock()
			time.Sleep(time.Millisecond)
			client.mu.Lock()
		}
		defer client.mu.Unlock()
		for set := range client.sets {
			for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if set.handles["c"].State() != nil {
					return
				}
			}
		}
	}()
	_, err := client.Open(ctx, []string{"z", "a", "b", "c"}, WithOpenTimeout(time.Minute))
	e := wantError(t, err, codes.DeadlineExceeded, ReasonSecretsMissing)
	if e.Metadata["missing"] != "z,b,c" ||
		!strings.Contains(e.Message, "z (does not exist), b (has no enabled slot), c (does not open") {
		t.Fatalf("%v says %s", e.Metadata, e.Message)
	}

	alone := connect(t, Options{Address: "127.0.0.1:1"})
	_, err = alone.Open(t.Context(), []string{"a"}, WithOpenTimeout(100*time.Millisecond))
	e = wantError(t, err, codes.DeadlineExceeded, ReasonSecretsMissing)
	if !strings.Contains(e.Message, "no contact") || !strings.Contains(e.Message, "UNAVAILABLE") {
		t.Fatalf("says %s", e.Message)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = alone.Open(cancelled, []string{"a"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestOpenFailsAtOnceWhenRefused(t *testing.T) {
	noLeaks(t)
	for _, c := range []struct {
		code    codes.Code
		watches int
	}{{codes.PermissionDenied, 1}, {codes.InvalidArgument, 1}, {codes.Unimplemented, 1}, {codes.Unauthenticated, 2}} {
		server := serve(t, &scriptedServer{onWatch: func(int, *pb.WatchSlotsRequest, watchStream) error {
			return serverError(c.code, "SAYS_NO", 0)
		}})
		client := connect(t, Options{Address: server.address})
		_, err := client.Open(t.Context(), []string{"a"}, WithOpenTimeout(time.Minute))
		wantError(t, err, c.code, "SAYS_NO")
		if n := len(server.seenWatches()); n != c.watches {
			t.Fatalf("%s after %d streams", CodeName(c.code), n)
		}
	}
	client := connect(t, Options{Address: "127.0.0.1:1"})
	for _, names := range [][]string{{}, {"a b"}, make([]string, 1)} {
		_, err := client.Open(t.Context(), names)
		wantError(t, err, codes.InvalidArgument, ReasonInvalidArgument)
	}
	_, err := client.Open(t.Context(), []string{"a"}, WithCache("x", []byte("short")))
	wantError(t, err, codes.InvalidArgument, ReasonInvalidArgument)
}

func TestReconnectResumes(t *testing.T) {
	noLeaks(t)
	ends := []error{
		nil, status.Error(codes.Unavailable, "DRAINING"), status.Error(codes.Internal, "x"), status.Error(codes.Canceled, "x"),
		status.Error(codes.PermissionDenied, "x"), status.Error(codes.Unauthenticated, "x"), status.Error(codes.NotFound, "x"),
	}
	server := serve(t, &scriptedServer{onWatch: func(n int, r *pb.WatchSlotsRequest, stream watchStream) error {
		switch {
		case n == 0:
			_ = sendAll(stream, begin("a"), live("a", 0, 1, "v0"), synced(1))
		case n < len(ends):
			_ = sendAll(stream, live("a", uint64(n), uint64(n+1), "v"+decimal(uint64(n))), synced(uint64(n+1)))
		default:
			_ = sendAll(stream, progressAt(uint64(n+1)))
			return hold(stream)
		}
		return ends[n]
	}})
	client := connect(t, Options{Address: server.address})
	set := mustOpen(t, client, []string{"a"})
	eventually(t, "the stream is steady again", func() bool { return len(server.seenWatches()) == len(ends)+1 })
	for n, request := range server.seenWatches() {
		if want := "t" + decimal(uint64(n)); n > 0 && request.GetResumeToken() != want {
			t.Fatalf("stream %d resumed with %q, want %q", n, request.GetResumeToken(), want)
		}
	}
	wantText(t, set.Handle("a"), "v6")
}

func TestBadResumeToken(t *testing.T) {
	server := serve(t, &scriptedServer{onWatch: func(n int, r *pb.WatchSlotsRequest, stream watchStream) error {
		switch {
		case n == 0:
			return sendAll(stream, begin("a"), live("a", 0, 1, "x"), synced(1))
		case r.GetResumeToken() != "":
			return serverError(codes.InvalidArgument, ReasonBadResumeToken, time.Hour)
		}
		_ = sendAll(stream, begin("a"), live("a", 1, 2, "y"), synced(2))
		return hold(stream)
	}})
	set := mustOpen(t, connect(t, Options{Address: server.address}), []string{"a"})
	eventually(t, "it started afresh, at once", holds(set.Handle("a"), "y"))
}

func TestServerThatIsBehindIsLeft(t *testing.T) {
	server := serve(t, &scriptedServer{onWatch: func(n int, r *pb.WatchSlotsRequest, stream watchStream) error {
		switch n {
		case 0:
			return sendAll(stream, begin("a"), live("a", 5, 50, "new"), synced(50))
		case 1: // a replica that lost what it said
			_ = sendAll(stream, begin("a"), live("a", 4, 40, "old"), synced(40))
			return hold(stream)
		case 2: // damaged on the way
			_ = sendAll(stream, damaged("a", 6, 60, "new"), synced(60))
			return hold(stream)
		}
		_ = sendAll(stream, begin("a"), live("a", 5, 50, "new"), live("a", 7, 70, "newest"), synced(70))
		return hold(stream)
	}})
	set := mustOpen(t, connect(t, Options{Address: server.address}), []string{"a"})
	handle := set.Handle("a")
	eventually(t, "the newest value came", func() bool {
		if version, err := handle.Current(); err != nil || version.Value.Equal(Text("old")) {
			t.Fatal("an older state was shown")
		}
		return holds(handle, "newest")()
	})
	if requests := server.seenWatches(); requests[2].GetResumeToken() != "" {
		t.Fatal("the token of a server that is behind was sent again")
	}
}

func TestSilentServerIsLeft(t *testing.T) {
	server := serve(t, &scriptedServer{onWatch: func(n int, r *pb.WatchSlotsRequest, stream watchStream) error {
		switch n {
		case 0: // nothing at all
		case 1: // nothing after the first
			_ = sendAll(stream, begin("a"), live("a", 0, 1, "x"), synced(1))
		default:
			_ = sendAll(stream, live("a", 1, 2, "y"), synced(2))
		}
		return hold(stream)
	}})
	client := connect(t, Options{Address: server.address})
	client.timing.firstMessage, client.timing.silence = 200*time.Millisecond, 200*time.Millisecond
	set := mustOpen(t, client, []string{"a"})
	eventually(t, "a third stream was opened", holds(set.Handle("a"), "y"))
}

func TestClosingDuringOpenLeavesNothing(t *testing.T) {
	noLeaks(t)
	server := serve(t, &scriptedServer{onWatch: steady()})
	client := connect(t, Options{Address: server.address})
	done := make(chan error)
	go func() {
		_, err := client.Open(t.Context(), []string{"a"}, WithOpenTimeout(time.Minute))
		done <- err
	}()
	eventually(t, "the stream is there", func() bool { return len(server.seenWatches()) > 0 })
	_ = client.Close()
	wantError(t, <-done, codes.Canceled, ReasonClosed)
}

func TestBackoff(t *testing.T) {
	for failures, most := range []time.Duration{100, 200, 400, 800, 1600, 2000, 2000} {
		for range 200 {
			b := backoff{failures: failures}
			if wait := b.next(recentCap); wait < 0 || wait > most*time.Millisecond {
				t.Fatalf("failure %d waits %v", failures, wait)
			}
		}
	}
	b := backoff{failures: 1000}
	if wait := b.next(backoffCap); wait > backoffCap {
		t.Fatalf("waits %v", wait)
	}
	f := &follower{set: newSet([]string{"a"}, nil)}
	if f.waitLimit(codes.Unavailable) != backoffCap {
		t.Fatal("a server that was never heard is not one that was just there")
	}
	f.set.heard()
	if f.waitLimit(codes.Unavailable) != recentCap || f.waitLimit(codes.PermissionDenied) != backoffCap {
		t.Fatal("the limits are wrong")
	}
}

func TestACutStreamLeavesNothingPending(t *testing.T) {
	server := serve(t, &scriptedServer{onWatch: func(n int, r *pb.WatchSlotsRequest, stream watchStream) error {
		switch n {
		case 0:
			return sendAll(stream, begin("a"), live("a", 0, 1, "x"), synced(1))
		case 1:
			return sendAll(stream, live("a", 1, 2, "half"))
		case 2:
			_ = sendAll(stream, progressAt(3))
			return sendAll(stream, live("a", 2, 4, "whole"), synced(4))
		}
		return hold(stream)
	}})
	set := mustOpen(t, connect(t, Options{Address: server.address}), []string{"a"})
	eventually(t, "the third stream was applied", holds(set.Handle("a"), "whole"))
	if numbers := set.Handle("a").State().Slots(); !slices.Equal(numbers, []uint64{0, 2}) {
		t.Fatalf("slots %v", numbers)
	}
}
