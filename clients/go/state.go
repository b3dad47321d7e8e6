package slots

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// AbsentReason says why a secret has no value.
type AbsentReason string

const (
	// NotExisting: there is no secret of that name.
	NotExisting AbsentReason = "NOT_EXISTING"
	// NoEnabledSlot: the secret exists and has no enabled slot.
	NoEnabledSlot AbsentReason = "NO_ENABLED_SLOT"
)

// Version is a value and where it comes from.
type Version struct {
	// Name is the secret's name.
	Name string
	// Slot is the number of the slot that the value is in.
	Slot uint64
	// Value is the secret itself. It does not print.
	Value Value
	// Revision is the last change of the secret that this answer knows of. It rises with every change, also when the
	// slot number falls.
	Revision uint64
	// Epoch is the history that Revision counts in; revisions compare within one epoch only.
	Epoch string
	// CreateTime is when this version of the slot was written; zero when unknown.
	CreateTime time.Time
}

// slotEntry is one live slot: what it resolves to, made once because it is read far more often than it changes.
type slotEntry struct {
	Version
	failed *Error
	// revision is the slot's own, which orders the events of one slot; Version.Revision is the secret's.
	revision uint64
}

// State is everything known of one secret at one revision. It never changes; a handle replaces it as a whole.
type State struct {
	name     string
	epoch    string
	revision uint64
	absent   AbsentReason
	slots    []slotEntry // ascending
	// nothing is the answer when no slot resolves; made once, so that a failing read allocates nothing either.
	nothing *Error
}

// newState makes a state of slots in rising order, which become its own.
func newState(name, epoch string, revision uint64, absent AbsentReason, entries []slotEntry) *State {
	for i := range entries {
		entries[i].Name, entries[i].Epoch, entries[i].Revision = name, epoch, revision
	}
	s := &State{name: name, epoch: epoch, revision: revision, absent: absent, slots: entries}
	switch {
	case len(entries) > 0:
		s.nothing = newError(codes.NotFound, ReasonNoEffectiveSlot, "%s has no slot at or below the number asked for", name)
	case absent == NotExisting:
		s.nothing = newError(codes.NotFound, ReasonSecretNotFound, "there is no secret %s", name)
	default:
		s.nothing = newError(codes.NotFound, ReasonNoEffectiveSlot, "%s has no enabled slot", name)
	}
	s.nothing.Metadata = map[string]string{"name": name}
	return s
}

func undeclaredState(name string) *State {
	e := newError(codes.InvalidArgument, ReasonNameNotDeclared, "%q was not among the names of this set", name)
	e.Metadata = map[string]string{"name": name}
	return &State{name: name, nothing: e}
}

// failedSlot is the answer for a slot whose record does not open at the server. It is never skipped for a lower one.
func failedSlot(name string, slot uint64) *Error {
	e := newError(codes.DataLoss, ReasonDataLoss, "slot %d of %s does not open at the server", slot, name)
	e.Metadata = map[string]string{"name": name, "slot": fmt.Sprint(slot)}
	return e
}

// Name returns the secret's name.
func (s *State) Name() string { return s.name }

// Epoch returns the history that the revision counts in.
func (s *State) Epoch() string { return s.epoch }

// Revision returns the commit that made this state so.
func (s *State) Revision() uint64 { return s.revision }

// Absent returns why there is no value, or "" when there are slots.
func (s *State) Absent() AbsentReason { return s.absent }

// Slots returns the numbers of the enabled slots, ascending.
func (s *State) Slots() []uint64 {
	numbers := make([]uint64, len(s.slots))
	for i := range s.slots {
		numbers[i] = s.slots[i].Slot
	}
	return numbers
}

// Current returns the value in the enabled slot with the largest number.
func (s *State) Current() (Version, error) { return s.resolve(len(s.slots) - 1) }

// EffectiveAt returns the value in the enabled slot with the largest number at or below t.
func (s *State) EffectiveAt(t uint64) (Version, error) {
	if t > MaxNumber {
		return Version{}, checkNumber("t", t)
	}
	return s.resolve(s.indexAt(t))
}

// Acceptable returns every value that is effective somewhere from t - overlap to t + overlap, largest slot first:
// what a verifier should accept around a roll-over. No value comes twice, slots that do not open are left out, and
// the list is empty when there is nothing. INVALID_ARGUMENT for a number above 2^63-1 or a name not declared.
func (s *State) Acceptable(t, overlap uint64) ([]Version, error) {
	if err := checkNumber("t", t); err != nil {
		return nil, err
	}
	if err := checkNumber("overlap", overlap); err != nil {
		return nil, err
	}
	if s.nothing.Reason == ReasonNameNotDeclared {
		return nil, s.nothing
	}
	low, high := t-min(t, overlap), min(t+overlap, MaxNumber)
	var accepted []Version
	for i := s.indexAt(high); i >= max(0, s.indexAt(low)); i-- {
		version, err := s.resolve(i)
		same := func(v Version) bool { return v.Value.Equal(version.Value) }
		if err == nil && !slices.ContainsFunc(accepted, same) {
			accepted = append(accepted, version)
		}
	}
	return accepted, nil
}

// String names the state and its revision, never a value.
func (s *State) String() string {
	if s.absent != "" {
		return fmt.Sprintf("slots.State(%s at revision %d: %s)", s.name, s.revision, s.absent)
	}
	return fmt.Sprintf("slots.State(%s at revision %d: %d slots)", s.name, s.revision, len(s.slots))
}

// GoString is String.
func (s *State) GoString() string { return s.String() }

// indexAt finds the last slot at or below t, or -1.
func (s *State) indexAt(t uint64) int {
	low, high := 0, len(s.slots)
	for low < high {
		if mid := int(uint(low+high) >> 1); s.slots[mid].Slot <= t {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

func (s *State) resolve(i int) (Version, error) {
	if i < 0 {
		return Version{}, s.nothing
	}
	e := &s.slots[i]
	if e.failed != nil {
		return Version{}, e.failed
	}
	return e.Version, nil
}

// find returns the entry of a slot, or nil.
func (s *State) find(slot uint64) *slotEntry {
	if i := s.indexAt(slot); i >= 0 && s.slots[i].Slot == slot {
		return &s.slots[i]
	}
	return nil
}

// sameContent says whether another state differs in nothing that a reader could see or that orders events.
func (s *State) sameContent(other *State) bool {
	return s.epoch == other.epoch && s.absent == other.absent &&
		slices.EqualFunc(s.slots, other.slots, func(a, b slotEntry) bool {
			return a.Slot == b.Slot && a.revision == b.revision && (a.failed == nil) == (b.failed == nil)
		})
}

// resolvesAlike says whether Current of both is the same slot and value, failure or absence.
func (s *State) resolvesAlike(other *State) bool {
	if len(s.slots) == 0 || len(other.slots) == 0 {
		return len(s.slots) == len(other.slots) && s.absent == other.absent
	}
	a, b := &s.slots[len(s.slots)-1], &other.slots[len(other.slots)-1]
	return a.Slot == b.Slot && (a.failed == nil) == (b.failed == nil) && a.Value.Equal(b.Value)
}
