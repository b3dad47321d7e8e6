// The stubs driver: the slot cases of test/conformance on generated code and grpc-go alone, nothing of the client.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type answer map[string]any

type request struct {
	ID                               json.Number
	Op, Client, Name, Address, Token string
	At, Slot, Value                  *string
	ExpectedRevision                 *string
	AutoSlot, InitialState           string
	Overwrite                        bool
	RequestID, ETag                  string
}

func main() {
	d := &driver{clients: map[string]*client{}}
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var r request
		var result answer
		if err = json.Unmarshal(line, &r); err == nil {
			result, err = d.do(&r)
		}
		if err != nil {
			result = answer{"ok": false, "error": errorAnswer(err)}
		} else {
			result["ok"] = true
		}
		result["id"] = r.ID
		if err := out.Encode(result); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	for _, c := range d.clients {
		_ = c.conn.Close()
	}
}

// errorAnswer reads an error as any grpc-go program would.
func errorAnswer(err error) answer {
	s, isStatus := status.FromError(err)
	if !isStatus {
		s = status.New(codes.Internal, err.Error())
	}
	reason, metadata := "", map[string]string{}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			reason = info.GetReason()
			if info.GetMetadata() != nil {
				metadata = info.GetMetadata()
			}
		}
	}
	return answer{
		"code": code.Code(s.Code()).String(), "reason": reason, "message": s.Message(), "metadata": metadata,
	}
}

// number reads a slot or a revision; what a uint64 can't hold can't be sent either.
func number(text *string) (*uint64, error) {
	if text == nil {
		return nil, nil
	}
	n, err := strconv.ParseUint(*text, 10, 64)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "not an unsigned 64-bit number")
	}
	return &n, nil
}

func value(text *string) ([]byte, error) {
	if text == nil {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(*text)
	if b == nil {
		b = []byte{}
	}
	return b, err
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func optional(n *uint64) any {
	if n == nil {
		return nil
	}
	return decimal(*n)
}

func stateName(state pb.SlotState) string { return strings.TrimPrefix(state.String(), "SLOT_STATE_") }
