"""One module a command, so that each loads only what it needs."""
