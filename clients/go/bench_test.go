package slots_test

import (
	"testing"

	slots "github.com/secretslots/secretslots/clients/go"
)

func benchHandle() *slots.Handle {
	return slots.NewFakeSlots(map[string]map[uint64]string{"a": {0: "v0", 5: "v5", 1741790697: "v1741790697"}}).Handle("a")
}

func BenchmarkCurrent(b *testing.B) {
	handle := benchHandle()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = handle.Current()
	}
}

func BenchmarkEffectiveAt(b *testing.B) {
	handle := benchHandle()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = handle.EffectiveAt(7)
	}
}
