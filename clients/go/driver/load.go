package main

import (
	"fmt"
	"sync"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
)

// bench measures nanoseconds per read of a handle.
func bench(r *request, handle *slots.Handle) (answer, error) {
	version, err := handle.Current()
	if err != nil {
		return nil, err
	}
	each := r.millis(r.Ms, 500*time.Millisecond) / 2
	return answer{
		"currentNs":     perCall(each, func() { _, _ = handle.Current() }),
		"effectiveAtNs": perCall(each, func() { _, _ = handle.EffectiveAt(version.Slot) }),
	}, nil
}

func perCall(atLeast time.Duration, read func()) string {
	const batch = 100_000
	calls, began := 0, time.Now()
	for calls == 0 || time.Since(began) < atLeast {
		for range batch {
			read()
		}
		calls += batch
	}
	return fmt.Sprintf("%.1f", float64(time.Since(began).Nanoseconds())/float64(calls))
}

// hammer reads handles in the background and looks for failures and for anything that goes backwards.
type hammer struct {
	stop chan struct{}
	done sync.WaitGroup

	reads, failures, backwards uint64
	firstFailure               string
	seen                       map[string]slots.Version
}

func (s *openSet) startHammer(r *request) error {
	perSecond := r.number(r.PerSecond, "perSecond")
	if r.err != nil || perSecond == 0 || s.hammer != nil {
		return fmt.Errorf("perSecond is wrong, or a hammer is running")
	}
	h := &hammer{stop: make(chan struct{}), seen: map[string]slots.Version{}}
	s.hammer = h
	h.done.Go(func() {
		// Bursts every 10 ms make up the rate: a timer per read would measure timers.
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		var owed float64
		for last := time.Now(); ; {
			select {
			case <-h.stop:
				return
			case now := <-ticker.C:
				owed += now.Sub(last).Seconds() * float64(perSecond)
				last = now
			}
			for ; owed >= 1; owed-- {
				for _, name := range r.Names {
					h.read(s.Handle(name))
				}
			}
		}
	})
	return nil
}

func (h *hammer) read(handle *slots.Handle) {
	h.reads += 2
	current, err := handle.Current()
	if err == nil {
		_, err = handle.EffectiveAt(current.Slot)
	}
	if err != nil {
		h.failures++
		if h.firstFailure == "" {
			h.firstFailure = err.Error()
		}
		return
	}
	if seen, ok := h.seen[current.Name]; ok && seen.Epoch == current.Epoch && current.Revision < seen.Revision {
		h.backwards++
	}
	h.seen[current.Name] = current
}

func (s *openSet) stopHammer() answer {
	h := s.hammer
	if h == nil {
		return answer{"reads": "0", "failures": "0", "backwards": "0", "firstFailure": ""}
	}
	s.hammer = nil
	close(h.stop)
	h.done.Wait()
	return answer{
		"reads": decimal(h.reads), "failures": decimal(h.failures), "backwards": decimal(h.backwards),
		"firstFailure": h.firstFailure,
	}
}
