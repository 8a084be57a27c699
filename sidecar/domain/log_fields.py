"""What a log call hands over beside its message: an event's name and its fields."""

from __future__ import annotations

from typing import Any


def event_fields(event: str, **fields: object) -> dict[str, Any]:
    """Return the ``extra`` of a log call, for programs that read the log.

    Args: ``event`` and the fields' names are an API: README.md of `telemetry` lists them. A value
        is a text, a number, a truth, None or a list of texts; never a prompt, a key, a session or
        a tenant.
    """
    return {"event": event, "fields": fields}
