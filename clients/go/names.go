package slots

import (
	"regexp"
	"strings"
)

// MaxNumber is the largest slot number and revision.
const MaxNumber = 1<<63 - 1

const maxNames = 1000

var nameShape = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

func checkNumber(what string, n uint64) error {
	if n > MaxNumber {
		return invalidArgument("%s must be 0 to 2^63-1", what)
	}
	return nil
}

func validName(name string) bool {
	if len(name) > 255 || !nameShape.MatchString(name) {
		return false
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// declaredNames drops repeats and keeps the order given. Names are refused when wrong, never normalised.
func declaredNames(names []string) ([]string, error) {
	seen := make(map[string]bool, len(names))
	declared := make([]string, 0, len(names))
	for _, name := range names {
		if !validName(name) {
			return nil, invalidArgument("%q is no secret's name: 1 to 255 bytes, segments of A-Z a-z 0-9 . _ - "+
				"joined by '/', none empty, none '.' or '..'", name)
		}
		if !seen[name] {
			seen[name] = true
			declared = append(declared, name)
		}
	}
	if len(declared) == 0 || len(declared) > maxNames {
		return nil, invalidArgument("a set has 1 to %d names, not %d", maxNames, len(declared))
	}
	return declared, nil
}
