package slots

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

const redacted = "[secret]"

// Value holds the bytes of a secret and prints as [secret] with every format verb, in JSON, text and slog. The zero
// Value holds nothing, which is not the same as an empty value when it is written.
//
// Values are immutable and may be shared. They do not compare with ==; use [Value.Equal].
type Value struct {
	// The bytes sit behind a function, so that code that walks memory by reflection (fmt on an unexported field,
	// spew, testify's diffs) finds an address and nothing else. A function also makes == a compile error.
	reveal func() string
}

// Bytes makes a Value of a copy of b.
func Bytes(b []byte) Value { return Text(string(b)) }

// Text makes a Value of the bytes of s.
func Text(s string) Value { return Value{reveal: func() string { return s }} }

// IsZero reports whether v holds nothing at all. An empty value is not zero.
func (v Value) IsZero() bool { return v.reveal == nil }

// Bytes returns a copy of the bytes, which the caller owns.
func (v Value) Bytes() []byte { return []byte(v.open()) }

// Text returns the value as a string without copying it. INVALID_ARGUMENT, reason NOT_TEXT, when it is no valid UTF-8.
func (v Value) Text() (string, error) {
	if s := v.open(); utf8.ValidString(s) {
		return s, nil
	}
	return "", newError(codes.InvalidArgument, ReasonNotText, "the value is not UTF-8 text")
}

// Len returns the number of bytes.
func (v Value) Len() int { return len(v.open()) }

// Equal compares in a time that depends on the lengths alone.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.open()), []byte(other.open())) == 1
}

// String returns [secret].
func (v Value) String() string { return redacted }

// GoString returns [secret].
func (v Value) GoString() string { return redacted }

// Format writes [secret], whatever the verb and flags.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns "[secret]".
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText returns [secret].
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns [secret].
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

func (v Value) open() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}
