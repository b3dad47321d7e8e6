package slots

import (
	"fmt"
	"math/rand/v2"
	"testing"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
)

// feed gives messages to a machine and returns what changed; it fails the test on an error.
func feed(t *testing.T, m *machine, messages ...*pb.WatchSlotsResponse) []applied {
	t.Helper()
	var changed []applied
	for _, message := range messages {
		done, err := m.receive(message)
		if err != nil {
			t.Fatalf("%v: %v", message.GetEvent(), err)
		}
		changed = append(changed, done.changed...)
	}
	return changed
}

func started(names ...string) *machine {
	m := newMachine(names)
	m.startStream()
	return m
}

// describe shows a state as text: revision, then slots with their values, or why there are none.
func describe(s *State) string {
	text := fmt.Sprintf("%s:%d", s.epoch, s.revision)
	for _, e := range s.slots {
		if e.failed != nil {
			text += fmt.Sprintf(" %d=!", e.Slot)
		} else {
			text += fmt.Sprintf(" %d=%s", e.Slot, e.Value.open())
		}
	}
	if s.absent != "" {
		text += " " + string(s.absent)
	}
	return text
}

func wantState(t *testing.T, m *machine, name, want string) {
	t.Helper()
	if got := describe(m.applied[name]); got != want {
		t.Fatalf("%s is %q, want %q", name, got, want)
	}
}

func TestNothingIsAppliedBeforeSynced(t *testing.T) {
	m := started("a", "b")
	feed(t, m, begin("a"), live("a", 0, 1, "x"), live("a", 5, 2, "y"), begin("b"),
		absent("b", 0, pb.AbsentReason_ABSENT_REASON_NOT_EXISTING), live("other", 1, 1, "z"))
	if m.applied["a"] != nil {
		t.Fatal("applied too early")
	}
	if changed := feed(t, m, synced(7)); len(changed) != 2 {
		t.Fatalf("%d changes", len(changed))
	}
	wantState(t, m, "a", "e1:2 0=x 5=y")
	wantState(t, m, "b", "e1:0 NOT_EXISTING")
	if m.token != "t7" || m.declared("other") {
		t.Fatal("the token was not kept, or a name not asked for was")
	}
}

func TestSlotFallsRevisionRises(t *testing.T) {
	m := started("a")
	feed(t, m, begin("a"), live("a", 0, 1, "x"), live("a", 5, 2, "y"), synced(2))
	feed(t, m, removed("a", 5, 3), synced(3))
	wantState(t, m, "a", "e1:3 0=x")
	feed(t, m, absent("a", 9, pb.AbsentReason_ABSENT_REASON_NO_ENABLED_SLOT), synced(9))
	wantState(t, m, "a", "e1:9 NO_ENABLED_SLOT")
	feed(t, m, live("a", 2, 12, "z"), synced(12))
	wantState(t, m, "a", "e1:12 2=z")
	feed(t, m, removed("a", 2, 13), synced(13))
	wantState(t, m, "a", "e1:13 NO_ENABLED_SLOT")
	feed(t, m, begin("a"), synced(14))
	wantState(t, m, "a", "e1:14 NOT_EXISTING")
}

func TestRebuiltStates(t *testing.T) {
	m := started("a")
	feed(t, m, begin("a"), live("a", 0, 1, "x"), live("a", 5, 2, "y"), synced(2))
	before := m.applied["a"]
	m.startStream()
	if changed := feed(t, m, begin("a"), live("a", 0, 1, "x"), live("a", 5, 2, "y"), synced(6)); len(changed) != 0 {
		t.Fatal("rebuilt to what it was, and told as a change")
	}
	if m.applied["a"] != before || m.revision != 6 {
		t.Fatal("the state object was not kept, or the order was not moved on")
	}
	m.startStream()
	feed(t, m, begin("a"), live("a", 0, 1, "x"), synced(8))
	wantState(t, m, "a", "e1:8 0=x") // the newest slot went away unseen: the revision of synced
}

func TestOlderIsNotApplied(t *testing.T) {
	m := started("a")
	feed(t, m, begin("a"), live("a", 5, 10, "new"), synced(10))
	feed(t, m, live("a", 5, 4, "old"), removed("a", 5, 3), failed("a", 5, 2), synced(11))
	wantState(t, m, "a", "e1:10 5=new")

	m.startStream()
	feed(t, m, begin("a"), live("a", 5, 4, "old"))
	if _, err := m.receive(synced(9)); err == nil {
		t.Fatal("an older synced was taken")
	}
	wantState(t, m, "a", "e1:10 5=new")
	if m.token != "" {
		t.Fatal("the token of a server that is behind was kept")
	}
	m.startStream()
	if _, err := m.receive(progressAt(8)); err == nil {
		t.Fatal("an older progress was taken")
	}
	m.startStream()
	feed(t, m, begin("a"), live("a", 5, 12, "newer"), synced(12))
	wantState(t, m, "a", "e1:12 5=newer")
}

