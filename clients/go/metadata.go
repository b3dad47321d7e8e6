package slots

import (
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// SlotState says whether a slot takes part in resolution.
type SlotState string

const (
	// Enabled slots take part.
	Enabled SlotState = "ENABLED"
	// Disabled slots are skipped and can be enabled again.
	Disabled SlotState = "DISABLED"
	// Destroyed slots have lost their value for good.
	Destroyed SlotState = "DESTROYED"
)

// SecretMetadata is what is known of a secret besides its values.
type SecretMetadata struct {
	Name       string
	Comment    string
	Labels     map[string]string
	CreateTime time.Time
	UpdateTime time.Time
	// ETag changes with every change of the secret.
	ETag           string
	Revision       uint64
	SlotCount      uint32
	EnabledCount   uint32
	DisabledCount  uint32
	DestroyedCount uint32
	// CurrentSlot is nil when no slot is enabled.
	CurrentSlot *uint64
	Epoch       string
}

// SlotMetadata is what is known of a slot besides its value.
type SlotMetadata struct {
	Slot       uint64
	State      SlotState
	CreateTime time.Time
	UpdateTime time.Time
	// Revision is the commit that last changed the slot.
	Revision uint64
	// Size is the number of bytes of the value; 0 for a destroyed slot.
	Size uint32
}

// SlotResult is a slot after a change of its state.
type SlotResult struct {
	SlotMetadata
	// SecretRevision is the last change of the secret.
	SecretRevision uint64
	Epoch          string
}

// PutResult says what a put did.
type PutResult struct {
	Slot  uint64
	State SlotState
	// Revision is the commit that wrote this version of the slot, also when the call changed nothing.
	Revision uint64
	// Created is true when the slot number was not known before.
	Created bool
	// CurrentSlot is the secret's current slot after the call; nil when none is enabled.
	CurrentSlot *uint64
	Epoch       string
}

// ServerInfo describes the server and its store.
type ServerInfo struct {
	Version  string
	Epoch    string
	Revision uint64
	Features []string
	Limits   Limits
}

// Limits are the bounds that requests are held to.
type Limits struct {
	MaxValueBytes, MaxNameBytes, MaxSlotsPerSecret, MaxWatchNames, MaxCommentBytes, MaxLabels, MaxPageSize uint32
}

// described is what the three messages that describe a secret have in common.
type described interface {
	GetName() string
	GetComment() string
	GetLabels() map[string]string
	GetCreateTime() *timestamppb.Timestamp
	GetUpdateTime() *timestamppb.Timestamp
	GetEtag() string
	GetRevision() uint64
	GetSlotCount() uint32
	GetEnabledCount() uint32
	GetDisabledCount() uint32
	GetDestroyedCount() uint32
}

func secretMetadata(d described, currentSlot *uint64, epoch string) SecretMetadata {
	return SecretMetadata{
		Name: d.GetName(), Comment: d.GetComment(), Labels: d.GetLabels(),
		CreateTime: timeOf(d.GetCreateTime()), UpdateTime: timeOf(d.GetUpdateTime()),
		ETag: d.GetEtag(), Revision: d.GetRevision(), Epoch: epoch,
		SlotCount: d.GetSlotCount(), EnabledCount: d.GetEnabledCount(),
		DisabledCount: d.GetDisabledCount(), DestroyedCount: d.GetDestroyedCount(), CurrentSlot: currentSlot,
	}
}

func slotMetadata(m *pb.SlotMetadata) SlotMetadata {
	return SlotMetadata{
		Slot: m.GetSlot(), State: stateOf(m.GetState()), Revision: m.GetRevision(), Size: m.GetSize(),
		CreateTime: timeOf(m.GetCreateTime()), UpdateTime: timeOf(m.GetUpdateTime()),
	}
}

func stateOf(state pb.SlotState) SlotState {
	switch state {
	case pb.SlotState_SLOT_STATE_ENABLED:
		return Enabled
	case pb.SlotState_SLOT_STATE_DISABLED:
		return Disabled
	case pb.SlotState_SLOT_STATE_DESTROYED:
		return Destroyed
	default:
		return SlotState(state.String())
	}
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
