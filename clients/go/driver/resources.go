package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	slots "github.com/secretslots/secretslots/clients/go"
)

// derivedPool counts what happens to the resources of one derived value.
type derivedPool struct {
	derived *slots.Derived[*resource]

	mu     sync.Mutex
	builds uint64
	closed []string
	misuse error
}

type resource struct {
	value  string
	closed atomic.Bool
}

func (d *driver) derive(r *request, handle *slots.Handle) (answer, error) {
	failOn := r.FailOn
	pool := &derivedPool{closed: []string{}}
	var building atomic.Bool
	build := func(_ context.Context, version slots.Version) (*resource, error) {
		if !building.CompareAndSwap(false, true) {
			pool.misused(errors.New("building while another builds"))
		}
		defer building.Store(false)
		value := encode(version.Value)
		if failOn != nil && value == *failOn {
			return nil, errors.New("told to fail")
		}
		pool.mu.Lock()
		defer pool.mu.Unlock()
		pool.builds++
		return &resource{value: value}, nil
	}
	closing := func(old *resource) error {
		if !old.closed.CompareAndSwap(false, true) {
			pool.misused(errors.New("closed twice"))
		}
		pool.mu.Lock()
		defer pool.mu.Unlock()
		pool.closed = append(pool.closed, old.value)
		return nil
	}
	derived, err := slots.Derive(context.Background(), handle, build, closing)
	if err != nil {
		return nil, err
	}
	pool.derived = derived
	d.derived[r.Derived] = pool
	return answer{"value": derived.Get().value}, nil
}

func (p *derivedPool) misused(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misuse = err
}

func (d *driver) derivedGet(r *request) (answer, error) {
	pool := d.derived[r.Derived]
	if pool == nil {
		return nil, fmt.Errorf("no derived %q", r.Derived)
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return answer{
		"value": pool.derived.Get().value, "builds": decimal(pool.builds), "closed": append([]string{}, pool.closed...),
	}, pool.misuse
}

// repr prints what holds a value in every form that Go has.
func (d *driver) repr(r *request, set *openSet) (answer, error) {
	handle := set.Handle(r.Name)
	version, err := handle.Current()
	if err != nil {
		return nil, err
	}
	state := handle.State()
	hidden := struct {
		value   slots.Value
		version slots.Version
		state   *slots.State
	}{version.Value, version, state}
	holders := []any{
		version.Value, &version.Value, version, &version, state, *state, handle, set.Set, hidden, &hidden,
		slots.Options{Token: version.Value}, []slots.Value{version.Value}, map[string]slots.Version{"v": version},
		slots.Change{Name: r.Name, Previous: state, Current: state},
		fmt.Errorf("it failed with %v", version), &slots.Error{Message: fmt.Sprint(version)},
	}
	if set.fake != nil {
		holders = append(holders, set.fake)
	}
	for _, client := range d.clients {
		holders = append(holders, client)
	}
	return answer{"texts": printedForms(holders)}, nil
}
