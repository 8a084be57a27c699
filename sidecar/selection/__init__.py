"""Which model a call goes to: the one room that knows affinity and routing."""