func TestPendingDiesWithItsStream(t *testing.T) {
	m := started("a")
	feed(t, m, begin("a"), live("a", 0, 1, "x"), synced(1))
	feed(t, m, live("a", 1, 2, "half"))
	feed(t, m, progressAt(3))
	if m.token != "t1" {
		t.Fatal("a token past changes that were not applied was kept")
	}
	m.startStream()
	feed(t, m, synced(3))
	wantState(t, m, "a", "e1:1 0=x")
}

func TestHistoryReset(t *testing.T) {
	m := started("a", "b")
	feed(t, m, begin("a"), live("a", 9, 50, "x"), begin("b"), live("b", 0, 51, "y"), synced(60))
	m.startStream()
	feed(t, m, historyReset("e2", 3))
	wantState(t, m, "a", "e1:50 9=x")
	if m.token != "" {
		t.Fatal("the token outlived its history")
	}
	feed(t, m, in("e2", begin("a")), in("e2", live("a", 1, 2, "z")), in("e2", synced(3)))
	wantState(t, m, "a", "e2:2 1=z")
	wantState(t, m, "b", "e2:0 NOT_EXISTING")

	// The same epoch, cut: lower revisions are accepted because the server said so.
	m.startStream()
	feed(t, m, historyReset("e2", 1), in("e2", begin("a")), in("e2", live("a", 1, 1, "w")), in("e2", begin("b")),
		in("e2", synced(1)))
	wantState(t, m, "a", "e2:1 1=w")
	if _, err := m.receive(in("e2", synced(0))); err == nil {
		t.Fatal("after the reset was applied, order counts again")
	}
}

func TestAnotherEpochWithoutReset(t *testing.T) {
	m := started("a", "b")
	feed(t, m, begin("a"), live("a", 9, 50, "x"), begin("b"), live("b", 0, 51, "y"), synced(60))
	m.startStream()
	feed(t, m, in("e2", live("a", 1, 2, "z")), in("e2", synced(3)))
	wantState(t, m, "a", "e2:2 1=z")
	wantState(t, m, "b", "e2:0 NOT_EXISTING")

	// Cut after the reset and before its synced: what follows on a new stream is judged anew.
	m.startStream()
	feed(t, m, historyReset("e3", 1))
	m.startStream()
	feed(t, m, in("e2", begin("a")))
	if _, err := m.receive(in("e2", synced(2))); err == nil {
		t.Fatal("an older synced of the epoch that is applied was taken")
	}
	m.startStream()
	feed(t, m, in("e3", progressAt(9)))
	if m.token != "" || m.epoch != "e2" {
		t.Fatal("the progress of an epoch that nothing was applied of moved the order")
	}
}

func TestFailedSlots(t *testing.T) {
	m := started("a")
	feed(t, m, begin("a"), live("a", 0, 1, "x"), failed("a", 5, 2), synced(2))
	wantState(t, m, "a", "e1:2 0=x 5=!")
	if _, err := m.applied["a"].Current(); asError(err).Reason != ReasonDataLoss || asError(err).Metadata["slot"] != "5" {
		t.Fatalf("got %v", err)
	}
	if _, err := m.applied["a"].EffectiveAt(4); err != nil {
		t.Fatal(err)
	}
	// Damaged after we read it: the value of the same revision is kept, also when the name is rebuilt.
	m.startStream()
	if changed := feed(t, m, begin("a"), failed("a", 0, 1), failed("a", 5, 2), synced(4)); len(changed) != 0 {
		t.Fatal("a value that is still right was given up")
	}
	feed(t, m, failed("a", 0, 6), synced(6))
	wantState(t, m, "a", "e1:6 0=! 5=!")
}

