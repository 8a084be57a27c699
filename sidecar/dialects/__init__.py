"""All that is true of one API."""
