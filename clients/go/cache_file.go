package slots

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// cacheWriter writes the newest snapshot to the cache file, one write at a time.
type cacheWriter struct {
	path string
	key  []byte
	view View
	idle time.Duration
	log  *slog.Logger

	wake chan struct{} // holds at most one

	mu        sync.Mutex
	next      *snapshot // not written yet
	writtenAt time.Time

	writing sync.Mutex
}

func newCacheWriter(o openOptions, idle time.Duration, log *slog.Logger) *cacheWriter {
	return &cacheWriter{
		path: o.cachePath, key: o.cacheKey, view: o.view, idle: idle, log: log, wake: make(chan struct{}, 1),
	}
}

// offer takes a new snapshot. It is written soon when values changed or none was written yet, and at most once a
// minute when only the resume token moved on.
func (w *cacheWriter) offer(m *machine, changed bool) {
	s := &snapshot{view: w.view, epoch: m.epoch, revision: m.revision, token: m.token, states: maps.Clone(m.applied)}
	w.mu.Lock()
	urgent := changed || time.Since(w.writtenAt) >= w.idle
	w.next = s
	w.mu.Unlock()
	if urgent {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *cacheWriter) run(ctx context.Context) {
	for {
		select {
		case <-w.wake:
			w.flush()
		case <-ctx.Done():
			return
		}
	}
}

// flush writes what is unwritten before it returns. A write that fails is a warning.
func (w *cacheWriter) flush() {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	next := w.next
	w.next, w.writtenAt = nil, time.Now()
	w.mu.Unlock()
	if next == nil {
		return
	}
	sealed, err := next.seal(w.key, time.Now())
	if err == nil {
		err = replaceFile(w.path, sealed)
	}
	if err != nil {
		w.log.Warn("the cache file can't be written", "file", w.path, "error", err)
	}
}

// replaceFile leaves either the old file or the new one, also after a power cut.
func replaceFile(path string, content []byte) (err error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	temporary := filepath.Join(dir, "."+name+"."+hex.EncodeToString(random[:])+".tmp")
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary)
		}
	}()
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err = os.Rename(temporary, path); err != nil {
		return err
	}
	directory, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

// loadCache makes the states of the cache file the applied ones. A file that can't be used is a warning.
func (f *follower) loadCache(options openOptions) {
	file, err := os.ReadFile(options.cachePath)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var cached snapshot
	if err == nil {
		cached, err = openSnapshot(file, options.cacheKey)
	}
	if err != nil {
		f.set.log.Warn("the cache file can't be used",
			"reason", ReasonCacheUnreadable, "file", options.cachePath, "error", err)
		return
	}
	if cached.view != options.view {
		return
	}
	found := 0
	for _, name := range f.set.names {
		if state := cached.states[name]; state != nil {
			found++
			f.machine.applied[name] = state
			f.set.handles[name].state.Store(state)
		}
	}
	if found == 0 {
		return
	}
	f.set.isStale.Store(true)
	f.machine.epoch, f.machine.revision = cached.epoch, cached.revision
	// The token belongs to exactly these names: with any other set the stream starts afresh.
	if found == len(f.set.names) && found == len(cached.states) {
		f.machine.token = cached.token
	}
}