func TestDamagedMessages(t *testing.T) {
	noSlot := live("a", 0, 1, "x")
	noSlot.GetSlot().Slot = nil
	for _, message := range []*pb.WatchSlotsResponse{
		damaged("a", 0, 1, "x"), noSlot, live("a", MaxNumber+1, 1, "x"), live("a", 1, MaxNumber+1, "x"),
	} {
		m := started("a")
		if _, err := m.receive(message); err == nil {
			t.Errorf("%v was taken", message.GetEvent())
		}
	}
	m := started("a")
	feed(t, m, &pb.WatchSlotsResponse{Epoch: "e9", Revision: 5}) // an event of a later version
	if m.streamEpoch != "" {
		t.Fatal("an unknown event was not ignored")
	}
}

// TestRandomHistories (W14) lets a server that forgets, lies about order, cuts streams and starts new histories talk to
// a machine, and checks after every message that nothing went backwards and that every state was a real one.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(2000) {
		randomHistory(t, rand.New(rand.NewPCG(seed, 14)), seed)
		if t.Failed() {
			return
		}
	}
}

func randomHistory(t *testing.T, random *rand.Rand, seed uint64) {
	m := newMachine([]string{"a"})
	type commit struct {
		epoch    string
		revision uint64
		slots    map[uint64]uint64 // slot → the revision that wrote it
	}
	history := []commit{{"e0", 0, map[uint64]uint64{}}}
	epochs := 1
	last := map[string]uint64{}
	valueOf := func(epoch string, slot, revision uint64) string {
		return fmt.Sprintf("%s/%d/%d", epoch, slot, revision)
	}
	send := func(message *pb.WatchSlotsResponse) bool {
		done, err := m.receive(message)
		for _, change := range done.changed {
			now := change.current
			if before, seen := last[now.epoch]; seen && now.revision <= before {
				t.Errorf("seed %d: revision %d after %d in %s", seed, now.revision, before, now.epoch)
			}
			last[now.epoch] = now.revision
			for _, e := range now.slots {
				if e.Value.open() != valueOf(now.epoch, e.Slot, e.revision) {
					t.Errorf("seed %d: a mixture: %s", seed, describe(now))
				}
			}
		}
		return err == nil
	}
	snapshot := func(c commit) bool {
		ok := send(in(c.epoch, begin("a")))
		for slot, revision := range c.slots {
			ok = ok && send(in(c.epoch, live("a", slot, revision, valueOf(c.epoch, slot, revision))))
		}
		return ok
	}
	write := func() {
		now := history[len(history)-1]
		next := commit{now.epoch, now.revision + 1, map[uint64]uint64{}}
		for slot, revision := range now.slots {
			next.slots[slot] = revision
		}
		if slot := random.Uint64N(4); random.IntN(3) == 0 {
			delete(next.slots, slot)
		} else {
			next.slots[slot] = next.revision
		}
		history = append(history, next)
	}
	for range 25 {
		m.startStream()
		for range random.IntN(4) {
			write()
		}
		now := history[len(history)-1]
		stale := history[random.IntN(len(history))]
		switch random.IntN(6) {
		case 0: // honest and whole
			_ = snapshot(now) && send(in(now.epoch, synced(now.revision)))
		case 1: // cut in the middle
			_ = snapshot(now)
		case 2: // a replica that is behind, of this epoch
			if stale.epoch == now.epoch {
				_ = snapshot(stale) && send(in(stale.epoch, synced(stale.revision)))
			}
		case 3: // old slots after new ones, out of order, then an honest synced with the whole state again
			for slot, revision := range stale.slots {
				if stale.epoch == now.epoch {
					_ = send(in(now.epoch, live("a", slot, revision, valueOf(now.epoch, slot, revision))))
				}
			}
			_ = snapshot(now) && send(in(now.epoch, synced(now.revision)))
		case 4: // a new history, announced or not
			epochs++
			next := commit{fmt.Sprintf("e%d", epochs), random.Uint64N(3), map[uint64]uint64{}}
			history = append(history, next)
			if random.IntN(2) == 0 {
				_ = send(historyReset(next.epoch, next.revision))
			}
			_ = snapshot(next) && send(in(next.epoch, synced(next.revision)))
		case 5: // damaged on the way
			_ = send(in(now.epoch, damaged("a", 0, now.revision, "x")))
		}
	}
	// Once the server is honest, its newest state arrives, whatever was before.
	m.startStream()
	now := history[len(history)-1]
	if !snapshot(now) || !send(in(now.epoch, synced(now.revision))) {
		t.Errorf("seed %d: an honest stream was refused", seed)
	}
	if state := m.applied["a"]; len(state.slots) != len(now.slots) || state.epoch != now.epoch {
		t.Errorf("seed %d: did not converge: %s", seed, describe(state))
	}
}
