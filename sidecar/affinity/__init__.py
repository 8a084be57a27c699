"""Which model a session is bound to."""
