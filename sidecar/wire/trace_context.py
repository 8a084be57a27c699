"""W3C trace context, level 2, read strictly: what is not valid counts as absent.

Source: https://www.w3.org/TR/trace-context-2/, with the key grammar of w3c/trace-context#584.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sidecar.domain.ids import (
    FLAG_RANDOM_TRACE_ID,
    FLAG_SAMPLED,
    FLAGS_TEXT,
    Sampling,
    TraceContext,
    child_span_id,
    is_sampled_id,
    mint_span_id,
    mint_trace_context,
)

# A version that is not ff, ids that are not all zero, and what a later version may append.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.DOTALL
)
_CURRENT_BYTES: Final = 55
"""Of a version 00, which has nothing more."""
# A value is 1 to 256 printable characters, comma and equals sign left out, and does not end in a
# blank.
_MEMBER: Final = re.compile(
    rb"([a-z0-9][_0-9a-z\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_BLANKS: Final = b" \t"
_KNOWN_FLAGS: Final = FLAG_SAMPLED | FLAG_RANDOM_TRACE_ID

_MAX_MEMBERS: Final = 32
_MAX_CHARS: Final = 512
"""What every participant should be able to carry (level 2, 3.3.1.5); beyond it we cut."""
_LONG_MEMBER_CHARS: Final = 128


def trace_context_of(
    traceparents: Sequence[bytes], tracestates: Sequence[bytes], sampling: Sampling | None = None
) -> TraceContext:
    """Return the caller's trace, or a new one where there is none or its ``traceparent`` is
    invalid.

    Args: the values of all ``traceparent`` and all ``tracestate`` headers, in order. Two
    traceparents are invalid, also equal ones; several tracestates are one list. An invalid
    tracestate is dropped alone. ``sampling`` decides whether the trace is sampled; None while
    tracing is off: a received trace is what the app says, a new one is not.
    """
    if len(traceparents) != 1:
        return mint_trace_context(sampling)
    value = traceparents[0].strip(_BLANKS)
    match = _TRACEPARENT.fullmatch(value)
    if match is None or (len(value) > _CURRENT_BYTES and value.startswith(b"00")):
        return mint_trace_context(sampling)
    trace_id, flags = value[3:35].decode(), int(value[53:55], 16) & _KNOWN_FLAGS
    if sampling is not None and not sampling.follows_app:
        flags = flags & ~FLAG_SAMPLED | (FLAG_SAMPLED if is_sampled_id(trace_id, sampling) else 0)
    return TraceContext(
        trace_id,
        value[36:52].decode(),
        flags,
        _tracestate(tracestates) if tracestates else "",
        received=True,
        span_id="" if sampling is None else mint_span_id(),
    )


def trace_lines(trace: TraceContext, number: int) -> bytes:
    """Return the header lines that carry the trace to a provider, each with its line end.

    Args: ``number`` says which of the call's spans sends them, as `child_span_id` takes it. While
        tracing is off that span would be exported by none: the context goes on as it came.
    """
    parent_id = child_span_id(trace.span_id, number) if trace.span_id else trace.parent_id
    line = f"traceparent: 00-{trace.trace_id}-{parent_id}-{FLAGS_TEXT[trace.flags]}\r\n"
    if trace.tracestate:
        line += f"tracestate: {trace.tracestate}\r\n"
    return line.encode()


def _tracestate(values: Sequence[bytes]) -> str:
    """Return the combined list without blanks, cut to `_MAX_CHARS`; empty where it is invalid."""
    members: list[bytes] = []
    names: set[bytes] = set()
    for value in values:
        for part in value.split(b","):
            member = part.strip(_BLANKS)
            if not member:
                continue
            match = _MEMBER.fullmatch(member)
            if match is None or match[1] in names or len(members) == _MAX_MEMBERS:
                return ""
            names.add(match[1])
            members.append(member)
    return _cut(members).decode()


def _cut(members: list[bytes]) -> bytes:
    """Cut whole members until the list is short enough: long ones first, then any, each time the
    rightmost.
    """
    chars = sum(map(len, members)) + len(members) - 1
    for least in (_LONG_MEMBER_CHARS + 1, 0):
        for position in range(len(members) - 1, -1, -1):
            if chars <= _MAX_CHARS:
                break
            if len(members[position]) >= least:
                chars -= len(members.pop(position)) + 1
    return b",".join(members)
