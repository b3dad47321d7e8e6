package slots

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Client is a connection to a server and the credentials for it. All its methods may be called from any goroutine.
type Client struct {
	options Options
	channel *channel
	token   *tokenSource
	timing  timing

	mu   sync.Mutex
	sets map[*Set]struct{}
}

// timing holds the bounds of a watch; tests shorten them.
type timing struct {
	firstMessage time.Duration // a new stream's first message
	silence      time.Duration // between messages; the server sends `progress` every 10 s
	cacheGrace   time.Duration // open waits so long for the server before it uses the cache
	cacheIdle    time.Duration // between cache writes for `progress` alone
	backoff      time.Duration // the first wait
	// A stream that lived so long and caught up starts the backoff anew; one that fails right after it caught up
	// must not be opened again ever so fast.
	healthy time.Duration
}

var defaultTiming = timing{
	firstMessage: 20 * time.Second, silence: 40 * time.Second, cacheGrace: 2 * time.Second,
	cacheIdle: time.Minute,
	backoff:   backoffBase,
}

// Connect makes a client without any network I/O. INVALID_ARGUMENT for options that can't be,
// FAILED_PRECONDITION (TLS_UNREADABLE) for TLS files that do not load.
func Connect(options Options) (*Client, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	target, _, err := parseAddress(options.Address)
	if err != nil {
		return nil, err
	}
	log := options.Logger
	client := &Client{
		options: options,
		channel: &channel{target: target, tls: options.TLS, log: log},
		token:   &tokenSource{value: options.Token, file: options.TokenFile, function: options.TokenFunc, log: log},
		timing:  defaultTiming,
		sets:    map[*Set]struct{}{},
	}
	if err := client.channel.dial(); err != nil {
		return nil, err
	}
	return client, nil
}

// Close closes the sets that were opened from the client and its connection. Handles go on answering with what they
// have.
func (c *Client) Close() error {
	c.mu.Lock()
	sets := c.sets
	c.sets = nil
	c.mu.Unlock()
	for set := range sets {
		_ = set.Close()
	}
	c.channel.close()
	return nil
}

// String names the client's address and nothing else.
func (c *Client) String() string { return fmt.Sprintf("slots.Client(%s)", c.options.Address) }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// Format writes String, whatever the verb and flags.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// callee is the connection for one attempt, with a context that carries the token.
type callee struct {
	ctx     context.Context
	conn    *grpc.ClientConn
	token   string
	release func()
}

// prepare reads the credentials; fresh does so however lately that was done.
func (c *Client) prepare(ctx context.Context, fresh bool) (callee, error) {
	token, err := c.token.get(ctx, fresh)
	if err != nil {
		return callee{}, err
	}
	conn, release, err := c.channel.acquire(fresh)
	if err != nil {
		return callee{}, err
	}
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return callee{ctx, conn, token, release}, nil
}
