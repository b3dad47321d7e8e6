package slots

import (
	"context"
	"strings"
	"sync"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
)

// Open connects and opens a set in one call; closing the set closes the client too.
func Open(ctx context.Context, options Options, names []string, opts ...OpenOption) (*Set, error) {
	client, err := Connect(options)
	if err != nil {
		return nil, err
	}
	set, err := client.Open(ctx, names, opts...)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	stop := set.stop
	set.stop = func() { stop(); _ = client.Close() }
	return set, nil
}

// Open follows the named secrets and returns when every one of them has a value. ctx bounds the opening alone; the
// set lives until it is closed.
//
// DEADLINE_EXCEEDED (SECRETS_MISSING) names the secrets without a value after the timeout. A server that refuses
// (PERMISSION_DENIED, INVALID_ARGUMENT, UNIMPLEMENTED, UNAUTHENTICATED twice) is its own error, at once. With a cache
// that has a value for every name, a server that can't be reached is no error: the set is [Set.Stale] until it is.
func (c *Client) Open(ctx context.Context, names []string, opts ...OpenOption) (*Set, error) {
	options, err := openOptionsOf(opts)
	if err != nil {
		return nil, err
	}
	names, err = declaredNames(names)
	if err != nil {
		return nil, err
	}
	set := newSet(names, c.options.Logger)
	f := &follower{
		client: c, set: set, machine: newMachine(names), opening: newOpening(),
		waits: backoff{base: c.timing.backoff}, view: pb.WatchView_WATCH_VIEW_ALL_ENABLED,
	}
	if options.view == CurrentOnly {
		f.view = pb.WatchView_WATCH_VIEW_CURRENT
	}
	if options.cachePath != "" {
		f.cache = newCacheWriter(options, c.timing.cacheIdle, set.log)
		f.loadCache(options)
	}
	if err := c.add(set, f); err != nil {
		return nil, err
	}
	if err := f.wait(ctx, options.timeout); err != nil {
		_ = set.Close()
		return nil, err
	}
	if f.cache != nil {
		f.cache.flush()
	}
	return set, nil
}

// add starts following, unless the client was closed.
func (c *Client) add(set *Set, f *follower) error {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		cancel()
		return newError(codes.Canceled, ReasonClosed, "the client is closed")
	}
	c.sets[set] = struct{}{}
	set.stop = func() {
		cancel()
		running.Wait()
		if f.cache != nil {
			f.cache.flush()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sets, set)
	}
	running.Go(func() { f.run(ctx) })
	if f.cache != nil {
		running.Go(func() { f.cache.run(ctx) })
	}
	return nil
}

// opening is what the stream tells to the call that waits for it.
type opening struct {
	mu              sync.Mutex
	news            chan struct{} // holds at most one
	contacted       bool          // a `synced` or `progress` came
	unavailable     bool          // an attempt found no server
	unauthenticated int           // in a row
	last            *Error        // of the connection
	fatal           *Error
}

func newOpening() *opening { return &opening{news: make(chan struct{}, 1)} }

func (o *opening) tell(update func()) {
	o.mu.Lock()
	update()
	o.mu.Unlock()
	select {
	case o.news <- struct{}{}:
	default:
	}
}

func (o *opening) reached() { o.tell(func() { o.contacted, o.last, o.unauthenticated = true, nil, 0 }) }

func (o *opening) failed(e *Error) {
	o.tell(func() {
		o.last = e
		o.unavailable = o.unavailable || likeUnavailable(e.Code)
		if e.Code != codes.Unauthenticated {
			o.unauthenticated = 0
		} else if o.unauthenticated++; o.unauthenticated == 2 {
			o.fatal = e
		}
		switch e.Code {
		case codes.PermissionDenied, codes.Unimplemented:
			o.fatal = e
		case codes.InvalidArgument:
			if e.Reason != ReasonBadResumeToken {
				o.fatal = e
			}
		}
		if e.Reason == ReasonClosed {
			o.fatal = e
		}
	})
}

// wait returns when every name has a value, or says why that won't be.
func (f *follower) wait(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	graceOver := false
	grace := time.NewTimer(f.client.timing.cacheGrace)
	defer grace.Stop()
	for {
		f.opening.mu.Lock()
		contacted, unavailable, fatal := f.opening.contacted, f.opening.unavailable, f.opening.fatal
		f.opening.mu.Unlock()
		if fatal != nil {
			return fatal
		}
		if (contacted || unavailable || graceOver) && f.set.resolvesAll() {
			return nil
		}
		select {
		case <-f.opening.news:
		case <-grace.C:
			graceOver = true
		case <-ctx.Done():
			if ctx.Err() == context.Canceled {
				return asError(ctx.Err())
			}
			return f.missing(timeout)
		}
	}
}

func (f *follower) missing(timeout time.Duration) *Error {
	f.opening.mu.Lock()
	contacted, last := f.opening.contacted, f.opening.last
	f.opening.mu.Unlock()
	var names, reasons []string
	for _, name := range f.set.names {
		why := ""
		state := f.set.handles[name].State()
		if state != nil {
			_, err := state.Current()
			if err == nil {
				continue
			}
			why = map[string]string{
				ReasonSecretNotFound: "does not exist", ReasonNoEffectiveSlot: "has no enabled slot",
				ReasonDataLoss: "does not open at the server",
			}[asError(err).Reason]
		}
		if !contacted {
			why = "no contact with the server"
			if last != nil {
				why += ": " + last.Error()
			}
		}
		names, reasons = append(names, name), append(reasons, name+" ("+why+")")
	}
	e := newError(codes.DeadlineExceeded, ReasonSecretsMissing, "no value within %v for %s",
		timeout, strings.Join(reasons, ", "))
	e.Metadata = map[string]string{"missing": strings.Join(names, ",")}
	if last != nil {
		e.cause = last
	}
	return e
}
