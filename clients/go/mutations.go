package slots

import (
	"context"
	"hash/crc32"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// SlotChoice says which slot a put writes. The zero choice is refused by the server.
type SlotChoice struct {
	number *uint64
	auto   pb.AutoSlot
}

// Slot chooses a number, 0 to 2^63-1.
func Slot(number uint64) SlotChoice { return SlotChoice{number: &number} }

// NextIndex lets the server choose one past the largest number ever used, 0 for the first.
func NextIndex() SlotChoice { return SlotChoice{auto: pb.AutoSlot_AUTO_SLOT_NEXT_INDEX} }

// Now lets the server choose its clock in Unix seconds.
func Now() SlotChoice { return SlotChoice{auto: pb.AutoSlot_AUTO_SLOT_NOW} }

// mutation is what options may set; each call reads what concerns it.
type mutation struct {
	requestID        string
	etag             string
	overwrite        bool
	disabled         bool
	expectedRevision *uint64
}

// PutOption changes how PutSlot writes.
type PutOption interface{ applyPut(*mutation) }

// ChangeOption changes how the other mutations work.
type ChangeOption interface{ applyChange(*mutation) }

// RequestID makes a mutation repeatable across calls: the same id with the same content answers as the first time for
// 24 hours. Without it each call makes up one for its own retries. It is a PutOption and a ChangeOption.
type RequestID string

func (id RequestID) applyPut(m *mutation)    { m.requestID = string(id) }
func (id RequestID) applyChange(m *mutation) { m.requestID = string(id) }

// ETag makes a change fail ABORTED (ETAG_MISMATCH) unless it is the secret's etag of today.
type ETag string

func (e ETag) applyChange(m *mutation) { m.etag = string(e) }

type putOption func(*mutation)

func (f putOption) applyPut(m *mutation) { f(m) }

// Overwrite allows another value in a slot that holds one, or in a destroyed number.
func Overwrite() PutOption { return putOption(func(m *mutation) { m.overwrite = true }) }

// Staged writes the slot disabled, to be enabled later.
func Staged() PutOption { return putOption(func(m *mutation) { m.disabled = true }) }

// ExpectedRevision makes a put fail ABORTED (REVISION_MISMATCH) unless the secret is at that revision;
// 0 = it must not exist yet.
func ExpectedRevision(revision uint64) PutOption {
	return putOption(func(m *mutation) { m.expectedRevision = &revision })
}

// PutSlot writes a value into one slot and creates the secret at its first. The value that the slot already holds
// changes nothing and is OK; another one is ALREADY_EXISTS without [Overwrite].
func (c *Client) PutSlot(
	ctx context.Context, name string, slot SlotChoice, value Value, options ...PutOption,
) (PutResult, error) {
	var m mutation
	for _, option := range options {
		option.applyPut(&m)
	}
	request := &pb.PutSlotRequest{
		Name: name, Slot: slot.number, AutoSlot: slot.auto, Overwrite: m.overwrite,
		ExpectedRevision: m.expectedRevision, RequestId: requestIDOr(m.requestID),
	}
	if slot.number != nil {
		if err := checkNumber("slot", *slot.number); err != nil {
			return PutResult{}, err
		}
	}
	if m.expectedRevision != nil {
		if err := checkNumber("the expected revision", *m.expectedRevision); err != nil {
			return PutResult{}, err
		}
	}
	if !value.IsZero() {
		request.Value = value.Bytes()
		sum := crc32.Checksum(request.Value, castagnoli)
		request.Crc32C = &sum
	}
	if m.disabled {
		request.InitialState = pb.SlotState_SLOT_STATE_DISABLED
	}
	response, err := call(ctx, c, request, pb.SecretServiceClient.PutSlot)
	if err != nil {
		return PutResult{}, err
	}
	return PutResult{
		Slot: response.GetSlot(), State: stateOf(response.GetState()), Revision: response.GetRevision(),
		Created: response.GetCreated(), CurrentSlot: response.CurrentSlot, Epoch: response.GetEpoch(),
	}, nil
}

// Update says what UpdateSecret changes.
type Update struct {
	// Comment is the new comment; nil leaves it.
	Comment *string
	// Labels replace all labels; nil leaves them, an empty map clears them.
	Labels map[string]string
}

// UpdateSecret changes the comment or the labels.
func (c *Client) UpdateSecret(
	ctx context.Context, name string, update Update, options ...ChangeOption,
) (SecretMetadata, error) {
	m := changeOf(options)
	request := &pb.UpdateSecretRequest{
		Name: name, Labels: update.Labels, Etag: m.etag, RequestId: m.requestID, UpdateMask: &fieldmaskpb.FieldMask{},
	}
	if update.Comment != nil {
		request.Comment = *update.Comment
		request.UpdateMask.Paths = append(request.UpdateMask.Paths, "comment")
	}
	if update.Labels != nil {
		request.UpdateMask.Paths = append(request.UpdateMask.Paths, "labels")
	}
	response, err := call(ctx, c, request, pb.SecretServiceClient.UpdateSecret)
	if err != nil {
		return SecretMetadata{}, err
	}
	return secretMetadata(response, response.CurrentSlot, response.GetEpoch()), nil
}

// DisableSlot takes a slot out of both resolution rules until it is enabled again.
func (c *Client) DisableSlot(ctx context.Context, name string, slot uint64, options ...ChangeOption) (SlotResult, error) {
	m := changeOf(options)
	request := &pb.DisableSlotRequest{Name: name, Slot: &slot, Etag: m.etag, RequestId: m.requestID}
	return changeSlot(ctx, c, slot, request, pb.SecretServiceClient.DisableSlot)
}

// EnableSlot puts a disabled slot back.
func (c *Client) EnableSlot(ctx context.Context, name string, slot uint64, options ...ChangeOption) (SlotResult, error) {
	m := changeOf(options)
	request := &pb.EnableSlotRequest{Name: name, Slot: &slot, Etag: m.etag, RequestId: m.requestID}
	return changeSlot(ctx, c, slot, request, pb.SecretServiceClient.EnableSlot)
}

// DestroySlot removes a slot's ciphertext and its data key for good. Backups made earlier may still hold the value.
func (c *Client) DestroySlot(ctx context.Context, name string, slot uint64, options ...ChangeOption) (SlotResult, error) {
	m := changeOf(options)
	request := &pb.DestroySlotRequest{Name: name, Slot: &slot, Etag: m.etag, RequestId: m.requestID}
	return changeSlot(ctx, c, slot, request, pb.SecretServiceClient.DestroySlot)
}

// DeleteSecret removes a secret and all its slots, and returns the commit that did.
func (c *Client) DeleteSecret(ctx context.Context, name string, options ...ChangeOption) (revision uint64, err error) {
	m := changeOf(options)
	request := &pb.DeleteSecretRequest{Name: name, Etag: m.etag, RequestId: m.requestID}
	response, err := call(ctx, c, request, pb.SecretServiceClient.DeleteSecret)
	return response.GetRevision(), err
}

func changeOf(options []ChangeOption) mutation {
	var m mutation
	for _, option := range options {
		option.applyChange(&m)
	}
	m.requestID = requestIDOr(m.requestID)
	return m
}

type slotResponse interface {
	GetSlot() *pb.SlotMetadata
	GetRevision() uint64
	GetEpoch() string
}

func changeSlot[Req any, Resp slotResponse](
	ctx context.Context, c *Client, slot uint64, request Req, rpc rpc[Req, Resp],
) (SlotResult, error) {
	if err := checkNumber("slot", slot); err != nil {
		return SlotResult{}, err
	}
	response, err := call(ctx, c, request, rpc)
	if err != nil {
		return SlotResult{}, err
	}
	return SlotResult{slotMetadata(response.GetSlot()), response.GetRevision(), response.GetEpoch()}, nil
}
