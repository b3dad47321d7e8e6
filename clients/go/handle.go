package slots

import (
	"fmt"
	"sync/atomic"
)

// Handle is the always newest state of one secret. Reading takes no lock, does no I/O and allocates nothing; any
// goroutine may read. A handle stays usable after its set is closed and then answers with what it had.
type Handle struct {
	set           *Set
	name          string
	state         atomic.Pointer[State]
	subscriptions map[*subscription]struct{} // guarded by set.mu
}

// Name returns the secret's name.
func (h *Handle) Name() string { return h.name }

// State returns the whole state.
func (h *Handle) State() *State { return h.state.Load() }

// Current returns the value in the enabled slot with the largest number. The errors are those of GetSecret: NOT_FOUND
// (SECRET_NOT_FOUND, NO_EFFECTIVE_SLOT), which [IsAbsent] recognises, and DATA_LOSS for a slot that does not open at
// the server. A name that the set was not opened with is INVALID_ARGUMENT (NAME_NOT_DECLARED).
func (h *Handle) Current() (Version, error) { return h.state.Load().Current() }

// EffectiveAt returns the value in the enabled slot with the largest number at or below t. Errors as for Current.
func (h *Handle) EffectiveAt(t uint64) (Version, error) { return h.state.Load().EffectiveAt(t) }

// Acceptable returns every value that is effective somewhere from t - overlap to t + overlap, largest slot first.
// See [State.Acceptable].
func (h *Handle) Acceptable(t, overlap uint64) ([]Version, error) {
	return h.state.Load().Acceptable(t, overlap)
}

// String names the secret, never its value.
func (h *Handle) String() string { return fmt.Sprintf("slots.Handle(%s)", h.name) }

// GoString is String.
func (h *Handle) GoString() string { return h.String() }

// Format writes String, whatever the verb and flags.
func (h *Handle) Format(f fmt.State, _ rune) { fmt.Fprint(f, h.String()) }
