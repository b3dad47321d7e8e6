package slots

import (
	"hash/crc32"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const fakeEpoch = "fake"

// Fake is a set without a server, for tests of programs that use handles. Its handles behave as real ones; it does not
// connect, its age is 0 and it is never stale.
type Fake struct {
	*Set

	mu       sync.Mutex
	machine  *machine
	revision uint64
	next     map[string]uint64 // one past the largest slot ever used
}

// NewFake makes a set with one value in slot 0 of each secret.
func NewFake(values map[string]string) *Fake {
	slotted := make(map[string]map[uint64]string, len(values))
	for name, value := range values {
		slotted[name] = map[uint64]string{0: value}
	}
	return NewFakeSlots(slotted)
}

// NewFakeSlots makes a set with the given slots of each secret. A secret without slots does not exist yet.
func NewFakeSlots(secrets map[string]map[uint64]string) *Fake {
	names := slices.Sorted(maps.Keys(secrets))
	fake := &Fake{
		Set: newSet(names, slog.New(slog.DiscardHandler)), machine: newMachine(names), next: map[string]uint64{},
	}
	fake.elapsed = func() time.Duration { return 1 }
	fake.machine.startStream()
	var events []*pb.WatchSlotsResponse
	for _, name := range names {
		fake.revision++
		events = append(events, &pb.WatchSlotsResponse{
			Epoch: fakeEpoch, Revision: fake.revision, Event: &pb.WatchSlotsResponse_Begin{Begin: &pb.Begin{Name: name}},
		})
		for slot, value := range secrets[name] {
			events = append(events, fake.live(name, slot, value))
		}
	}
	fake.apply(events...)
	return fake
}

// Rotate writes a value into the slot given, or into one past the largest ever used.
func (f *Fake) Rotate(name, value string, slot ...uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.machine.declared(name) {
		return undeclaredState(name).nothing
	}
	number := f.next[name]
	if len(slot) > 0 {
		number = slot[0]
	}
	if err := checkNumber("slot", number); err != nil {
		return err
	}
	f.revision++
	f.apply(f.live(name, number, value))
	return nil
}

// Disable takes a slot away. NOT_FOUND (SLOT_NOT_FOUND) when it is not there.
func (f *Fake) Disable(name string, slot uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.machine.declared(name) {
		return undeclaredState(name).nothing
	}
	if f.machine.known(name, slot) == nil {
		return newError(codes.NotFound, ReasonSlotNotFound, "%s has no enabled slot %d", name, slot)
	}
	f.revision++
	f.apply(&pb.WatchSlotsResponse{Epoch: fakeEpoch, Revision: f.revision, Event: &pb.WatchSlotsResponse_Removed{
		Removed: &pb.RemovedSlot{Name: name, Slot: &slot},
	}})
	return nil
}

// Delete removes a secret; Rotate makes it anew. NOT_FOUND (SECRET_NOT_FOUND) when it is not there.
func (f *Fake) Delete(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.machine.declared(name) {
		return undeclaredState(name).nothing
	}
	if state := f.machine.applied[name]; state.absent == NotExisting {
		return state.nothing
	}
	delete(f.next, name)
	f.revision++
	f.apply(&pb.WatchSlotsResponse{Epoch: fakeEpoch, Revision: f.revision, Event: &pb.WatchSlotsResponse_Absent{
		Absent: &pb.AbsentSecret{Name: name, Reason: pb.AbsentReason_ABSENT_REASON_NOT_EXISTING},
	}})
	return nil
}

// apply goes the way of a real stream.
func (f *Fake) apply(events ...*pb.WatchSlotsResponse) {
	synced := &pb.WatchSlotsResponse{
		Epoch: fakeEpoch, Revision: f.revision, Event: &pb.WatchSlotsResponse_Synced{Synced: &pb.Synced{}},
	}
	for _, event := range append(events, synced) {
		if done, err := f.machine.receive(event); err == nil {
			f.publish(done.changed)
		}
	}
	f.heard()
}

func (f *Fake) live(name string, slot uint64, value string) *pb.WatchSlotsResponse {
	f.next[name] = max(f.next[name], slot+1)
	sum := crc32.Checksum([]byte(value), castagnoli)
	return &pb.WatchSlotsResponse{Epoch: fakeEpoch, Revision: f.revision, Event: &pb.WatchSlotsResponse_Slot{
		Slot: &pb.LiveSlot{
			Name: name, Slot: &slot, Value: []byte(value), Crc32C: &sum, CreateTime: timestamppb.Now(),
		},
	}}
}
