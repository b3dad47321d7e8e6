module github.com/secretslots/secretslots/clients/go

go 1.25.0

require (
	github.com/secretslots/secretslots/gen/go v0.1.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.40.0 // indirect
)

// In this tree the stubs beside the client are the ones to build with. Programs that depend on the client ignore it.
replace github.com/secretslots/secretslots/gen/go => ../../gen/go
