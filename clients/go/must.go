package slots

// Must returns v, and panics with err when there is one. It is for the start of a program, where going on without a
// secret makes no sense.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
