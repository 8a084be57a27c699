"""Which model should answer."""
