package slots

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

const plain = "hunter2-is-plain"

// forms prints a holder in every way of the standard library.
func forms(holder any) string {
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%U", "%10v", "%08b"} {
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	fmt.Fprintln(&out, holder)
	if encoded, err := json.Marshal(holder); err == nil {
		out.Write(encoded)
	}
	if encoded, err := xml.Marshal(holder); err == nil {
		out.Write(encoded)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("it", "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("it", "holder", holder)
	return out.String()
}

func leaks(printed string) bool {
	hex := fmt.Sprintf("%x", plain)
	return strings.Contains(printed, plain) || strings.Contains(strings.ToLower(printed), hex) ||
		strings.Contains(printed, fmt.Sprintf("% x", plain)) || strings.Contains(printed, "aHVudGVyMi1pcy1wbGFpb") ||
		strings.Contains(printed, strings.Trim(fmt.Sprint([]byte(plain)), "[]"))
}

func TestValuesDoNotPrint(t *testing.T) {
	fake := NewFake(map[string]string{"a": plain})
	handle := fake.Handle("a")
	version, err := handle.Current()
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, Options{Address: "127.0.0.1:1", Token: Text(plain)})
	type unexported struct {
		value   Value
		pointer *Value
		version Version
		state   *State
		any     any
	}
	hidden := unexported{version.Value, &version.Value, version, handle.State(), version}
	for _, holder := range []any{
		version.Value, &version.Value, version, &version, handle.State(), *handle.State(), handle, fake.Set, fake, client,
		hidden, &hidden, []Value{version.Value}, map[string]Version{"a": version},
		Options{Token: version.Value}, Change{Current: handle.State()}, fmt.Errorf("with %v", version),
		EffectiveVersion{Version: version},
	} {
		if printed := forms(holder); leaks(printed) {
			t.Errorf("%T shows the value:\n%s", holder, printed)
		}
	}
	for _, printed := range []string{fmt.Sprint(version.Value), fmt.Sprintf("%+v", version), fmt.Sprintf("%#v", version)} {
		if !strings.Contains(printed, redacted) {
			t.Errorf("%s does not say %s", printed, redacted)
		}
	}
	if !leaks(forms(plain)) {
		t.Error("the check itself sees nothing")
	}
}

func TestReadingAValueIsExplicit(t *testing.T) {
	original := []byte("abc")
	value := Bytes(original)
	original[0] = 'x'
	got := value.Bytes()
	got[1] = 'x'
	if text, err := value.Text(); text != "abc" || err != nil {
		t.Fatalf("the value is shared: %q, %v", text, err)
	}
	_, err := Bytes([]byte{0xff}).Text()
	wantError(t, err, codes.InvalidArgument, ReasonNotText)
	var zero Value
	if !zero.IsZero() || Text("").IsZero() || !zero.Equal(Text("")) || zero.Len() != 0 || len(zero.Bytes()) != 0 {
		t.Fatal("the zero value and the empty one are mixed up")
	}
	if !value.Equal(Text("abc")) || value.Equal(Text("abd")) || value.Equal(Text("abcd")) {
		t.Fatal("Equal is wrong")
	}
}

func TestErrorsAreOneType(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", asError(serverError(codes.NotFound, ReasonSecretNotFound, 0)))
	if !IsAbsent(err) || IsAbsent(errors.New("x")) || IsAbsent(nil) {
		t.Fatal("IsAbsent is wrong")
	}
	e := wantError(t, err, codes.NotFound, ReasonSecretNotFound)
	if e.Metadata["name"] != "a" || e.Error() != "NOT_FOUND (SECRET_NOT_FOUND): told to" {
		t.Fatalf("got %v with %v", e, e.Metadata)
	}
}
