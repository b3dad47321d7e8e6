// Package slots is the Go client of Secret Slots: handles that always hold the newest value of a secret.
//
// A [Set] follows its secrets on one stream and a [Handle] of it answers [Handle.Current], [Handle.EffectiveAt] and
// [Handle.Acceptable] from memory. Once open, a handle never fails because the server is away: it goes on answering
// with the newest value it knows, and [Set.Age] says how long ago the server was last heard.
//
// A secret has numbered slots. The current value is the one in the enabled slot with the largest number; the value
// effective at t is the one in the enabled slot with the largest number at or below t. Slots and revisions are 0 to
// 2^63-1.
//
// Every error that this package returns is an [*Error], with gRPC's code and a stable reason:
//
//	var e *slots.Error
//	if errors.As(err, &e) && e.Reason == slots.ReasonSecretNotFound { … }
//
// A [Value] shows [secret] however it is printed; reading it is explicit.
package slots
