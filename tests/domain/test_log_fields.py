"""What a log call hands over beside its message."""

from __future__ import annotations

from sidecar.domain.log_fields import event_fields


def test_an_event_has_a_name_and_fields():
    """No field's name can be one that logging keeps for itself."""
    assert {"event": "e", "fields": {"name": 1}} == event_fields("e", name=1)
