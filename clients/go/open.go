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
	closed, err := c.add(set, f)
	if err != nil {
		return nil, err
	}
	if err := f.wait(ctx, options.timeout, closed); err != nil {
		_ = set.Close()
		return nil, err
	}
	if f.cache != nil {
		f.cache.flush()
	}
	return set, nil
}

// add starts following, unless the client was closed. The channel is closed when the set is.
func (c *Client) add(set *Set, f *follower) (closed <-chan struct{}, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		cancel()
		return nil, newError(codes.Canceled, ReasonClosed, "the client is closed")
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
	return ctx.Done(), nil
}

// opening is what the stream tells to the call that waits for it.
type opening struct {
	mu              sync.Mutex
	news            chan struct{} // holds at most one
	over            bool          // open has returned a set: nothing is fatal any more
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

// failed says whether that ends the opening.
func (o *opening) failed(e *Error) (fatal bool) {
	o.tell(func() {
		o.last = e
		o.unavailable = o.unavailable || likeUnavailable(e.Code)
		if e.Code == codes.Unauthenticated {
			o.unauthenticated++
		} else {
			o.unauthenticated = 0
		}
		if !o.over && (o.unauthenticated == 2 || refuses(e)) {
			o.fatal = e
		}
		fatal = o.fatal != nil
	})
	return fatal
}

// refuses: a server that understood what we want and says no.
func refuses(e *Error) bool {
	switch e.Code {
	case codes.PermissionDenied, codes.Unimplemented:
		return true
	case codes.InvalidArgument:
		return e.Reason != ReasonBadResumeToken
	default:
		return false
	}
}

// resolved is asked each time something happened: is the wait over, and how?
func (o *opening) resolved(set *Set, graceOver bool) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fatal != nil {
		return true, o.fatal
	}
	o.over = (o.contacted || o.unavailable || graceOver) && set.resolvesAll()
	return o.over, nil
}

// wait returns when every name has a value, or says why that won't be.
func (f *follower) wait(ctx context.Context, timeout time.Duration, closed <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	graceOver := false
	grace := time.NewTimer(f.client.timing.cacheGrace)
	defer grace.Stop()
	began := time.Now()
	for {
		if over, err := f.opening.resolved(f.set, graceOver); over {
			return err
		}
		select {
		case <-f.opening.news:
		case <-grace.C:
			graceOver = true
		case <-closed:
			return newError(codes.Canceled, ReasonClosed, "the client is closed")
		case <-ctx.Done():
			if ctx.Err() == context.Canceled {
				return asError(ctx.Err())
			}
			return f.missing(time.Since(began))
		}
	}
}

func (f *follower) missing(waited time.Duration) *Error {
	f.opening.mu.Lock()
	contacted, last := f.opening.contacted, f.opening.last
	f.opening.mu.Unlock()
	var names, reasons []string
	for _, name := range f.set.names {
		state := f.set.handles[name].State()
		var err error
		if state != nil {
			if _, err = state.Current(); err == nil {
				continue
			}
		}
		why := "the server said nothing of it"
		switch {
		case (state == nil && !contacted) || f.set.Stale():
			why = "no contact with the server"
			if last != nil {
				why += ": " + last.Error()
			}
		case err != nil:
			why = map[string]string{
				ReasonSecretNotFound: "does not exist", ReasonNoEffectiveSlot: "has no enabled slot",
				ReasonDataLoss: "does not open at the server",
			}[asError(err).Reason]
		}
		names, reasons = append(names, name), append(reasons, name+" ("+why+")")
	}
	e := newError(codes.DeadlineExceeded, ReasonSecretsMissing, "no value after %v for %s",
		waited.Round(time.Millisecond), strings.Join(reasons, ", "))
	e.Metadata = map[string]string{"missing": strings.Join(names, ",")}
	if last != nil {
		e.cause = last
	}
	return e
}
