package slots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func TestOneCallForEachChangeInOrder(t *testing.T) {
	noLeaks(t)
	fake := NewFakeSlots(map[string]map[uint64]string{"a": {0: "v0"}, "b": {0: "w"}})
	handle := fake.Handle("a")
	var mu sync.Mutex
	var seen []string
	stop := handle.OnChange(func(c Change) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%d>%d %t", c.Previous.Revision(), c.Current.Revision(), c.CurrentChanged))
		if len(seen) == 2 {
			panic("a callback may")
		}
	})
	for _, step := range []error{
		fake.Rotate("a", "v1"), fake.Rotate("a", "between", 5), fake.Rotate("a", "below", 3), fake.Rotate("b", "other"),
		fake.Disable("a", 5), fake.Delete("a"), fake.Rotate("a", "again"),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	want := []string{"1>3 true", "3>4 true", "4>5 false", "5>7 true", "7>8 true", "8>9 true"}
	eventually(t, "all changes were told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) >= len(want)
	})
	stop()
	_ = fake.Rotate("a", "unseen")
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(seen, want) {
		t.Fatalf("got %v, want %v", seen, want)
	}
	version, err := handle.Current()
	if err != nil || version.Slot != 1 { // a secret born again starts at 0
		t.Fatalf("slot %d, %v", version.Slot, err)
	}
	_ = fake.Close()
}

func TestChangesAsAChannel(t *testing.T) {
	noLeaks(t)
	fake := NewFake(map[string]string{"a": "v0"})
	ctx, cancel := context.WithCancel(t.Context())
	changes := fake.Handle("a").Changes(ctx)
	untilClosed := fake.Handle("a").Changes(t.Context())
	for i := range 5 {
		_ = fake.Rotate("a", fmt.Sprint(i))
	}
	for i := range 5 {
		if change := <-changes; change.Current.Revision() != uint64(i+2) {
			t.Fatalf("change %d is %v", i, change.Current)
		}
	}
	cancel()
	for range changes { // ends
	}
	_ = fake.Close()
	for range untilClosed { // ends
	}
	for range fake.Handle("a").Changes(t.Context()) {
		t.Fatal("a closed set told a change")
	}
}

func TestASlowCallbackDelaysNobodyElse(t *testing.T) {
	fake := NewFake(map[string]string{"a": "v0"})
	defer fake.Close()
	gate := make(chan struct{})
	var slow, quick atomic.Int32
	fake.Handle("a").OnChange(func(Change) { <-gate; slow.Add(1) })
	fake.Handle("a").OnChange(func(Change) { quick.Add(1) })
	for i := range 100 {
		_ = fake.Rotate("a", fmt.Sprint(i))
	}
	wantText(t, fake.Handle("a"), "99")
	eventually(t, "the quick one got all", func() bool { return quick.Load() == 100 })
	if slow.Load() != 0 {
		t.Fatal("the slow one was not slow")
	}
	close(gate)
	eventually(t, "so did the slow one", func() bool { return slow.Load() == 100 })
}

type pool struct {
	text   string
	closed atomic.Bool
}

func TestDerived(t *testing.T) {
	noLeaks(t)
	fake := NewFakeSlots(map[string]map[uint64]string{"a": {0: "v0"}})
	var log bytes.Buffer
	fake.Set.log = slog.New(slog.NewTextHandler(&log, nil))
	handle := fake.Handle("a")
	var attempts atomic.Int32
	build := func(_ context.Context, v Version) (*pool, error) {
		text, _ := v.Value.Text()
		switch {
		case strings.HasPrefix(text, "bad"):
			attempts.Add(1)
			return nil, errors.New("does not work")
		case text == "panics":
			panic(plain)
		}
		return &pool{text: text}, nil
	}
	closing := func(p *pool) error {
		if p.closed.Swap(true) {
			t.Error("closed twice")
		}
		return nil
	}
	derived, err := Derive(t.Context(), handle, build, closing)
	if err != nil {
		t.Fatal(err)
	}
	first := derived.Get()
	if first.text != "v0" {
		t.Fatalf("built of %q", first.text)
	}
	_ = fake.Rotate("a", "v5", 5)
	eventually(t, "it was swapped and the old one closed", func() bool {
		return derived.Get().text == "v5" && first.closed.Load()
	})
	second := derived.Get()
	_ = fake.Rotate("a", "below", 3) // not current: nothing to do
	_ = fake.Rotate("a", "bad", 6)
	eventually(t, "building is tried again", func() bool { return attempts.Load() >= 3 })
	if derived.Get() != second || second.closed.Load() {
		t.Fatal("the old one did not stay")
	}
	_ = fake.Rotate("a", "panics", 7)
	_ = fake.Delete("a")
	if derived.Get() != second {
		t.Fatal("an absent secret took the resource away")
	}
	_ = fake.Rotate("a", "v8", 8)
	eventually(t, "it was swapped again", func() bool { return derived.Get().text == "v8" && second.closed.Load() })
	last := derived.Get()
	_ = fake.Close()
	if derived.Close() != nil || !last.closed.Load() || derived.Get() != last {
		t.Fatal("closing the set did not close the resource")
	}
	if leaks(log.String()) {
		t.Fatal("the log shows what a build panicked with")
	}
	_, err = Derive(t.Context(), handle, build, closing)
	wantError(t, err, codes.Canceled, ReasonClosed)
}

