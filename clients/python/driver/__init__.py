"""The conformance driver of test/conformance/PROTOCOL.md."""
