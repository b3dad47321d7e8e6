package slots

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
)

// Derived is a resource that is built from a secret's current value, such as a database pool or a signer, and is
// replaced when the value changes.
type Derived[T any] struct {
	handle  *Handle
	build   func(context.Context, Version) (T, error)
	closing func(T) error
	current atomic.Pointer[built[T]]
	closer  *derivedCloser

	mu     sync.Mutex // publishing against closing
	closed bool
}

type built[T any] struct {
	resource T
	from     Version
}

// Derive builds a resource at once, and again whenever the slot or the bytes of the current value differ from those
// that it was built of. The new one is published when its build worked, and then the old one is closed; while building
// fails, or the secret is absent, the old one stays. ctx bounds the first build alone; its error is returned. closing
// may be nil. Builds run one at a time, on a goroutine of their own.
func Derive[T any](
	ctx context.Context, h *Handle, build func(context.Context, Version) (T, error), closing func(T) error,
) (*Derived[T], error) {
	if closing == nil {
		closing = func(T) error { return nil }
	}
	d := &Derived[T]{handle: h, build: build, closing: closing}
	sub := h.subscribe() // before the first read, so that no change falls between
	version, err := h.Current()
	if err == nil {
		var resource T
		if resource, err = build(ctx, version); err == nil {
			d.current.Store(&built[T]{resource, version})
		}
	}
	if err != nil {
		h.unsubscribe(sub)
		return nil, err
	}
	background, cancel := context.WithCancel(context.Background())
	d.closer = &derivedCloser{close: sync.OnceValue(func() error {
		cancel()
		h.unsubscribe(sub)
		return d.end()
	})}
	h.set.mu.Lock()
	setClosed := h.set.closed
	if !setClosed {
		h.set.derived[d.closer] = struct{}{}
	}
	h.set.mu.Unlock()
	if setClosed {
		_ = d.closer.close()
		return nil, newError(codes.Canceled, ReasonClosed, "the set is closed")
	}
	go d.follow(background, sub)
	return d, nil
}

// Get returns the newest resource that was built. It is a plain read. After Close it returns the last one, closed.
func (d *Derived[T]) Get() T { return d.current.Load().resource }

// Close ends the rebuilding and closes the resource; closing the set does the same. It is idempotent and returns what
// closing the resource did.
func (d *Derived[T]) Close() error {
	d.handle.set.mu.Lock()
	delete(d.handle.set.derived, d.closer)
	d.handle.set.mu.Unlock()
	return d.closer.close()
}

func (d *Derived[T]) end() error {
	d.mu.Lock()
	d.closed = true
	last := d.current.Load().resource
	d.mu.Unlock()
	return d.closeOne(last)
}

// follow rebuilds after changes. A change only wakes it: what is built is the newest value, and those that came and
// went meanwhile are skipped.
func (d *Derived[T]) follow(ctx context.Context, sub *subscription) {
	var waits backoff
	var failedFor *Version
	retry := time.NewTimer(0)
	retry.Stop()
	for {
		select {
		case <-sub.done:
			return
		case <-sub.wake:
			sub.drop()
		case <-retry.C:
		}
		version, err := d.handle.Current()
		if err != nil || sameValue(version, d.current.Load().from) {
			retry.Stop()
			failedFor = nil
			continue
		}
		if failedFor == nil || !sameValue(version, *failedFor) {
			waits.reset()
		}
		if err := d.rebuild(ctx, version); err != nil {
			if ctx.Err() != nil {
				return
			}
			d.warn("building from the new value failed; the old one stays in use", err)
			failedFor = &version
			retry.Reset(waits.next(backoffCap))
		} else {
			retry.Stop()
			failedFor = nil
		}
	}
}

func (d *Derived[T]) rebuild(ctx context.Context, version Version) (err error) {
	err = errors.New("the build panicked") // unless it comes to an end
	var resource T
	d.handle.set.protect(d.handle.name, func() { resource, err = d.build(ctx, version) })
	if err != nil {
		return err
	}
	d.mu.Lock()
	closed, old := d.closed, d.current.Load().resource
	if !closed {
		d.current.Store(&built[T]{resource, version})
	}
	d.mu.Unlock()
	if closed {
		old = resource
	}
	if err := d.closeOne(old); err != nil {
		d.warn("closing what was replaced failed", err)
	}
	return nil
}

func (d *Derived[T]) closeOne(resource T) (err error) {
	d.handle.set.protect(d.handle.name, func() { err = d.closing(resource) })
	return err
}

// warn logs the error's own text: build and closing are the caller's, and so is what they put into it.
func (d *Derived[T]) warn(message string, err error) {
	d.handle.set.log.LogAttrs(context.Background(), slog.LevelWarn, message,
		slog.String("name", d.handle.name), slog.Any("error", err))
}

func sameValue(a, b Version) bool { return a.Slot == b.Slot && a.Value.Equal(b.Value) }