func TestDerivedFirstBuildIsTheCallers(t *testing.T) {
	noLeaks(t)
	fake := NewFakeSlots(map[string]map[uint64]string{"a": {0: "v0"}, "gone": {}})
	defer fake.Close()
	failure := errors.New("does not work")
	_, err := Derive(t.Context(), fake.Handle("a"),
		func(context.Context, Version) (int, error) { return 0, failure }, nil)
	if !errors.Is(err, failure) {
		t.Fatalf("got %v", err)
	}
	_, err = Derive(t.Context(), fake.Handle("gone"),
		func(context.Context, Version) (int, error) { return 0, nil }, nil)
	wantError(t, err, codes.NotFound, ReasonSecretNotFound)
}

func TestDerivedClosedWhileBuilding(t *testing.T) {
	noLeaks(t)
	fake := NewFake(map[string]string{"a": "v0"})
	defer fake.Close()
	building, finish := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var closed []string
	hasClosed := func(want ...string) bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(closed, want)
	}
	derived, err := Derive(t.Context(), fake.Handle("a"), func(ctx context.Context, v Version) (string, error) {
		text, _ := v.Value.Text()
		if text == "v1" {
			close(building)
			<-finish
		}
		return text, nil
	}, func(text string) error {
		mu.Lock()
		defer mu.Unlock()
		closed = append(closed, text)
		return errors.New("told to")
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = fake.Rotate("a", "v1")
	<-building
	if derived.Close() == nil || derived.Close() == nil || !hasClosed("v0") {
		t.Fatal("closing does not return what closing the resource did")
	}
	close(finish)
	eventually(t, "what was built too late is closed as well", func() bool { return hasClosed("v0", "v1") })
}

func TestFake(t *testing.T) {
	fake := NewFakeSlots(map[string]map[uint64]string{"a": {0: "old", 5: "new"}, "gone": {}})
	defer fake.Close()
	handle := fake.Handle("a")
	if version, err := handle.EffectiveAt(4); err != nil || version.Epoch != "fake" || !version.Value.Equal(Text("old")) {
		t.Fatalf("got %v, %v", version, err)
	}
	if age, heard := fake.Set.Age(); age != 0 || !heard || fake.Stale() {
		t.Fatalf("age %v, %t", age, heard)
	}
	_, err := fake.Handle("gone").Current()
	wantError(t, err, codes.NotFound, ReasonSecretNotFound)
	_ = fake.Rotate("gone", "here")
	wantText(t, fake.Handle("gone"), "here")
	_ = fake.Disable("gone", 0)
	_, err = fake.Handle("gone").Current()
	wantError(t, err, codes.NotFound, ReasonNoEffectiveSlot)
	wantError(t, fake.Rotate("nobody", "x"), codes.InvalidArgument, ReasonNameNotDeclared)
	wantError(t, fake.Disable("a", 1), codes.NotFound, ReasonSlotNotFound)
	wantError(t, fake.Rotate("a", "x", MaxNumber+1), codes.InvalidArgument, ReasonInvalidArgument)
	if err := fake.Rotate("a", "top", MaxNumber); err != nil {
		t.Fatal(err)
	}
	wantError(t, fake.Rotate("a", "past the top"), codes.InvalidArgument, ReasonInvalidArgument)
}

// TestReadersNeverGoBack (W14) reads while a server cuts, lies, resets and rotates.
func TestReadersNeverGoBack(t *testing.T) {
	noLeaks(t)
	server := newChaos(t)
	client := connect(t, Options{Address: server.address})
	client.timing.healthy = 0 // short waits, many streams
	set := mustOpen(t, client, []string{"a", "b"})
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := map[string]Version{}
			for ctx.Err() == nil {
				for _, name := range []string{"a", "b"} {
					version, err := set.Handle(name).Current()
					if err != nil {
						t.Errorf("a read failed: %v", err)
						return
					}
					before := last[name]
					if before.Epoch == version.Epoch && version.Revision < before.Revision {
						t.Errorf("%s went back from %d to %d", name, before.Revision, version.Revision)
						return
					}
					last[name] = version
				}
				time.Sleep(50 * time.Microsecond)
			}
		})
	}
	var told sync.Map
	set.Handle("a").OnChange(func(c Change) {
		if before, seen := told.Swap(c.Current.Epoch(), c.Current.Revision()); seen && c.Current.Revision() <= before.(uint64) {
			t.Errorf("told of %d after %d", c.Current.Revision(), before)
		}
	})
	eventually(t, "many streams were cut", func() bool { return len(server.seenWatches()) > 60 })
	final := server.becomeHonest()
	eventually(t, "the last value arrived", func() bool {
		return holds(set.Handle("a"), final)() && holds(set.Handle("b"), final)()
	})
	cancel()
	readers.Wait()
}
