package slots

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// rpc is a method of the service, such as pb.SecretServiceClient.GetSecret.
type rpc[Req, Resp any] = func(pb.SecretServiceClient, context.Context, Req, ...grpc.CallOption) (Resp, error)

// call makes a unary call with its deadline and retries. UNAVAILABLE alone is tried again; that is safe for mutations
// too, because each carries a request id, by which the server does it once. UNAUTHENTICATED is tried again once, when
// the token has changed since.
func call[Req, Resp any](ctx context.Context, c *Client, request Req, method rpc[Req, Resp]) (Resp, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
		defer cancel()
	}
	deadline, _ := ctx.Deadline()
	var none Resp
	waits := backoff{base: c.timing.backoff}
	reauthenticated := false
	for attempt := 1; ; attempt++ {
		to, err := c.prepare(ctx, attempt > 1)
		if err != nil {
			return none, err
		}
		response, rpcErr := method(pb.NewSecretServiceClient(to.conn), to.ctx, request)
		to.release()
		if rpcErr == nil {
			return response, nil
		}
		failure := asError(rpcErr)
		if failure.Code == codes.Unauthenticated && !reauthenticated {
			reauthenticated = true
			if token, err := c.token.get(ctx, true); err == nil && token != to.token {
				continue
			}
		}
		if failure.Code != codes.Unavailable || attempt >= c.options.MaxAttempts {
			return none, failure
		}
		wait := max(failure.RetryAfter, waits.next(backoffCap))
		if time.Until(deadline) <= wait {
			return none, failure
		}
		if sleep(ctx, wait); ctx.Err() != nil {
			return none, asError(ctx.Err())
		}
	}
}

// requestIDOr makes up a request id where the caller gave none.
func requestIDOr(given string) string {
	if given != "" {
		return given
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
