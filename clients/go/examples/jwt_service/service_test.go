package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	slots "github.com/secretslots/secretslots/clients/go"
)

func TestTokensHoldAcrossARollOver(t *testing.T) {
	now := uint64(time.Now().Unix())
	fake := slots.NewFakeSlots(map[string]map[uint64]string{"app/jwt-key": {0: "first key"}})
	defer fake.Close()
	service := newService(fake.Handle("app/jwt-key"))
	ask := func(method, path, token string) (int, string) {
		request := httptest.NewRequest(method, path, nil)
		request.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		service.ServeHTTP(answer, request)
		return answer.Code, answer.Body.String()
	}
	_, before := ask(http.MethodPost, "/login/ann", "")
	if err := fake.Rotate("app/jwt-key", "second key", now+1); err != nil {
		t.Fatal(err)
	}
	_, after := ask(http.MethodPost, "/login/bob", "")
	for token, want := range map[string]string{before: "ann", after: "bob"} {
		if code, user := ask(http.MethodGet, "/me", token); code != http.StatusOK || user != want {
			t.Errorf("%d %q, want %q", code, user, want)
		}
	}
	sign := func(key string, issued time.Time) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
			Subject: "eve", IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		}).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for what, token := range map[string]string{
		"a wrong key": sign("guessed", time.Now()), "an old key's time, long ago": sign("first key", time.Unix(1000, 0)),
		"an old key, now": sign("first key", time.Now().Add(2*overlap*time.Second)), "nothing": "",
		"before the epoch": sign("first key", time.Unix(-5, 0)),
	} {
		if code, _ := ask(http.MethodGet, "/me", token); code != http.StatusUnauthorized {
			t.Errorf("%s answers %d", what, code)
		}
	}
}
