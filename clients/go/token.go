package slots

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

const tokenFileTTL = time.Second

// tokenSource gives the bearer token of a call, "" when there is none to send.
type tokenSource struct {
	value    Value
	file     string
	function func(context.Context) (string, error)
	log      *slog.Logger

	mu     sync.Mutex
	last   string
	readAt time.Time
}

// get returns the token; fresh reads a file again however lately that was done.
func (t *tokenSource) get(ctx context.Context, fresh bool) (string, error) {
	switch {
	case t.function != nil:
		token, err := t.function(ctx)
		if err != nil {
			e := newError(codes.Unauthenticated, ReasonTokenUnreadable, "the token function failed: %v", err)
			e.cause = err
			return "", e
		}
		return token, checkToken(token)
	case t.file != "":
		return t.fromFile(fresh)
	case !t.value.IsZero():
		return t.value.open(), checkToken(t.value.open())
	default:
		return "", nil
	}
}

// fromFile keeps using the last good content when the file can't be read, as while it is being replaced.
func (t *tokenSource) fromFile(fresh bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !fresh && t.last != "" && time.Since(t.readAt) < tokenFileTTL {
		return t.last, nil
	}
	content, err := os.ReadFile(t.file)
	token := strings.TrimSpace(string(content))
	if err == nil {
		err = checkToken(token)
	}
	switch {
	case err == nil:
		t.last, t.readAt = token, time.Now()
	case t.last == "":
		e := newError(codes.Unauthenticated, ReasonTokenUnreadable, "no token can be read from %s: %v", t.file, err)
		e.cause = err
		return "", e
	default:
		t.log.Warn("the token file can't be read; the last good token stays in use", "file", t.file, "error", err)
	}
	return t.last, nil
}

// checkToken refuses here what gRPC would quote in its own error.
func checkToken(token string) error {
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return newError(codes.Unauthenticated, ReasonTokenUnreadable,
			"the token is empty or has characters that no token has")
	}
	return nil
}
