// The conformance driver: does what test/conformance asks, with this client. See test/conformance/PROTOCOL.md.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	slots "github.com/secretslots/secretslots/clients/go"
	"google.golang.org/grpc/codes"
)

// answer is the members of an answer besides id and ok.
type answer map[string]any

func main() {
	d := &driver{clients: map[string]*slots.Client{}, sets: map[string]*openSet{}, derived: map[string]*derivedPool{}}
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var id struct{ ID json.Number }
		var r request
		decodeErr := errors.Join(json.Unmarshal(line, &id), json.Unmarshal(line, &r))
		var result answer
		if decodeErr == nil {
			result, decodeErr = d.do(&r)
		}
		if decodeErr == nil && r.err != nil {
			decodeErr = r.err
		}
		if decodeErr != nil {
			result = answer{"ok": false, "error": errorAnswer(decodeErr)}
		} else {
			if result == nil {
				result = answer{}
			}
			result["ok"] = true
		}
		result["id"] = id.ID
		if err := out.Encode(result); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	d.close()
}

func errorAnswer(err error) answer {
	var e *slots.Error
	if !errors.As(err, &e) {
		e = &slots.Error{Code: codes.Internal, Message: err.Error()}
	}
	metadata := e.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return answer{"code": slots.CodeName(e.Code), "reason": e.Reason, "message": e.Message, "metadata": metadata}
}

func invalid(format string, args ...any) error {
	return &slots.Error{
		Code: codes.InvalidArgument, Reason: slots.ReasonInvalidArgument, Message: fmt.Sprintf(format, args...),
	}
}
