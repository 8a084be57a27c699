"""One case through a sidecar: what came back, what the upstream received, and how both differ from
what is written in the corpus.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final, NamedTuple

from tests.corpus.cases import CraftedRequest, Notation, written
from tests.corpus.recording import Stage
from tests.support.net import RawReply, read_reply

LIMIT_S: Final = 20.0
"""More than any case takes; none waits for a timer of the sidecar's."""
_UUID: Final = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TRACE: Final = rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]"
_FIELDS: Final = {
    b"<openai>": rb"Host: 127\.0\.0\.1:\d+\r\nAuthorization: Bearer sk-demo\r\n",
    b"<anthropic>": rb"Host: 127\.0\.0\.1:\d+\r\nx-api-key: sk-ant-demo\r\n",
    b"<own>": rb"Accept-Encoding: identity\r\nx-request-id: " + _UUID
    + rb"\r\ntraceparent: " + _TRACE + rb"\r\n",
    b"<uuid>": _UUID,
    b"<trace>": _TRACE,
}  # fmt: skip
"""What stands for fields that differ from call to call."""
_PLACEHOLDER: Final = re.compile(rb"(<(?:openai|anthropic|own|uuid|trace)>)")
_ERROR_EVENT: Final = re.compile(
    rb'(?:event: [a-z_.]+\n)?data: \{[^\n]*"(?:code|message)":[^\n]*\}\n\n$'
)
_PROBE: Final = b"GET /api/hello HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Observed(NamedTuple):
    """What became of a crafted request."""

    replies: list[str]
    then: str
    received: list[bytes]


def agrees(pattern: Notation, received: bytes) -> bool:
    """Whether a request is what the corpus says, byte for byte but for its placeholders."""
    parts = _PLACEHOLDER.split(written(pattern))
    expression = b"".join(_FIELDS.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(expression, received) is not None


async def send_request(
    stage: Stage, case: CraftedRequest, pieces: list[bytes] | None = None
) -> Observed:
    """Send the bytes of a case, in one write or in these pieces, and read what comes back."""
    stage.upstream.take_received()
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", stage.app.ports.data, limit=1 << 24
        )
        try:
            for piece in [written(case.send)] if pieces is None else pieces:
                writer.write(piece)
                if pieces is not None:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            if case.eof:
                with contextlib.suppress(OSError):
                    writer.write_eof()
            replies = await _read_replies(reader, case)
            then = await _after(reader, writer, case.then)
        finally:
            writer.transport.abort()
    return Observed(replies, then, stage.upstream.take_received())


async def _read_replies(reader: asyncio.StreamReader, case: CraftedRequest) -> list[str]:
    """Read as many replies as the case names, or up to where they differ from it."""
    replies: list[str] = []
    for expected in case.replies:
        try:
            if expected == "100":
                replies.append((await reader.readuntil(b"\r\n\r\n"))[9:12].decode())
                continue
            is_empty = expected.endswith(" empty")
            reply = await read_reply(reader, has_body=not is_empty)
        except (OSError, asyncio.IncompleteReadError) as error:
            replies.append(f"none: {error}"[:200])
            break
        replies.append(_told(reply) + (" empty" if is_empty else ""))
        if replies[-1] != expected:
            break
    return replies


def _told(reply: RawReply) -> str:
    """Status and code of a reply; what else is wrong with it."""
    code = reply.header("x-plano-error")
    told = str(reply.status) if code is None else f"{reply.status} {code}"
    if not reply.is_complete:
        told += " incomplete"
    if code is not None and reply.body and not reply.json()["error"]["message"]:
        told += " without a message"
    return told


async def _after(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, then: str) -> str:
    """How the connection goes on behind the replies: ``open`` where it serves a probe, in step."""
    with contextlib.suppress(OSError):
        if then == "open":
            writer.write(_PROBE)
            reply = await read_reply(reader, has_body=False)
            return "open" if reply.status == 200 else f"answered by {reply.status}"
        rest = await reader.read()
        return "closed" if not rest else f"more: {rest[:200]!r}"
    return "closed"


def differences(case: CraftedRequest, observed: Observed) -> list[str]:
    """What became of a request otherwise than the corpus says; empty where nothing did."""
    told: list[str] = []
    if case.replies != observed.replies:
        told.append(f"replies {observed.replies}, not {case.replies}")
    if case.then != observed.then:
        told.append(f"then {observed.then}, not {case.then}")
    if len(case.received) != len(observed.received) or not all(
        agrees(pattern, received)
        for pattern, received in zip(case.received, observed.received, strict=True)
    ):
        told.append(f"the upstream received {[each[:2000] for each in observed.received]}")
    return told
