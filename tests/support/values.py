"""Values for tests that need one but do not care which."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import BodyFacts, Call
from sidecar.domain.errors import InvalidBody
from sidecar.domain.ids import TraceContext

TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0)


class FakeClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return 1_700_000_000.0 + self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


def a_call(**changes: Any) -> Call:
    """A chat call with one message; any field can be given."""
    fields: dict[str, Any] = {
        "endpoint": DIALECTS.endpoints["/v1/chat/completions"],
        "method": "POST",
        "query": "",
        "headers": {},
        "body": b'{"model":"gpt-4o","messages":[]}',
        "facts": BodyFacts(requested_model="gpt-4o", model_span=(9, 17), insert_at=1),
        "request_id": "req-1",
        "trace": TRACE,
        "admitted_s": 1000.0,
    }
    call = Call(**{**fields, **changes})
    if "facts" in changes:
        return call
    with contextlib.suppress(InvalidBody):
        conversation = DIALECTS.by_name[call.endpoint.dialect].peek(call.body).conversation
        facts = dataclasses.replace(call.facts, conversation=conversation)
        return dataclasses.replace(call, facts=facts)
    return call
