package main

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
)

// printedForms prints each holder with every verb and serialisation of the standard library.
func printedForms(holders []any) []string {
	var texts []string
	for _, holder := range holders {
		texts = append(texts, fmt.Sprint(holder), fmt.Sprintln(holder))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "% X", "%d", "%c", "%U", "%T", "%10v", "%-20s"} {
			texts = append(texts, fmt.Sprintf(verb, holder))
		}
		if encoded, err := json.Marshal(holder); err == nil {
			texts = append(texts, string(encoded))
		}
		if encoded, err := xml.Marshal(holder); err == nil {
			texts = append(texts, string(encoded))
		}
		var buffer bytes.Buffer
		if gob.NewEncoder(&buffer).Encode(holder) == nil {
			texts = append(texts, buffer.String())
		}
		buffer.Reset()
		slog.New(slog.NewTextHandler(&buffer, nil)).Info("it", "holder", holder)
		slog.New(slog.NewJSONHandler(&buffer, nil)).Info("it", "holder", holder)
		texts = append(texts, buffer.String(), fmt.Errorf("wrapped: %w", fmt.Errorf("%v", holder)).Error(), panicText(holder))
	}
	return texts
}

func panicText(holder any) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	panic(holder)
}
