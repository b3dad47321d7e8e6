package slots

import (
	"cmp"
	"hash/crc32"
	"maps"
	"slices"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// machine turns the events of WatchSlots streams into states. It does no I/O and belongs to one goroutine.
//
// What was applied outlives a stream; what is pending dies with it. Nothing is applied before `synced`, and nothing
// older than what is applied ever is (W14), unless the server says that the history was cut.
type machine struct {
	applied  map[string]*State // each declared name; nil until something is known of it
	epoch    string            // the history of what is applied; "" when nothing is
	revision uint64            // the store's revision that is applied
	token    string            // resumes after that revision; "" starts afresh

	// Of the running stream.
	streamEpoch string
	reset       bool // history_reset came: lower revisions are fine, until `synced`
	pending     map[string]*pendingSecret
}

type pendingSecret struct {
	rebuilt  bool                  // from nothing; otherwise on top of what is applied
	changes  map[uint64]*slotEntry // nil: removed
	absent   AbsentReason
	touched  bool   // an event other than `begin` came
	revision uint64 // the largest of those events
}

// outcome says what one message did. caughtUp: everything up to its revision is applied.
type outcome struct {
	caughtUp bool
	changed  []applied
}

type applied struct{ previous, current *State }

func newMachine(names []string) *machine {
	m := &machine{applied: make(map[string]*State, len(names))}
	for _, name := range names {
		m.applied[name] = nil
	}
	return m
}

func (m *machine) startStream() {
	m.streamEpoch, m.reset, m.pending = m.epoch, false, map[string]*pendingSecret{}
}

// receive takes one message. An error means: cancel the stream and go on as if the server had been unavailable.
func (m *machine) receive(message *pb.WatchSlotsResponse) (outcome, error) {
	if message.GetEvent() == nil {
		return outcome{}, nil
	}
	_, isReset := message.GetEvent().(*pb.WatchSlotsResponse_HistoryReset)
	if isReset || message.GetEpoch() != m.streamEpoch {
		// Another epoch without a history_reset is treated as if one had come first.
		if isReset || m.streamEpoch != "" {
			m.startOver()
		}
		m.streamEpoch = message.GetEpoch()
	}
	switch event := message.GetEvent().(type) {
	case *pb.WatchSlotsResponse_Begin:
		if m.declared(event.Begin.GetName()) {
			m.pending[event.Begin.GetName()] = newRebuilt()
		}
	case *pb.WatchSlotsResponse_Slot:
		return outcome{}, m.liveSlot(event.Slot, message.GetRevision())
	case *pb.WatchSlotsResponse_Failed:
		return outcome{}, m.failedSlot(event.Failed, message.GetRevision())
	case *pb.WatchSlotsResponse_Removed:
		return outcome{}, m.change(event.Removed.GetName(), event.Removed.Slot, message.GetRevision(), nil)
	case *pb.WatchSlotsResponse_Absent:
		m.absent(event.Absent, message.GetRevision())
	case *pb.WatchSlotsResponse_Synced:
		return m.synced(message)
	case *pb.WatchSlotsResponse_Progress:
		return m.progress(message)
	}
	return outcome{}, nil
}

func newRebuilt() *pendingSecret {
	return &pendingSecret{rebuilt: true, changes: map[uint64]*slotEntry{}}
}

func (m *machine) declared(name string) bool {
	_, ok := m.applied[name]
	return ok
}

// startOver makes every name start from nothing. What is applied stays readable until the next `synced`.
func (m *machine) startOver() {
	m.reset, m.token = true, ""
	for name := range m.applied {
		m.pending[name] = newRebuilt()
	}
}

func (m *machine) pendingOf(name string) *pendingSecret {
	p := m.pending[name]
	if p == nil {
		p = &pendingSecret{changes: map[uint64]*slotEntry{}}
		m.pending[name] = p
	}
	return p
}

func (p *pendingSecret) touch(revision uint64) {
	p.touched, p.revision = true, max(p.revision, revision)
}

func (m *machine) liveSlot(live *pb.LiveSlot, revision uint64) error {
	if crc32.Checksum(live.GetValue(), castagnoli) != live.GetCrc32C() {
		return newError(codes.DataLoss, ReasonDataLoss, "a value of %s arrived damaged", live.GetName())
	}
	version := Version{Value: Bytes(live.GetValue()), CreateTime: timeOf(live.GetCreateTime())}
	entry := &slotEntry{Version: version, revision: revision}
	return m.change(live.GetName(), live.Slot, revision, entry)
}

func (m *machine) failedSlot(failed *pb.FailedSlot, revision uint64) error {
	name, slot := failed.GetName(), failed.GetSlot()
	entry := &slotEntry{revision: revision, failed: failedSlot(name, slot)}
	// A record that was damaged after we read it: the value that we hold is still the right one.
	if known := m.known(name, slot); known != nil && known.failed == nil && known.revision == revision {
		kept := *known // a copy: readers hold what is applied
		entry = &kept
	}
	return m.change(name, failed.Slot, revision, entry)
}

// known is what is applied for a slot in the running stream's epoch.
func (m *machine) known(name string, slot uint64) *slotEntry {
	if state := m.applied[name]; state != nil && state.epoch == m.streamEpoch {
		return state.find(slot)
	}
	return nil
}

func (m *machine) change(name string, number *uint64, revision uint64, entry *slotEntry) error {
	if number == nil || *number > MaxNumber || revision > MaxNumber {
		return newError(codes.Internal, "", "the server sent a number out of range for %s", name)
	}
	if !m.declared(name) {
		return nil
	}
	p := m.pending[name]
	if p == nil || !p.rebuilt {
		if known := m.known(name, *number); known != nil && revision < known.revision {
			return nil
		}
		p = m.pendingOf(name)
	}
	p.touch(revision)
	if entry != nil {
		entry.Slot, p.absent = *number, ""
	}
	p.changes[*number] = entry
	return nil
}

func (m *machine) absent(event *pb.AbsentSecret, revision uint64) {
	if !m.declared(event.GetName()) {
		return
	}
	p := m.pendingOf(event.GetName())
	p.rebuilt, p.absent = true, NoEnabledSlot
	clear(p.changes)
	if event.GetReason() == pb.AbsentReason_ABSENT_REASON_NOT_EXISTING {
		p.absent = NotExisting
	}
	p.touch(revision)
}

// behind is the guard of W14: a server that has forgotten what it told us is not followed.
func (m *machine) behind(message *pb.WatchSlotsResponse) error {
	if m.reset || m.streamEpoch != m.epoch || message.GetRevision() >= m.revision {
		return nil
	}
	m.token = ""
	return newError(codes.Unavailable, "", "the server is at revision %d, behind %d that was seen of it",
		message.GetRevision(), m.revision)
}

func (m *machine) synced(message *pb.WatchSlotsResponse) (outcome, error) {
	if err := m.behind(message); err != nil {
		return outcome{}, err
	}
	done := outcome{caughtUp: true}
	for _, name := range slices.Sorted(maps.Keys(m.pending)) {
		previous := m.applied[name]
		next := m.pending[name].build(name, previous, m.streamEpoch, message.GetRevision())
		if previous == nil || !next.sameContent(previous) {
			m.applied[name] = next
			done.changed = append(done.changed, applied{previous, next})
		}
	}
	clear(m.pending)
	m.reset = false
	m.keep(message)
	return done, nil
}

// progress moves the order and the token, but not while something is pending: a token past changes that were not
// applied would lose them if the stream were cut now.
func (m *machine) progress(message *pb.WatchSlotsResponse) (outcome, error) {
	if err := m.behind(message); err != nil {
		return outcome{}, err
	}
	if len(m.pending) > 0 || m.reset {
		return outcome{}, nil
	}
	m.keep(message)
	return outcome{caughtUp: true}, nil
}

func (m *machine) keep(message *pb.WatchSlotsResponse) {
	m.epoch, m.revision, m.token = message.GetEpoch(), message.GetRevision(), message.GetResumeToken()
}

// build makes the state of one secret from what is pending on top of what is applied.
func (p *pendingSecret) build(name string, previous *State, epoch string, synced uint64) *State {
	bySlot := map[uint64]slotEntry{}
	if !p.rebuilt && previous != nil {
		for _, entry := range previous.slots {
			bySlot[entry.Slot] = entry
		}
	}
	for slot, entry := range p.changes {
		if entry == nil {
			delete(bySlot, slot)
		} else {
			bySlot[slot] = *entry
		}
	}
	entries := slices.SortedFunc(maps.Values(bySlot), func(a, b slotEntry) int { return cmp.Compare(a.Slot, b.Slot) })
	absent := p.absent
	switch {
	case len(entries) > 0:
		absent = ""
	case absent == "" && p.rebuilt && !p.touched:
		absent = NotExisting
	case absent == "":
		absent = NoEnabledSlot
	}
	revision := p.revision
	if previous != nil && previous.epoch == epoch && revision <= previous.revision {
		// The newest slot went away unseen: the events that are left are older than the state they make.
		revision = synced
	}
	return newState(name, epoch, revision, absent, entries)
}
