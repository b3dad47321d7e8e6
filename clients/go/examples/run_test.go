// Package examples starts each example against a real server while its secret rotates.
package examples

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	slots "github.com/secretslots/secretslots/clients/go"
)

// Everything here waits for a line; the bound is only there so that a failure is one.
const bound = 60 * time.Second

// program is a child process whose output is waited for.
type program struct {
	t     *testing.T
	name  string
	lines chan string
}

func start(t *testing.T, name string, command *exec.Cmd) *program {
	t.Helper()
	output, err := command.StdoutPipe()
	command.Stderr = os.Stderr
	if err := errors.Join(err, command.Start()); err != nil {
		t.Fatal(err)
	}
	p := &program{t, name, make(chan string, 100)}
	go func() {
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
		close(p.lines)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return p
}

// waitFor returns what the pattern's group matched in the next line that it matches.
func (p *program) waitFor(pattern string) string {
	p.t.Helper()
	compiled := regexp.MustCompile(pattern)
	for timeout := time.After(bound); ; {
		select {
		case line, running := <-p.lines:
			if !running {
				p.t.Fatalf("%s ended before it printed %s", p.name, pattern)
			}
			if match := compiled.FindStringSubmatch(line); match != nil {
				return match[len(match)-1]
			}
		case <-timeout:
			p.t.Fatalf("%s did not print %s", p.name, pattern)
		}
	}
}

func TestExamplesAgainstAServer(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(root, "node_modules", ".bin", "node")
	if _, err := os.Stat(node); err != nil {
		t.Skip("needs the server: run npm ci at the root of the repository")
	}
	programs, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	if output, err := exec.Command("go", "build", "-o", programs, "./...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	server := start(t, "the server", exec.Command(
		node, filepath.Join(root, "bin", "slots.js"), "serve", "--data-dir", data, "--listen", "127.0.0.1:0"))
	address := server.waitFor(`listening on (\S+)`)
	token := filepath.Join(data, "admin.token")

	client, err := slots.Connect(slots.Options{Address: address, TokenFile: token, Timeout: bound})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	put := func(name string, slot uint64, value string) {
		t.Helper()
		if _, err := client.PutSlot(context.Background(), name, slots.Slot(slot), slots.Text(value)); err != nil {
			t.Fatal(err)
		}
	}
	put("app/db", 0, "first password")
	put("app/jwt-key", 0, "first key")
	run := func(name string) *program {
		command := exec.Command(filepath.Join(programs, name))
		command.Env = append(os.Environ(), "SLOTS_ADDRESS="+address, "SLOTS_TOKEN_FILE="+token, "LISTEN=127.0.0.1:0")
		return start(t, name, command)
	}
	five, service, pool := run("five_lines"), run("jwt_service"), run("pool_swap")
	five.waitFor(`now slot 0: \[secret\], at 1741790697 slot 0`)
	first := pool.waitFor(`connected as (.*)`)
	url := service.waitFor(`serving on (\S+)`)
	before := ask(t, http.MethodPost, url+"/login/ann", "")

	put("app/db", 1, "second password")
	put("app/jwt-key", uint64(time.Now().Unix()), "second key")
	five.waitFor(`app/db has changed`)
	if second := pool.waitFor(`connected as (.*)`); second == first {
		t.Fatalf("the pool is still %s", first)
	}
	// Until the service has the new key it signs with the old one; a token of either holds.
	after := ask(t, http.MethodPost, url+"/login/bob", "")
	for token, want := range map[string]string{before: "ann", after: "bob"} {
		if user := ask(t, http.MethodGet, url+"/me", token); user != want {
			t.Errorf("got %q, want %q", user, want)
		}
	}
}

func ask(t *testing.T, method, url, token string) string {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := (&http.Client{Timeout: bound}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s: %s", answer.Status, body)
	}
	return strings.TrimSpace(string(body))
}
