package slots

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reasons that programs often ask for. The server's docs/errors.md has the whole list.
const (
	ReasonSecretNotFound   = "SECRET_NOT_FOUND"
	ReasonNoEffectiveSlot  = "NO_EFFECTIVE_SLOT"
	ReasonSlotNotFound     = "SLOT_NOT_FOUND"
	ReasonSlotExists       = "SLOT_EXISTS"
	ReasonSlotDestroyed    = "SLOT_DESTROYED"
	ReasonETagMismatch     = "ETAG_MISMATCH"
	ReasonRevisionMismatch = "REVISION_MISMATCH"
	ReasonBadResumeToken   = "BAD_RESUME_TOKEN"
	ReasonDataLoss         = "DATA_LOSS"

	// Made by this client.

	ReasonInvalidArgument  = "INVALID_ARGUMENT"
	ReasonNameNotDeclared  = "NAME_NOT_DECLARED"
	ReasonSecretsMissing   = "SECRETS_MISSING"
	ReasonPlaintextRefused = "PLAINTEXT_REFUSED"
	ReasonTokenUnreadable  = "TOKEN_UNREADABLE"
	ReasonTLSUnreadable    = "TLS_UNREADABLE"
	ReasonCacheUnreadable  = "CACHE_UNREADABLE"
	ReasonClosed           = "CLOSED"
	ReasonSilent           = "SILENT"
	ReasonNotText          = "NOT_TEXT"
)

// Error is the one error type of this package: from the server, or made here with the same codes and reasons.
// It never holds a value or a token. [errors.Is] sees through it, and [status.FromError] reads it.
type Error struct {
	// Code is gRPC's canonical code.
	Code codes.Code
	// Reason is the stable word to switch on, such as SECRET_NOT_FOUND; empty when the server gave none.
	Reason string
	// Message says it in English. It may change; do not parse it.
	Message string
	// Metadata holds the message's dynamic parts, such as "name".
	Metadata map[string]string
	// Violations names the fields that the server refused.
	Violations []FieldViolation
	// RetryAfter is how long the server asks to wait; 0 when it doesn't.
	RetryAfter time.Duration

	cause error
}

// FieldViolation is what the server says about one field of a request.
type FieldViolation struct{ Field, Description string }

// Error returns the code, the reason and the message.
func (e *Error) Error() string {
	if e.Reason == "" || e.Reason == CodeName(e.Code) {
		return fmt.Sprintf("%s: %s", CodeName(e.Code), e.Message)
	}
	return fmt.Sprintf("%s (%s): %s", CodeName(e.Code), e.Reason, e.Message)
}

// Unwrap returns what caused the error, if anything did.
func (e *Error) Unwrap() error { return e.cause }

// Is makes a deadline and a cancellation the context package's own, whichever side noticed them first.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	case context.Canceled:
		return e.Code == codes.Canceled
	default:
		return false
	}
}

// GRPCStatus lets status.FromError and status.Code read the error.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// IsAbsent reports whether err says that there is no value: no such secret, no enabled slot, or none at or below the
// number that was asked for.
func IsAbsent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codes.NotFound &&
		(e.Reason == ReasonSecretNotFound || e.Reason == ReasonNoEffectiveSlot)
}

var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// CodeName returns gRPC's canonical name of a code, such as NOT_FOUND.
func CodeName(code codes.Code) string {
	if int(code) < len(codeNames) {
		return codeNames[code]
	}
	return "UNKNOWN"
}

func newError(code codes.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func invalidArgument(format string, args ...any) *Error {
	return newError(codes.InvalidArgument, ReasonInvalidArgument, format, args...)
}

// asError turns what gRPC returned into an Error with the details that the server sent. Details that are missing or
// damaged leave the error that the code says.
func asError(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	s := status.Convert(err)
	e := &Error{Code: s.Code(), Message: s.Message(), cause: err}
	if _, isStatus := status.FromError(err); !isStatus {
		e.Code = status.FromContextError(err).Code()
	}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.RetryInfo:
			e.RetryAfter = max(0, d.GetRetryDelay().AsDuration())
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, FieldViolation{v.GetField(), v.GetDescription()})
			}
		}
	}
	return e
}
