package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
	"google.golang.org/grpc/codes"
)

func stderrLog() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

// openSet is a set and what its callbacks got.
type openSet struct {
	*slots.Set
	fake *slots.Fake

	mu      sync.Mutex
	changes map[string][]answer
	hammer  *hammer
}

func (d *driver) open(r *request) error {
	delay := r.millis(r.CallbackDelayMs, 0)
	set := &openSet{changes: map[string][]answer{}}
	if r.Op == "fakeOpen" {
		set.fake = slots.NewFakeSlots(r.fakeSecrets())
		set.Set = set.fake.Set
	} else {
		client := d.clients[r.Client]
		if client == nil {
			return fmt.Errorf("no client %s", r.Client)
		}
		var options []slots.OpenOption
		if r.TimeoutMs != nil {
			options = append(options, slots.WithOpenTimeout(r.millis(r.TimeoutMs, 0)))
		}
		if r.View != "" {
			options = append(options, slots.WithView(slots.View(r.View)))
		}
		if r.CachePath != "" {
			options = append(options, slots.WithCache(r.CachePath, r.bytes(r.CacheKey)))
		}
		if r.err != nil {
			return r.err
		}
		opened, err := client.Open(context.Background(), r.Names, options...)
		if err != nil {
			return err
		}
		set.Set = opened
	}
	if r.err != nil {
		return r.err
	}
	for _, name := range set.Names() {
		set.Handle(name).OnChange(func(c slots.Change) {
			time.Sleep(delay)
			set.record(c)
		})
	}
	d.sets[r.Set] = set
	return nil
}

func (r *request) fakeSecrets() map[string]map[uint64]string {
	secrets := map[string]map[uint64]string{}
	for name, values := range r.Secrets {
		secrets[name] = map[uint64]string{}
		for slot, value := range values {
			secrets[name][r.number(&slot, "slot")] = string(r.bytes(&value))
		}
	}
	return secrets
}

func (s *openSet) close() {
	s.stopHammer()
	_ = s.Close()
}

func (s *openSet) record(c slots.Change) {
	change := answer{
		"revision": decimal(c.Current.Revision()), "epoch": c.Current.Epoch(), "slot": nil, "value": nil,
		"absent": string(c.Current.Absent()), "currentChanged": c.CurrentChanged,
	}
	if version, err := c.Current.Current(); err == nil {
		change["slot"], change["value"] = decimal(version.Slot), encode(version.Value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes[c.Name] = append(s.changes[c.Name], change)
}

func (d *driver) onSet(r *request, set *openSet) (answer, error) {
	handle := set.Handle(r.Name)
	switch r.Op {
	case "fakeRotate":
		var slot []uint64
		if r.Slot != nil {
			slot = append(slot, r.number(r.Slot, "slot"))
		}
		value := string(r.bytes(r.Value))
		if r.err != nil {
			return nil, r.err
		}
		return nil, set.fake.Rotate(r.Name, value, slot...)
	case "current":
		version, err := handle.Current()
		return versionAnswer(version), err
	case "effectiveAt":
		at := r.number(r.At, "at")
		if r.err != nil {
			return nil, r.err
		}
		version, err := handle.EffectiveAt(at)
		return versionAnswer(version), err
	case "acceptable":
		return acceptable(r, handle)
	case "age":
		age, heard := set.Age()
		if !heard {
			return answer{"ageMs": nil}, nil
		}
		return answer{"ageMs": decimal(uint64(age.Milliseconds()))}, nil
	case "stale":
		return answer{"stale": set.Stale()}, nil
	case "waitFor":
		return waitFor(r, set)
	case "changes":
		set.mu.Lock()
		defer set.mu.Unlock()
		return answer{"changes": append([]answer{}, set.changes[r.Name]...)}, nil
	case "derive":
		return d.derive(r, handle)
	case "repr":
		return d.repr(r, set)
	case "bench":
		return bench(r, handle)
	case "hammerStart":
		return nil, set.startHammer(r)
	case "hammerStop":
		return set.stopHammer(), nil
	case "closeSet":
		return nil, set.Close()
	default:
		return nil, unknownOp(r.Op)
	}
}

func acceptable(r *request, handle *slots.Handle) (answer, error) {
	t, overlap := r.number(r.T, "t"), r.number(r.Overlap, "overlap")
	if r.err != nil {
		return nil, r.err
	}
	versions, err := handle.Acceptable(t, overlap)
	numbers, values := []string{}, []string{}
	for _, v := range versions {
		numbers, values = append(numbers, decimal(v.Slot)), append(values, encode(v.Value))
	}
	return answer{"slots": numbers, "values": values}, err
}

func waitFor(r *request, set *openSet) (answer, error) {
	began, bound := time.Now(), r.millis(r.BoundMs, 0)
	for {
		instead := mismatch(r, set)
		waited := time.Since(began)
		if r.err != nil {
			return nil, r.err
		}
		if instead == "" {
			return answer{"waitedMs": decimal(uint64(waited.Milliseconds()))}, nil
		}
		if waited > bound {
			return nil, &slots.Error{Code: codes.DeadlineExceeded, Reason: "WAIT_TIMEOUT", Message: instead}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// mismatch says what does not hold yet, without any value; "" when all holds.
func mismatch(r *request, set *openSet) string {
	var wrong []string
	if r.Stale != nil && set.Stale() != *r.Stale {
		wrong = append(wrong, fmt.Sprintf("stale is %t", set.Stale()))
	}
	if r.Name != "" {
		state := set.Handle(r.Name).State()
		version, err := state.Current()
		if r.Value != nil && (err != nil || !version.Value.Equal(slots.Bytes(r.bytes(r.Value)))) {
			wrong = append(wrong, "another value")
		}
		if r.Slot != nil && (err != nil || version.Slot != r.number(r.Slot, "slot")) {
			wrong = append(wrong, fmt.Sprintf("slot %d", version.Slot))
		}
		if r.Revision != nil && state.Revision() < r.number(r.Revision, "revision") {
			wrong = append(wrong, "an older revision")
		}
		if r.Absent != nil && string(state.Absent()) != *r.Absent {
			wrong = append(wrong, "absent is \""+string(state.Absent())+"\"")
		}
		if failed := err != nil && errorAnswer(err)["code"] == "DATA_LOSS"; r.Failed != nil && failed != *r.Failed {
			wrong = append(wrong, fmt.Sprintf("failed is %t", failed))
		}
		if len(wrong) > 0 {
			wrong = append(wrong, state.String())
			if err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	return strings.Join(wrong, "; ")
}
