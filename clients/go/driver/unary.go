package main

import (
	"context"

	slots "github.com/secretslots/secretslots/clients/go"
)

var unaryOps = map[string]bool{
	"get": true, "at": true, "put": true, "disable": true, "enable": true, "destroy": true, "delete": true,
	"describe": true, "update": true, "list": true, "listSlots": true, "info": true,
}

func unary(ctx context.Context, r *request, c *slots.Client) (answer, error) {
	switch r.Op {
	case "get":
		version, err := c.GetSecret(ctx, r.Name)
		return versionAnswer(version), err
	case "at":
		return at(ctx, r, c)
	case "put":
		return put(ctx, r, c)
	case "disable":
		return change(ctx, r, c.DisableSlot)
	case "enable":
		return change(ctx, r, c.EnableSlot)
	case "destroy":
		return change(ctx, r, c.DestroySlot)
	case "delete":
		revision, err := c.DeleteSecret(ctx, r.Name, r.changeOptions()...)
		return answer{"revision": decimal(revision)}, err
	case "describe":
		metadata, err := c.DescribeSecret(ctx, r.Name)
		return described(metadata), err
	case "update":
		update := slots.Update{Comment: r.Comment, Labels: r.Labels}
		metadata, err := c.UpdateSecret(ctx, r.Name, update, r.changeOptions()...)
		return described(metadata), err
	case "list":
		return list(ctx, r, c)
	case "listSlots":
		return listSlots(ctx, r, c)
	case "info":
		info, err := c.GetServerInfo(ctx)
		return answer{"version": info.Version, "epoch": info.Epoch, "revision": decimal(info.Revision)}, err
	default:
		return nil, unknownOp(r.Op)
	}
}

func at(ctx context.Context, r *request, c *slots.Client) (answer, error) {
	var effective slots.EffectiveVersion
	var err error
	if number := r.number(r.At, "at"); r.err != nil {
		return nil, r.err
	} else if r.At != nil {
		effective, err = c.GetEffectiveAt(ctx, r.Name, number)
	} else {
		effective, err = c.GetEffectiveNow(ctx, r.Name)
	}
	result := versionAnswer(effective.Version)
	result["at"] = decimal(effective.At)
	return result, err
}

func put(ctx context.Context, r *request, c *slots.Client) (answer, error) {
	choice, options := r.choice(), r.putOptions()
	var value slots.Value
	if r.Value != nil {
		value = slots.Bytes(r.bytes(r.Value))
	}
	if r.err != nil {
		return nil, r.err
	}
	result, err := c.PutSlot(ctx, r.Name, choice, value, options...)
	return answer{
		"slot": decimal(result.Slot), "state": string(result.State), "revision": decimal(result.Revision),
		"created": result.Created, "currentSlot": optional(result.CurrentSlot), "epoch": result.Epoch,
	}, err
}

func change(
	ctx context.Context, r *request,
	rpc func(context.Context, string, uint64, ...slots.ChangeOption) (slots.SlotResult, error),
) (answer, error) {
	slot := r.number(r.Slot, "slot")
	if r.err != nil {
		return nil, r.err
	}
	result, err := rpc(ctx, r.Name, slot, r.changeOptions()...)
	return answer{
		"slot": decimal(result.Slot), "state": string(result.State), "revision": decimal(result.SecretRevision),
	}, err
}

func described(m slots.SecretMetadata) answer {
	labels := m.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return answer{
		"name": m.Name, "comment": m.Comment, "labels": labels, "etag": m.ETag, "revision": decimal(m.Revision),
		"slotCount": decimal(uint64(m.SlotCount)), "enabledCount": decimal(uint64(m.EnabledCount)),
		"currentSlot": optional(m.CurrentSlot),
	}
}

func list(ctx context.Context, r *request, c *slots.Client) (answer, error) {
	names := []string{}
	for secret, err := range c.AllSecrets(ctx, r.Prefix, r.pageSize()) {
		if err != nil {
			return nil, err
		}
		names = append(names, secret.Name)
	}
	return answer{"names": names}, nil
}

func listSlots(ctx context.Context, r *request, c *slots.Client) (answer, error) {
	listed := []answer{}
	for slot, err := range c.AllSlots(ctx, r.Name, r.pageSize()) {
		if err != nil {
			return nil, err
		}
		listed = append(listed, answer{
			"slot": decimal(slot.Slot), "state": string(slot.State), "revision": decimal(slot.Revision),
			"size": decimal(uint64(slot.Size)),
		})
	}
	return answer{"slots": listed}, nil
}
