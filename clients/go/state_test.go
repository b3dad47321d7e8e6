package slots

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// The cases that the server and every client run.
const sharedCases = "../../test/conformance/cases/slots.json"

func TestSharedSlotCases(t *testing.T) {
	file, err := os.ReadFile(sharedCases)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared cases are only in the whole tree")
	}
	var shared struct {
		Cases []struct {
			ID    string
			Slots map[string]string
			Then  []json.RawMessage
			Calls []struct {
				Get    bool
				At     *string
				Value  *string
				Slot   string
				Reason string
			}
		}
	}
	if err := errors.Join(err, json.Unmarshal(file, &shared)); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range shared.Cases {
		if len(c.Then) > 0 || c.Slots == nil {
			continue // needs a server
		}
		ran++
		values := map[uint64]string{}
		for slot, value := range c.Slots {
			values[number(t, slot)] = value
		}
		handle := NewFakeSlots(map[string]map[uint64]string{"s": values}).Handle("s")
		for _, call := range c.Calls {
			version, err := handle.Current()
			if call.At != nil {
				at, parseErr := strconv.ParseUint(*call.At, 10, 64)
				if parseErr != nil {
					continue // Go's type refuses it already
				}
				version, err = handle.EffectiveAt(at)
			}
			switch {
			case call.Value == nil && (err == nil || asError(err).Reason != call.Reason):
				t.Errorf("%s %+v: got %v", c.ID, call, err)
			case call.Value != nil && (err != nil || !version.Value.Equal(Text(*call.Value)) ||
				version.Slot != number(t, call.Slot)):
				t.Errorf("%s %+v: got slot %d, %v", c.ID, call, version.Slot, err)
			}
		}
	}
	if ran < 3 {
		t.Fatalf("only %d cases ran", ran)
	}
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAcceptable(t *testing.T) {
	handle := NewFakeSlots(map[string]map[uint64]string{
		"a": {0: "zero", 100: "hundred", 200: "zero", MaxNumber: "last"}, "b": {50: "fifty"},
	}).Handle("a")
	for _, c := range []struct {
		t, overlap uint64
		want       []uint64
	}{
		{150, 0, []uint64{100}},
		{100, 0, []uint64{100}},
		{100, 1, []uint64{100, 0}},
		{95, 5, []uint64{100, 0}},
		{94, 5, []uint64{0}},
		{150, 50, []uint64{200, 100}},
		{150, 51, []uint64{200, 100}}, // slot 0 holds what slot 200 holds
		{0, 0, []uint64{0}},
		{0, MaxNumber, []uint64{MaxNumber, 200, 100}},
		{MaxNumber, MaxNumber, []uint64{MaxNumber, 200, 100}},
		{MaxNumber - 1, 1, []uint64{MaxNumber, 200}},
	} {
		versions, err := handle.Acceptable(c.t, c.overlap)
		var got []uint64
		for _, v := range versions {
			got = append(got, v.Slot)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("acceptable(%d, %d) = %v, %v; want %v", c.t, c.overlap, got, err, c.want)
		}
	}
	below := NewFakeSlots(map[string]map[uint64]string{"b": {50: "fifty"}}).Handle("b")
	for tt, want := range map[uint64]int{10: 0, 40: 1, 60: 1} {
		if versions, err := below.Acceptable(tt, 10); err != nil || len(versions) != want {
			t.Errorf("acceptable(%d, 10) has %d values, %v", tt, len(versions), err)
		}
	}
	_, err := handle.Acceptable(MaxNumber+1, 0)
	wantError(t, err, codes.InvalidArgument, ReasonInvalidArgument)
	_, err = handle.EffectiveAt(MaxNumber + 1)
	wantError(t, err, codes.InvalidArgument, ReasonInvalidArgument)
}

func TestReadingAllocatesNothing(t *testing.T) {
	fake := NewFakeSlots(map[string]map[uint64]string{"a": {5: "x"}, "gone": {}})
	for _, name := range []string{"a", "gone", "undeclared"} {
		handle := fake.Handle(name)
		if n := testing.AllocsPerRun(100, func() { _, _ = handle.Current() }); n != 0 {
			t.Errorf("Current of %s allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = handle.EffectiveAt(4) }); n != 0 {
			t.Errorf("EffectiveAt of %s allocates %v times", name, n)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "a/b", "A.b_c-9/..x", "..."} {
		if !validName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	long := strings.Repeat("a", 256)
	for _, name := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a b", "ä", "a\n", long} {
		if validName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
	if names, err := declaredNames([]string{"b", "a", "b"}); err != nil || !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("got %v, %v", names, err)
	}
}
