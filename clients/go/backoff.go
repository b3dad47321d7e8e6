package slots

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	backoffBase = 100 * time.Millisecond
	backoffCap  = 10 * time.Second
	// A server that was heard within a minute and is gone is tried at least every 2 s, so that all clients are back
	// within 5 s of its restart. One draw of full jitter with the 10 s cap could miss that.
	recentlyHeard = time.Minute
	recentCap     = 2 * time.Second
)

// backoff draws waits with full jitter: 0 to 100 ms, doubling with each failure up to a limit.
type backoff struct {
	failures int
	base     time.Duration // 0 = 100 ms; tests shorten it
}

func (b *backoff) next(limit time.Duration) time.Duration {
	most := limit
	if b.failures < 10 { // 100 ms · 2^10 is past every limit
		most = min(limit, cmp.Or(b.base, backoffBase)<<b.failures)
	}
	b.failures++
	return rand.N(most + 1)
}

func (b *backoff) reset() { b.failures = 0 }

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// likeUnavailable: how a stream ended that does not say the server refuses us.
func likeUnavailable(code codes.Code) bool {
	switch code {
	case codes.OK, codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown, codes.DeadlineExceeded:
		return true
	default:
		return false
	}
}
