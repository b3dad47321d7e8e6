package slots

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// chaos is a server that rotates "a" and "b" all the time and misbehaves on most streams, until it is told not to.
type chaos struct {
	*scriptedServer

	mu       sync.Mutex
	random   *rand.Rand
	honest   bool
	epoch    int
	revision uint64
}

func newChaos(t *testing.T) *chaos {
	c := &chaos{random: rand.New(rand.NewPCG(14, 14)), revision: 100}
	c.scriptedServer = &scriptedServer{onWatch: c.watch}
	serve(t, c.scriptedServer)
	return c
}

func (c *chaos) becomeHonest() (final string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.honest = true
	c.revision++
	return c.value()
}

func (c *chaos) value() string { return fmt.Sprintf("%d/%d", c.epoch, c.revision) }

// state is the whole state at a revision: one slot of each secret.
func (c *chaos) state(revision uint64) []*pb.WatchSlotsResponse {
	epoch := fmt.Sprintf("e%d", c.epoch)
	var events []*pb.WatchSlotsResponse
	for _, name := range []string{"a", "b"} {
		events = append(events, in(epoch, begin(name)),
			in(epoch, live(name, revision%7, revision, fmt.Sprintf("%d/%d", c.epoch, revision))))
	}
	return append(events, in(epoch, synced(revision)))
}

func (c *chaos) script(n int) (events []*pb.WatchSlotsResponse, end bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.honest || n == 0 {
		return c.state(c.revision), false
	}
	c.revision += c.random.Uint64N(3)
	whole := c.state(c.revision)
	switch c.random.IntN(5) {
	case 0:
		return whole[:c.random.IntN(len(whole))], true
	case 1:
		return c.state(c.revision - c.random.Uint64N(50)), true
	case 2:
		c.epoch, c.revision = c.epoch+1, 100
		fresh := c.state(c.revision)
		return append([]*pb.WatchSlotsResponse{historyReset(fresh[0].GetEpoch(), c.revision)}, fresh...), true
	case 3:
		old := live("a", c.revision%7, c.revision-50, "old")
		return append(append(whole, in(whole[0].GetEpoch(), old)), in(whole[0].GetEpoch(), synced(c.revision))), true
	default:
		return whole, true
	}
}

func (c *chaos) watch(n int, _ *pb.WatchSlotsRequest, stream watchStream) error {
	events, end := c.script(n)
	if err := sendAll(stream, events...); err != nil {
		return err
	}
	if end {
		return status.Error(codes.Unavailable, "cut")
	}
	// An honest stream, or the first: it ends when the mood changes.
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(10 * time.Millisecond):
		}
		c.mu.Lock()
		honest := c.honest
		c.mu.Unlock()
		if !honest {
			return status.Error(codes.Unavailable, "cut")
		}
	}
}
