package slots

import (
	"context"
	"sync"
)

// Change is one applied change of a secret.
type Change struct {
	// Name is the secret's name.
	Name string
	// Previous and Current are the states before and after it.
	Previous, Current *State
	// CurrentChanged says whether what Current resolves to differs in slot, value, failure or absence.
	CurrentChanged bool
}

// subscription queues the changes of one secret for one reader, without bound: every change is seen exactly once,
// and a slow reader delays nobody else. States share their slots, so what waits is small.
type subscription struct {
	mu    sync.Mutex
	queue []Change
	wake  chan struct{} // holds at most one
	done  chan struct{}
	end   func()
}

func newSubscription() *subscription {
	s := &subscription{wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.done) })
	return s
}

func (s *subscription) push(change Change) {
	s.mu.Lock()
	s.queue = append(s.queue, change)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next waits for a change; false when the subscription ended, also with changes left.
func (s *subscription) next() (Change, bool) {
	for {
		select {
		case <-s.done:
			return Change{}, false
		default:
		}
		s.mu.Lock()
		if len(s.queue) > 0 {
			change := s.queue[0]
			s.queue[0] = Change{}
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return change, true
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-s.done:
		}
	}
}

// drop forgets what is queued, for a reader that only wants to be woken.
func (s *subscription) drop() {
	s.mu.Lock()
	s.queue = nil
	s.mu.Unlock()
}

// OnChange calls f after each applied change of the secret: exactly once for each, in order, one at a time, on a
// goroutine of its own. It is not called for the state at subscription. A panic in f is logged and does no harm.
// The function returned ends the subscription, as closing the set does; neither waits for a call that is running.
func (h *Handle) OnChange(f func(Change)) (stop func()) {
	sub := h.subscribe()
	go func() {
		for {
			change, ok := sub.next()
			if !ok {
				return
			}
			h.set.protect(h.name, func() { f(change) })
		}
	}()
	return func() { h.unsubscribe(sub) }
}

// Changes is OnChange as a channel. It is closed when ctx ends or the set is closed.
func (h *Handle) Changes(ctx context.Context) <-chan Change {
	sub := h.subscribe()
	changes := make(chan Change)
	release := context.AfterFunc(ctx, func() { h.unsubscribe(sub) })
	go func() {
		defer close(changes)
		defer release()
		for {
			change, ok := sub.next()
			if !ok {
				return
			}
			select {
			case changes <- change:
			case <-sub.done:
				return
			}
		}
	}()
	return changes
}

func (h *Handle) subscribe() *subscription {
	sub := newSubscription()
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	if h.set.closed {
		sub.end()
		return sub
	}
	if h.subscriptions == nil {
		h.subscriptions = map[*subscription]struct{}{}
	}
	h.subscriptions[sub] = struct{}{}
	return sub
}

func (h *Handle) unsubscribe(sub *subscription) {
	h.set.mu.Lock()
	delete(h.subscriptions, sub)
	h.set.mu.Unlock()
	sub.end()
}
