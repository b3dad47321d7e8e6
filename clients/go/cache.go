package slots

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The cache file: magic, nonce, AES-256-GCM of a JSON payload with the magic as additional data. Clients of all
// languages read each other's, so every number is a decimal string.
const (
	cacheMagic     = "SSCACHE1"
	cacheNonceSize = 12
)

type cachePayload struct {
	Version     string                  `json:"version"`
	View        View                    `json:"view"`
	Epoch       string                  `json:"epoch"`
	Revision    string                  `json:"revision"`
	ResumeToken string                  `json:"resumeToken"`
	SavedAt     string                  `json:"savedAt"`
	Secrets     map[string]cachedSecret `json:"secrets"`
}

type cachedSecret struct {
	Revision string       `json:"revision"`
	Absent   AbsentReason `json:"absent"`
	Slots    []cachedSlot `json:"slots"`
}

type cachedSlot struct {
	Slot       string  `json:"slot"`
	Revision   string  `json:"revision"`
	CreateTime string  `json:"createTime"`
	Value      *[]byte `json:"value,omitempty"`
	Failed     bool    `json:"failed,omitempty"`
}

// snapshot is what a set knows at one revision of the store.
type snapshot struct {
	view     View
	epoch    string
	revision uint64
	token    string
	states   map[string]*State
}

func (s snapshot) seal(key []byte, now time.Time) ([]byte, error) {
	payload := cachePayload{
		Version: "1", View: s.view, Epoch: s.epoch, Revision: decimal(s.revision), ResumeToken: s.token,
		SavedAt: strconv.FormatInt(now.Unix(), 10), Secrets: map[string]cachedSecret{},
	}
	for name, state := range s.states {
		secret := cachedSecret{Revision: decimal(state.revision), Absent: state.absent, Slots: []cachedSlot{}}
		for _, e := range state.slots {
			slot := cachedSlot{
				Slot: decimal(e.Slot), Revision: decimal(e.revision), CreateTime: formatTime(e.CreateTime),
				Failed: e.failed != nil,
			}
			if e.failed == nil {
				value := e.Value.Bytes()
				slot.Value = &value
			}
			secret.Slots = append(secret.Slots, slot)
		}
		payload.Secrets[name] = secret
	}
	plain, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	gcm, err := cacheCipher(key)
	if err != nil {
		return nil, err
	}
	file := make([]byte, len(cacheMagic)+cacheNonceSize, len(cacheMagic)+cacheNonceSize+len(plain)+gcm.Overhead())
	copy(file, cacheMagic)
	nonce := file[len(cacheMagic):]
	_, _ = rand.Read(nonce) // never fails
	return gcm.Seal(file, nonce, plain, []byte(cacheMagic)), nil
}

// openSnapshot reads a cache file. Its errors never hold what the file holds.
func openSnapshot(file, key []byte) (snapshot, error) {
	var none snapshot
	if len(file) < len(cacheMagic)+cacheNonceSize || string(file[:len(cacheMagic)]) != cacheMagic {
		return none, fmt.Errorf("it is no cache file of a known version")
	}
	gcm, err := cacheCipher(key)
	if err != nil {
		return none, err
	}
	nonce, sealed := file[len(cacheMagic):len(cacheMagic)+cacheNonceSize], file[len(cacheMagic)+cacheNonceSize:]
	plain, err := gcm.Open(nil, nonce, sealed, []byte(cacheMagic))
	if err != nil {
		return none, fmt.Errorf("it was changed, or sealed with another key")
	}
	var payload cachePayload
	if json.Unmarshal(plain, &payload) != nil || payload.Version != "1" {
		return none, fmt.Errorf("its payload is not of a known form")
	}
	return payload.snapshot()
}

func (p cachePayload) snapshot() (snapshot, error) {
	var numbers numberReader
	s := snapshot{
		view: p.View, epoch: p.Epoch, revision: numbers.read(p.Revision), token: p.ResumeToken,
		states: map[string]*State{},
	}
	for name, secret := range p.Secrets {
		var entries []slotEntry
		for _, slot := range secret.Slots {
			created, err := parseTime(slot.CreateTime)
			if err != nil || slot.Failed == (slot.Value != nil) {
				return snapshot{}, fmt.Errorf("a slot in it is not of a known form")
			}
			entry := slotEntry{revision: numbers.read(slot.Revision)}
			entry.Slot, entry.CreateTime = numbers.read(slot.Slot), created
			if slot.Failed {
				entry.failed = failedSlot(name, entry.Slot)
			} else {
				entry.Value = Bytes(*slot.Value)
			}
			entries = append(entries, entry)
		}
		state := newState(name, p.Epoch, numbers.read(secret.Revision), secret.Absent, entries)
		known := secret.Absent == "" || secret.Absent == NotExisting || secret.Absent == NoEnabledSlot
		if !known || (secret.Absent == "") != (len(entries) > 0) || !slices.IsSortedFunc(entries, strictlyAscending) {
			return snapshot{}, fmt.Errorf("a secret in it is not of a known form")
		}
		s.states[name] = state
	}
	if numbers.bad {
		return snapshot{}, fmt.Errorf("a number in it is out of range")
	}
	return s, nil
}

// strictlyAscending makes IsSortedFunc refuse equal neighbours too.
func strictlyAscending(a, b slotEntry) int {
	if a.Slot > b.Slot {
		return 1
	}
	return -1
}

func cacheCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// numberReader remembers whether any of many numbers was out of range.
type numberReader struct{ bad bool }

func (r *numberReader) read(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 63)
	r.bad = r.bad || err != nil
	return n
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	nanos, fractionErr := strconv.ParseUint(fraction, 10, 32)
	if err != nil || fractionErr != nil || len(fraction) != 9 {
		return time.Time{}, fmt.Errorf("not a time")
	}
	return time.Unix(seconds, int64(nanos)).UTC(), nil
}
