package slots

import (
	"context"
	"errors"
	"io"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
)

// follower keeps one WatchSlots stream running for a set until its context ends.
type follower struct {
	client  *Client
	set     *Set
	machine *machine
	view    pb.WatchView
	cache   *cacheWriter // nil without a cache
	opening *opening
	waits   backoff
	// badToken is true after BAD_RESUME_TOKEN, until a stream ends otherwise: once in a row we reconnect at once.
	badToken bool
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		caughtUp, err := f.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		failure := asError(err)
		if failure.Reason == ReasonBadResumeToken && !f.badToken {
			f.badToken, f.machine.token = true, ""
			continue
		}
		f.badToken = false
		if f.opening.failed(failure) {
			return
		}
		if caughtUp && time.Since(began) >= f.client.timing.healthy {
			f.waits.reset()
		}
		wait := max(failure.RetryAfter, f.waits.next(f.waitLimit(failure.Code)))
		f.set.log.Warn("the watch ended and is opened again", "error", failure, "wait", wait)
		sleep(ctx, wait)
	}
}

func (f *follower) waitLimit(code codes.Code) time.Duration {
	if age, heard := f.set.Age(); heard && age < recentlyHeard && likeUnavailable(code) {
		return recentCap
	}
	return backoffCap
}

var errStreamEnded = newError(codes.Unavailable, "", "the server ended the stream")

// stream runs one stream to its end and says whether it caught up. It always returns an error.
func (f *follower) stream(parent context.Context) (caughtUp bool, err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	silent := newError(codes.Unavailable, ReasonSilent, "the server fell silent")
	watchdog := time.AfterFunc(f.client.timing.firstMessage, func() { cancel(silent) })
	defer watchdog.Stop()
	defer func() {
		if errors.Is(context.Cause(ctx), silent) {
			err = silent
		}
	}()

	to, err := f.client.prepare(ctx, true)
	if err != nil {
		return false, err
	}
	defer to.release()
	to.conn.ResetConnectBackoff()
	f.machine.startStream()
	stream, err := pb.NewSecretServiceClient(to.conn).WatchSlots(to.ctx, &pb.WatchSlotsRequest{
		Names: f.set.names, View: f.view, AllowMissing: true, ResumeToken: f.machine.token,
	})
	if err != nil {
		return false, err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errStreamEnded
			}
			return caughtUp, err
		}
		watchdog.Reset(f.client.timing.silence)
		f.set.heard()
		done, err := f.machine.receive(message)
		if err != nil {
			return caughtUp, err
		}
		if done.caughtUp {
			caughtUp = true
			f.apply(done.changed)
		}
	}
}

func (f *follower) apply(changed []applied) {
	f.set.publish(changed)
	f.set.isStale.Store(false)
	if f.cache != nil {
		f.cache.offer(f.machine, len(changed) > 0)
	}
	f.opening.reached()
}
