package slots

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Set holds the handles that share one stream. All its methods may be called from any goroutine.
type Set struct {
	names   []string
	handles map[string]*Handle
	log     *slog.Logger
	elapsed func() time.Duration // monotonic, since the set was made
	heardAt atomic.Int64         // when by that clock; 0 = never
	isStale atomic.Bool
	stop    func() // ends the stream and waits for it, then closes what the set owns

	// mu orders publishing against subscribing, so that each change is queued exactly once. Readers never take it.
	mu      sync.Mutex
	closed  bool
	derived map[*derivedCloser]struct{}
}

type derivedCloser struct{ close func() error }

func newSet(names []string, log *slog.Logger) *Set {
	start := time.Now()
	set := &Set{
		names: names, handles: make(map[string]*Handle, len(names)), log: log,
		elapsed: func() time.Duration { return time.Since(start) },
		stop:    func() {}, derived: map[*derivedCloser]struct{}{},
	}
	for _, name := range names {
		set.handles[name] = &Handle{set: set, name: name}
	}
	return set
}

// Names returns the declared names, in the order given.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Handle returns the handle of a declared name. That of any other name answers NAME_NOT_DECLARED to every read.
func (s *Set) Handle(name string) *Handle {
	if handle, declared := s.handles[name]; declared {
		return handle
	}
	handle := &Handle{set: s, name: name}
	handle.state.Store(undeclaredState(name))
	return handle
}

// Age returns how long ago the server was last heard; false when it never was.
func (s *Set) Age() (time.Duration, bool) {
	heardAt := s.heardAt.Load()
	if heardAt == 0 {
		return 0, false
	}
	return max(0, s.elapsed()-time.Duration(heardAt)), true
}

// Stale reports whether the values come from the cache file and the server has not confirmed them since open.
func (s *Set) Stale() bool { return s.isStale.Load() }

// Close ends the stream, all subscriptions and derived values. Handles go on answering with what they have. It is
// idempotent.
func (s *Set) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	derived := s.derived
	s.derived = nil
	for _, handle := range s.handles {
		for sub := range handle.subscriptions {
			sub.end()
		}
		handle.subscriptions = nil
	}
	s.mu.Unlock()
	for d := range derived {
		_ = d.close()
	}
	s.stop()
	return nil
}

// String names the secrets, never their values.
func (s *Set) String() string { return fmt.Sprintf("slots.Set(%s)", strings.Join(s.names, ", ")) }

// GoString is String.
func (s *Set) GoString() string { return s.String() }

// Format writes String, whatever the verb and flags.
func (s *Set) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// publish shows the new states of all names before the first change is told to anybody.
func (s *Set) publish(changed []applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changed {
		s.handles[c.current.name].state.Store(c.current)
	}
	for _, c := range changed {
		handle := s.handles[c.current.name]
		if len(handle.subscriptions) == 0 {
			continue
		}
		change := Change{c.current.name, c.previous, c.current, !c.previous.resolvesAlike(c.current)}
		for sub := range handle.subscriptions {
			sub.push(change)
		}
	}
}

func (s *Set) heard() { s.heardAt.Store(max(1, int64(s.elapsed()))) }

// resolvesAll reports whether every name has a value.
func (s *Set) resolvesAll() bool {
	for _, handle := range s.handles {
		state := handle.State()
		if state == nil {
			return false
		}
		if _, err := state.Current(); err != nil {
			return false
		}
	}
	return true
}

// protect keeps a panic in the user's code from ending the program. What was panicked with is not logged: it may hold
// a value.
func (s *Set) protect(name string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "a callback panicked",
				slog.String("name", name), slog.String("type", fmt.Sprintf("%T", r)))
		}
	}()
	f()
}
