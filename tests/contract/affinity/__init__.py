"""One suite for every affinity store."""
