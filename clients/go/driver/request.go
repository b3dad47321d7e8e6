package main

import (
	"encoding/base64"
	"math/big"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
)

// request is every member that an op may have. Numbers are decimal strings, values base64.
type request struct {
	Op, Client, Set, Name, Derived string

	Address, Token, TokenFile, CA, Cert, Key string
	AllowPlaintext                           bool
	TimeoutMs, MaxAttempts                   *string

	At, Slot, ExpectedRevision, T, Overlap *string
	AutoSlot, InitialState                 string
	Value, FailOn                          *string
	Overwrite                              bool
	RequestID, ETag, Prefix                string
	PageSize                               *string
	Comment                                *string
	Labels                                 map[string]string

	Names                     []string
	View, CachePath           string
	CacheKey, CallbackDelayMs *string
	Secrets                   map[string]map[string]string

	BoundMs, Revision, Absent, Ms, PerSecond *string
	Failed, Stale                            *bool

	err error // the first member that could not be read
}

// number reads an exact number. What Go's type can't hold is refused as the client refuses what it can.
func (r *request) number(text *string, what string) uint64 {
	if text == nil {
		return 0
	}
	n, ok := new(big.Int).SetString(*text, 10)
	if !ok || !n.IsUint64() {
		r.fail(invalid("%s must be 0 to 2^63-1", what))
		return 0
	}
	return n.Uint64()
}

func (r *request) bytes(text *string) []byte {
	if text == nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(*text)
	r.fail(err)
	return b
}

func (r *request) millis(text *string, otherwise time.Duration) time.Duration {
	if text == nil {
		return otherwise
	}
	return time.Duration(r.number(text, "milliseconds")) * time.Millisecond
}

func (r *request) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *request) putOptions() []slots.PutOption {
	var options []slots.PutOption
	if r.Overwrite {
		options = append(options, slots.Overwrite())
	}
	if r.ExpectedRevision != nil {
		options = append(options, slots.ExpectedRevision(r.number(r.ExpectedRevision, "expectedRevision")))
	}
	if r.RequestID != "" {
		options = append(options, slots.RequestID(r.RequestID))
	}
	if r.InitialState == "DISABLED" {
		options = append(options, slots.Staged())
	}
	return options
}

// choice refuses what the client's types can't say.
func (r *request) choice() slots.SlotChoice {
	switch {
	case r.Slot != nil && r.AutoSlot != "":
		r.fail(invalid("give slot or autoSlot, not both"))
	case r.AutoSlot == "NEXT_INDEX":
		return slots.NextIndex()
	case r.AutoSlot == "NOW":
		return slots.Now()
	case r.Slot != nil:
		return slots.Slot(r.number(r.Slot, "slot"))
	}
	return slots.SlotChoice{}
}

func (r *request) changeOptions() []slots.ChangeOption {
	var options []slots.ChangeOption
	if r.ETag != "" {
		options = append(options, slots.ETag(r.ETag))
	}
	if r.RequestID != "" {
		options = append(options, slots.RequestID(r.RequestID))
	}
	return options
}

func (r *request) pageSize() int32 { return int32(r.number(r.PageSize, "pageSize")) }
