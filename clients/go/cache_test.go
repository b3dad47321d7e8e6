package slots

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
)

var cacheKey = []byte("0123456789abcdef0123456789abcdef")

func cachedSet(t *testing.T, path string, messages ...*pb.WatchSlotsResponse) {
	t.Helper()
	server := serve(t, &scriptedServer{onWatch: steady(messages...)})
	names := []string{"a", "b"}
	set := mustOpen(t, connect(t, Options{Address: server.address}), names, WithCache(path, cacheKey))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("before open returns: %v, %v", info, err)
	}
	_ = set.Close()
	server.grpc.Stop()
}

func TestCacheServesWhileTheServerIsAway(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "cache")
	cachedSet(t, path, begin("a"), live("a", 0, 1, plain), live("a", MaxNumber, 5, ""), failed("a", 7, 3),
		begin("b"), live("b", 1, 2, "b1"), synced(9))
	file, err := os.ReadFile(path)
	if err != nil || leaks(string(file)) || !bytes.HasPrefix(file, []byte(cacheMagic)) {
		t.Fatalf("the file shows the value, or is none: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Fatalf("files left over: %v", entries)
	}

	// Away: a socket that nobody listens on yet.
	server := &scriptedServer{address: "unix:" + filepath.Join(dir, "socket")}
	server.onWatch = func(_ int, _ *pb.WatchSlotsRequest, stream watchStream) error {
		_ = sendAll(stream, progressAt(9))
		return hold(stream)
	}
	client := connect(t, Options{Address: server.address})
	set := mustOpen(t, client, []string{"b", "a"}, WithCache(path, cacheKey))
	defer set.Close()
	if age, heard := set.Age(); !set.Stale() || heard {
		t.Fatalf("stale %t, age %v", set.Stale(), age)
	}
	version, err := set.Handle("a").Current()
	if err != nil || version.Slot != MaxNumber || version.Revision != 5 || version.Value.Len() != 0 {
		t.Fatalf("got %+v, %v", version, err)
	}
	if _, err := set.Handle("a").EffectiveAt(8); asError(err).Reason != ReasonDataLoss {
		t.Fatalf("got %v", err)
	}
	version, err = set.Handle("a").EffectiveAt(3)
	if err != nil || !version.Value.Equal(Text(plain)) {
		t.Fatalf("got %+v, %v", version, err)
	}
	before := set.Handle("a").State()
	serve(t, server)
	eventually(t, "it is confirmed", func() bool { return !set.Stale() })
	if token := server.seenWatches()[0].GetResumeToken(); token != "t9" || set.Handle("a").State() != before {
		t.Fatalf("resumed with %q", token)
	}
}

func TestCacheOfOtherNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	cachedSet(t, path, begin("a"), live("a", 0, 1, "a0"), begin("b"), live("b", 1, 2, "b1"), synced(9))
	server := serve(t, &scriptedServer{onWatch: func(_ int, r *pb.WatchSlotsRequest, stream watchStream) error {
		_ = sendAll(stream, begin("a"), live("a", 0, 1, "a0"), synced(10))
		return hold(stream)
	}})
	client := connect(t, Options{Address: server.address})
	set := mustOpen(t, client, []string{"a"}, WithCache(path, cacheKey))
	if server.seenWatches()[0].GetResumeToken() != "" {
		t.Fatal("a token of other names was used")
	}
	_ = set.Close()
	_, err := connect(t, Options{Address: "127.0.0.1:1"}).Open(t.Context(), []string{"a", "c"},
		WithCache(path, cacheKey), WithOpenTimeout(100*time.Millisecond))
	if e := wantError(t, err, codes.DeadlineExceeded, ReasonSecretsMissing); e.Metadata["missing"] != "c" {
		t.Fatalf("missing %v", e.Metadata)
	}
	_, err = connect(t, Options{Address: "127.0.0.1:1"}).Open(t.Context(), []string{"a"},
		WithCache(path, cacheKey), WithView(CurrentOnly), WithOpenTimeout(100*time.Millisecond))
	wantError(t, err, codes.DeadlineExceeded, ReasonSecretsMissing)
}

func TestARefusalIsNotOverruledByTheCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	cachedSet(t, path, begin("a"), live("a", 0, 1, "a0"), begin("b"), live("b", 1, 2, "b1"), synced(9))
	server := serve(t, &scriptedServer{onWatch: func(int, *pb.WatchSlotsRequest, watchStream) error {
		return serverError(codes.PermissionDenied, "PERMISSION_DENIED", 0)
	}})
	_, err := connect(t, Options{Address: server.address}).Open(t.Context(), []string{"a", "b"}, WithCache(path, cacheKey))
	wantError(t, err, codes.PermissionDenied, "PERMISSION_DENIED")
}

func TestASlowServerIsNotWaitedForWithACache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	cachedSet(t, path, begin("a"), live("a", 0, 1, "a0"), begin("b"), live("b", 1, 2, "b1"), synced(9))
	server := serve(t, &scriptedServer{onWatch: steady()})
	client := connect(t, Options{Address: server.address})
	client.timing.cacheGrace = 10 * time.Millisecond
	set := mustOpen(t, client, []string{"a", "b"}, WithCache(path, cacheKey))
	if !set.Stale() {
		t.Fatal("not stale")
	}
	wantText(t, set.Handle("b"), "b1")
}

func TestCacheFollowsChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	proceed := make(chan struct{})
	server := serve(t, &scriptedServer{onWatch: func(_ int, r *pb.WatchSlotsRequest, stream watchStream) error {
		_ = sendAll(stream, begin("a"), live("a", 0, 1, "a0"), synced(1))
		<-proceed
		_ = sendAll(stream, live("a", 1, 2, "a1"), synced(2), progressAt(8))
		return hold(stream)
	}})
	set := mustOpen(t, connect(t, Options{Address: server.address}), []string{"a"}, WithCache(path, cacheKey))
	read := func() snapshot {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := openSnapshot(file, cacheKey)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if read().revision != 1 {
		t.Fatal("not written before open returned")
	}
	close(proceed)
	eventually(t, "the change is in the file", func() bool { return read().revision >= 2 })
	eventually(t, "progress came", func() bool { return holds(set.Handle("a"), "a1")() })
	_ = set.Close()
	if s := read(); s.states["a"].revision != 2 || !slices.Contains([]string{"t2", "p8"}, s.token) {
		t.Fatalf("after close: %+v", s)
	}
}

func TestUnusableCacheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	cachedSet(t, path, begin("a"), live("a", 0, 1, "a0"), begin("b"), live("b", 1, 2, "b1"), synced(9))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	changed[len(changed)-20] ^= 1
	version := bytes.Clone(good)
	version[7] = '2'
	var log bytes.Buffer
	client := connect(t, Options{Address: "127.0.0.1:1", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for what, file := range map[string][]byte{
		"empty": {}, "short": good[:10], "changed": changed, "version": version, "cut": good[:len(good)-1],
	} {
		log.Reset()
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := client.Open(t.Context(), []string{"a"}, WithCache(path, cacheKey), WithOpenTimeout(20*time.Millisecond))
		wantError(t, err, codes.DeadlineExceeded, ReasonSecretsMissing)
		if !strings.Contains(log.String(), ReasonCacheUnreadable) {
			t.Errorf("%s: no warning", what)
		}
	}
	if _, err := openSnapshot(good, []byte("another key, of thirty-two bytes")); err == nil {
		t.Fatal("it opens with another key")
	}
	for _, payload := range []cachePayload{
		{Revision: "-1"}, {Revision: "9223372036854775808"}, {Revision: "1.5"}, {Revision: ""},
		{Revision: "1", Secrets: map[string]cachedSecret{"a": {Revision: "1", Absent: "OTHER"}}},
		{Revision: "1", Secrets: map[string]cachedSecret{"a": {Revision: "1"}}},
		{Revision: "1", Secrets: map[string]cachedSecret{"a": {Revision: "1", Slots: []cachedSlot{
			{Slot: "1", Revision: "1"},
		}}}},
		{Revision: "1", Secrets: map[string]cachedSecret{"a": {Revision: "1", Slots: []cachedSlot{
			{Slot: "2", Revision: "1", Failed: true}, {Slot: "2", Revision: "1", Failed: true},
		}}}},
		{Revision: "1", Secrets: map[string]cachedSecret{"a": {Revision: "1", Slots: []cachedSlot{
			{Slot: "2", Revision: "1", Failed: true, CreateTime: "1.5"},
		}}}},
	} {
		if _, err := payload.snapshot(); err == nil {
			t.Errorf("accepted %+v", payload)
		}
	}
}

// A file of the format's own page, sealed by another program: key 00 01 … 1f, nonce of twelve 7s.
func TestCacheFileOfAnotherClient(t *testing.T) {
	file, err := base64.StdEncoding.DecodeString(foreignCache)
	if err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	s, err := openSnapshot(file, key)
	if err != nil {
		t.Fatal(err)
	}
	if s.epoch != "e" || s.revision != 42 || s.token != "tok" || s.view != AllEnabled {
		t.Fatalf("got %+v", s)
	}
	if got := describe(s.states["app/db"]); got != "e:40 0=hunter2 5=!" {
		t.Fatalf("app/db is %s", got)
	}
	if got := describe(s.states["app/gone"]); got != "e:41 NOT_EXISTING" {
		t.Fatalf("app/gone is %s", got)
	}
	if created := s.states["app/db"].slots[1].CreateTime; formatTime(created) != "1790000100.250000000" {
		t.Fatalf("created %v", created)
	}
}

const foreignCache = "" +
	"U1NDQUNIRTEHBwcHBwcHBwcHBwd0SNA5HXy+m6i/KaKxc9i51zXoBKrNo1iy9wG/Sp9wV2IA01KjJYT9YZaDx+By+wqZOtY/vNJo" +
	"ZPPK28BZiqHcZ9eVQfylT5UjsFIuxbkyrqtTcAyU3SpCil4mKkodJbr5tr+d7nskv39e5AT8oYI02RO0TQ87IFW8ifG/ohD7GjTz" +
	"oXuDgrbUBVdNbfez9bAOMxWq7F/qKoc1ke8cNPSboBi0lnqzHBQpokpMZb6HBNkExdqgdi7FD4Ay/7t4wpVLFj3aU0PDhdBPoGRl" +
	"GPkBtyL0pbRk0KULDI+RcdQ5jSJwq6hV+BwOeXPFt+vQlPD3wn2kFti1G5+3Kp1xP6VjRIus+KlmAPZhFAkFSNs+qH692mlNWkfM" +
	"o/yAwJwbY4EIRZDUSvIOEPaLJZ2r5AU2lzG32LKlKF1YcREM1iV557xb5K3yY9CfXTIgJTRrGaVfl5rekWsBrqVajA49ZO0D40JP" +
	"iy4Dx6ODJhN5kJX3S/jmIbUZy5nJyZeD40N6j/YnE2HMbWGltVUatWs11RG/Xy4Zgvpkv7QrjJ6Q4cVZ8ySFFZ1CQ2ba5moqf/L/" +
	"Yro2"
