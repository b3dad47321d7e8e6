package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	slots "github.com/secretslots/secretslots/clients/go"
)

const (
	lifetime = time.Hour
	// Clocks of whoever signs and verifies may differ by so many seconds around a roll-over.
	overlap = 60
)

type service struct{ key *slots.Handle }

func newService(key *slots.Handle) http.Handler {
	s := &service{key}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login/{user}", s.login)
	mux.HandleFunc("GET /me", s.me)
	return mux
}

func (s *service) login(w http.ResponseWriter, r *http.Request) {
	key, err := s.key.Current()
	if err != nil {
		http.Error(w, "no key to sign with", http.StatusServiceUnavailable)
		return
	}
	// A key dated in the future is current at once: its tokens say so.
	issued := time.Unix(max(time.Now().Unix(), int64(key.Slot)), 0)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: r.PathValue("user"), IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(issued.Add(lifetime)),
	}).SignedString(key.Value.Bytes())
	if err != nil {
		http.Error(w, "can't sign", http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, token)
}

func (s *service) me(w http.ResponseWriter, r *http.Request) {
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, err := jwt.Parse(bearer, s.keysFor, jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	if err != nil {
		http.Error(w, "the token does not hold", http.StatusUnauthorized)
		return
	}
	user, _ := token.Claims.GetSubject()
	fmt.Fprint(w, user)
}

// keysFor answers the keys that were in force when the token says that it was issued. Its age is checked here too,
// or whoever has an old key could go on issuing tokens of that time.
func (s *service) keysFor(token *jwt.Token) (any, error) {
	issued, err := token.Claims.GetIssuedAt()
	if err != nil || issued == nil || time.Since(issued.Time) > lifetime {
		return nil, errors.New("no issue time, or too old")
	}
	versions, err := s.key.Acceptable(uint64(issued.Unix()), overlap)
	keys := jwt.VerificationKeySet{}
	for _, version := range versions {
		keys.Keys = append(keys.Keys, version.Value.Bytes())
	}
	return keys, err
}
