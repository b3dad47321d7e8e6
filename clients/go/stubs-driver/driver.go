package main

import (
	"context"
	"encoding/base64"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type driver struct{ clients map[string]*client }

type client struct {
	conn  *grpc.ClientConn
	token string
}

func (d *driver) do(r *request) (answer, error) {
	switch r.Op {
	case "hello":
		return answer{"lang": "go", "version": grpc.Version}, nil
	case "connect":
		conn, err := grpc.NewClient(r.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err == nil {
			d.clients[r.Client] = &client{conn, r.Token}
		}
		return answer{}, err
	}
	c := d.clients[r.Client]
	if c == nil {
		return nil, status.Errorf(codes.Unimplemented, "no op %s, or no client %q", r.Op, r.Client)
	}
	if r.Op == "closeClient" {
		delete(d.clients, r.Client)
		return answer{}, c.conn.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	return call(ctx, r, pb.NewSecretServiceClient(c.conn))
}

func call(ctx context.Context, r *request, secrets pb.SecretServiceClient) (answer, error) {
	switch r.Op {
	case "get":
		got, err := secrets.GetSecret(ctx, &pb.GetSecretRequest{Name: r.Name})
		return version(got), err
	case "at":
		at, err := number(r.At)
		if err != nil {
			return nil, err
		}
		got, err := secrets.GetEffectiveAt(ctx, &pb.GetEffectiveAtRequest{Name: r.Name, At: at})
		result := version(got)
		result["at"] = decimal(got.GetAt())
		return result, err
	case "put":
		return put(ctx, r, secrets)
	case "disable", "enable", "destroy":
		return changeSlot(ctx, r, secrets)
	case "delete":
		deleted, err := secrets.DeleteSecret(ctx, &pb.DeleteSecretRequest{
			Name: r.Name, Etag: r.ETag, RequestId: r.RequestID,
		})
		return answer{"revision": decimal(deleted.GetRevision())}, err
	default:
		return nil, status.Errorf(codes.Unimplemented, "no op %s", r.Op)
	}
}

func version(v interface {
	GetName() string
	GetSlot() uint64
	GetValue() []byte
	GetRevision() uint64
	GetEpoch() string
}) answer {
	return answer{
		"name": v.GetName(), "slot": decimal(v.GetSlot()), "value": base64.StdEncoding.EncodeToString(v.GetValue()),
		"revision": decimal(v.GetRevision()), "epoch": v.GetEpoch(),
	}
}

func put(ctx context.Context, r *request, secrets pb.SecretServiceClient) (answer, error) {
	slot, err := number(r.Slot)
	if err != nil {
		return nil, err
	}
	expected, err := number(r.ExpectedRevision)
	if err != nil {
		return nil, err
	}
	bytes, err := value(r.Value)
	if err != nil {
		return nil, err
	}
	request := &pb.PutSlotRequest{
		Name: r.Name, Slot: slot, Value: bytes, Overwrite: r.Overwrite, ExpectedRevision: expected,
		RequestId: r.RequestID,
	}
	if r.AutoSlot != "" {
		request.AutoSlot = pb.AutoSlot(pb.AutoSlot_value["AUTO_SLOT_"+r.AutoSlot])
	}
	if r.InitialState != "" {
		request.InitialState = pb.SlotState(pb.SlotState_value["SLOT_STATE_"+r.InitialState])
	}
	done, err := secrets.PutSlot(ctx, request)
	return answer{
		"slot": decimal(done.GetSlot()), "state": stateName(done.GetState()), "revision": decimal(done.GetRevision()),
		"created": done.GetCreated(), "currentSlot": optional(currentSlot(done)), "epoch": done.GetEpoch(),
	}, err
}

func currentSlot(done *pb.PutSlotResponse) *uint64 {
	if done == nil {
		return nil
	}
	return done.CurrentSlot
}

func changeSlot(ctx context.Context, r *request, secrets pb.SecretServiceClient) (answer, error) {
	slot, err := number(r.Slot)
	if err != nil {
		return nil, err
	}
	var changed interface {
		GetSlot() *pb.SlotMetadata
		GetRevision() uint64
	}
	switch r.Op {
	case "disable":
		changed, err = secrets.DisableSlot(ctx, &pb.DisableSlotRequest{
			Name: r.Name, Slot: slot, Etag: r.ETag, RequestId: r.RequestID,
		})
	case "enable":
		changed, err = secrets.EnableSlot(ctx, &pb.EnableSlotRequest{
			Name: r.Name, Slot: slot, Etag: r.ETag, RequestId: r.RequestID,
		})
	case "destroy":
		changed, err = secrets.DestroySlot(ctx, &pb.DestroySlotRequest{
			Name: r.Name, Slot: slot, Etag: r.ETag, RequestId: r.RequestID,
		})
	}
	return answer{
		"slot": decimal(changed.GetSlot().GetSlot()), "state": stateName(changed.GetSlot().GetState()),
		"revision": decimal(changed.GetRevision()),
	}, err
}
