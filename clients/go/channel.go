package slots

import (
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const tlsFilesTTL = 10 * time.Second

// channel is the connection to the server. When TLS files change, calls move to a new connection, and those that run
// finish on the old one, which is closed after the last of them.
type channel struct {
	target string
	tls    *TLS
	log    *slog.Logger

	mu          sync.Mutex
	current     *sharedConn
	fingerprint [sha256.Size]byte
	checkedAt   time.Time
	closed      bool
}

type sharedConn struct {
	*grpc.ClientConn
	users   int
	retired bool
}

// dial makes the first connection without any network I/O. TLS files that do not load are an error here alone.
func (c *channel) dial() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.renew()
}

// acquire returns the connection for one call and what to call after it. fresh looks at the TLS files however lately
// that was done.
func (c *channel) acquire(fresh bool) (*grpc.ClientConn, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, newError(codes.Canceled, ReasonClosed, "the client is closed")
	}
	if c.tls != nil && (fresh || time.Since(c.checkedAt) > tlsFilesTTL) {
		if err := c.renew(); err != nil {
			c.log.Warn("the last good TLS files stay in use", "error", err)
		}
	}
	conn := c.current
	conn.users++
	return conn.ClientConn, func() { c.release(conn) }, nil
}

func (c *channel) release(conn *sharedConn) {
	c.mu.Lock()
	conn.users--
	unused := conn.retired && conn.users == 0
	c.mu.Unlock()
	if unused {
		_ = conn.Close()
	}
}

func (c *channel) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		_ = c.current.Close()
	}
}

// renew loads the TLS files and makes a new connection when they changed. The caller holds mu.
func (c *channel) renew() error {
	c.checkedAt = time.Now()
	creds := insecure.NewCredentials()
	var fingerprint [sha256.Size]byte
	if c.tls != nil {
		config, loaded, err := c.tls.load()
		if err != nil {
			return err
		}
		creds, fingerprint = credentials.NewTLS(config), loaded
	}
	if c.current != nil && fingerprint == c.fingerprint {
		return nil
	}
	conn, err := grpc.NewClient(c.target,
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// The connection's own backoff must not add to ours.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: backoffBase, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		// Retries are ours: a hidden one could repeat what must not be repeated.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent("secretslots-go/"+ClientVersion),
	)
	if err != nil {
		return asError(err)
	}
	if old := c.current; old != nil {
		old.retired = true
		if old.users == 0 {
			_ = old.Close()
		}
	}
	c.current, c.fingerprint = &sharedConn{ClientConn: conn}, fingerprint
	return nil
}
