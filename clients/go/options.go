package slots

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Options say how to reach a server. Only Address is required.
type Options struct {
	// Address is host:port, [v6]:port or unix:PATH.
	Address string

	// Token, TokenFile and TokenFunc give the bearer token; at most one of them. A file may change at any time:
	// it is read again before each stream, at most once a second for other calls, and after UNAUTHENTICATED. The
	// function is called before each stream and each call.
	Token     Value
	TokenFile string
	TokenFunc func(context.Context) (string, error)

	// TLS switches TLS on; &TLS{} trusts the system's roots.
	TLS *TLS
	// AllowPlaintext lets a token travel without TLS to another machine, which is refused otherwise
	// (PLAINTEXT_REFUSED).
	AllowPlaintext bool

	// Timeout is the deadline of a unary call with all its attempts, when the caller's context has none. Default 5 s.
	Timeout time.Duration
	// MaxAttempts of a unary call. Default 5.
	MaxAttempts int
	// Logger gets warnings, never values or tokens. Default: none.
	Logger *slog.Logger
}

// TLS names PEM files, which are read again when they change, and the server's name when it is not the address's.
type TLS struct {
	// CA holds the roots to trust instead of the system's.
	CA string
	// Cert and Key prove who we are; both or neither.
	Cert, Key string
	// ServerName is checked against the server's certificate.
	ServerName string
}

const (
	defaultTimeout     = 5 * time.Second
	defaultMaxAttempts = 5
	defaultOpenTimeout = 10 * time.Second
)

// View chooses the slots that a set follows.
type View string

const (
	// AllEnabled follows every enabled slot. The default.
	AllEnabled View = "ALL_ENABLED"
	// CurrentOnly follows the current slot; EffectiveAt and Acceptable then see that one slot.
	CurrentOnly View = "CURRENT"
)

type openOptions struct {
	timeout   time.Duration
	view      View
	cachePath string
	cacheKey  []byte
}

// OpenOption changes how a set is opened.
type OpenOption func(*openOptions)

// WithOpenTimeout bounds the wait until every name has a value. Default 10 s.
func WithOpenTimeout(d time.Duration) OpenOption { return func(o *openOptions) { o.timeout = d } }

// WithView chooses the slots to follow. Default AllEnabled.
func WithView(view View) OpenOption { return func(o *openOptions) { o.view = view } }

// WithCache keeps the newest values in an encrypted file, so that a program starts while the server is down. The key
// has 32 bytes. A client of any language reads the file of any other.
func WithCache(path string, key []byte) OpenOption {
	return func(o *openOptions) { o.cachePath, o.cacheKey = path, key }
}

func openOptionsOf(opts []OpenOption) (openOptions, error) {
	o := openOptions{timeout: defaultOpenTimeout, view: AllEnabled}
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case o.timeout <= 0:
		return o, invalidArgument("the timeout of open must be positive")
	case o.view != AllEnabled && o.view != CurrentOnly:
		return o, invalidArgument("there is no view %q", o.view)
	case (o.cachePath == "") != (o.cacheKey == nil):
		return o, invalidArgument("a cache needs a path and a key")
	case o.cacheKey != nil && len(o.cacheKey) != 32:
		return o, invalidArgument("the cache key must have 32 bytes, not %d", len(o.cacheKey))
	}
	return o, nil
}

// withDefaults checks the options and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	tokens := 0
	for _, given := range []bool{!o.Token.IsZero(), o.TokenFile != "", o.TokenFunc != nil} {
		if given {
			tokens++
		}
	}
	_, local, err := parseAddress(o.Address)
	switch {
	case err != nil:
		return o, err
	case tokens > 1:
		return o, invalidArgument("give one of Token, TokenFile and TokenFunc")
	case o.TLS != nil && (o.TLS.Cert == "") != (o.TLS.Key == ""):
		return o, invalidArgument("TLS.Cert and TLS.Key go together")
	case tokens > 0 && o.TLS == nil && !local && !o.AllowPlaintext:
		return o, newError(codes.InvalidArgument, ReasonPlaintextRefused,
			"a token is not sent to %s without TLS: set TLS, or AllowPlaintext if you must", o.Address)
	case o.Timeout < 0 || o.MaxAttempts < 0:
		return o, invalidArgument("Timeout and MaxAttempts must not be negative")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = defaultMaxAttempts
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

var hostShape = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// parseAddress gives what gRPC dials, and whether the bytes stay on this machine.
func parseAddress(address string) (target string, local bool, err error) {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix && path != "" {
		return address, true, nil
	}
	host, port, err := net.SplitHostPort(address)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number == 0 {
		return "", false, invalidArgument("the address must be host:port, [v6]:port or unix:PATH, not %q", address)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return "dns:///" + address, ip.IsLoopback(), nil
	}
	if !hostShape.MatchString(host) {
		return "", false, invalidArgument("%q is no host name", host)
	}
	return "dns:///" + address, strings.EqualFold(host, "localhost"), nil
}
