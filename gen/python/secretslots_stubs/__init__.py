"""Generated stubs of secretslots.v1; see secretslots_stubs.v1."""
