"""One case through a sidecar: what came back, what the upstream received, and how both differ from
what is written in the corpus.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final, NamedTuple

from tests.corpus.cases import CraftedAnswer, CraftedRequest, Notation, written
from tests.corpus.recording import RecordingUpstream, Speech, Stage
from tests.support.net import RawReply, json_request, raw_request, read_reply

LIMIT_S: Final = 20.0
"""More than any case takes; none waits for a timer of the sidecar's."""
_UUID: Final = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_VIA: Final = rb"Via: 1\.1 plano-sidecar-[0-9a-f]{32}\r\n"
_TRACE: Final = rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]"
_FIELDS: Final = {
    b"<openai>": rb"Host: 127\.0\.0\.1:\d+\r\nAuthorization: Bearer sk-demo\r\n" + _VIA,
    b"<anthropic>": rb"Host: 127\.0\.0\.1:\d+\r\nx-api-key: sk-ant-demo\r\n" + _VIA,
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


_ASKS: Final = {
    "chat": json_request("/v1/chat/completions", {"model": "gpt-4o"}),
    "chat stream": json_request("/v1/chat/completions", {"model": "gpt-4o", "stream": True}),
    "messages stream": json_request("/v1/messages", {"model": "claude-demo", "stream": True}),
    "responses stream": json_request("/v1/responses", {"model": "gpt-4o", "stream": True}),
    "file": raw_request("GET", "/v1/files/f1"),
    "file head": raw_request("HEAD", "/v1/files/f1"),
}
_NEXT: Final = b'{"next":1}'
_NEXT_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_NEXT), _NEXT)
_OURS: Final = re.compile(
    rb"(?:x-plano-|x-request-id:|server-timing:|connection:|transfer-encoding:|content-length:)",
    re.IGNORECASE,
)
"""Fields of a reply that the sidecar writes itself."""


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
        replies.append(_outcome_of(reply) + (" empty" if is_empty else ""))
        if replies[-1] != expected:
            break
    return replies


def _outcome_of(reply: RawReply) -> str:
    """Status and code of a reply; what else is wrong with it."""
    code = reply.header("x-plano-error")
    found = str(reply.status) if code is None else f"{reply.status} {code}"
    if not reply.is_complete:
        found += " incomplete"
    if code is not None and reply.body and not reply.json()["error"]["message"]:
        found += " without a message"
    return found


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
    found: list[str] = []
    if case.replies != observed.replies:
        found.append(f"replies {observed.replies}, not {case.replies}")
    if case.then != observed.then:
        found.append(f"then {observed.then}, not {case.then}")
    if len(case.received) != len(observed.received) or not all(
        agrees(pattern, received)
        for pattern, received in zip(case.received, observed.received, strict=True)
    ):
        found.append(f"the upstream received {[each[:2000] for each in observed.received]}")
    return found


class Answered(NamedTuple):
    """What became of a crafted answer."""

    reply: bytes
    body: bytes
    whole: bool
    kept: bool
    next_body: bytes


async def send_answer(stage: Stage, case: CraftedAnswer) -> Answered:
    """Ask for a case's answer, and for another one behind it."""
    upstream = stage.upstream
    await upstream.hang_up()
    upstream.speeches[:] = [
        Speech(tuple(written(piece) for piece in case.say), case.ends),
        Speech((_NEXT_ANSWER,)),
    ]
    upstream.when_read.clear()
    connections = upstream.connections
    is_head = case.ask == "file head"
    async with asyncio.timeout(LIMIT_S):
        head, reply = await _ask(stage, _ASKS[case.ask], has_body=not is_head)
        _, following = await _ask(stage, _ASKS["file"], has_body=True)
    return Answered(
        head if reply.header("x-plano-error") is None else _outcome_of(reply).encode(),
        reply.body if reply.header("x-plano-error") is None else b"",
        reply.is_complete,
        upstream.connections == connections + 1,
        following.body,
    )


class _Heard(asyncio.Protocol):
    """All bytes of a connection, also of one that is reset."""

    def __init__(self, request: bytes, upstream: RecordingUpstream) -> None:
        self.raw = b""
        self._upstream = upstream
        self.when_lost = asyncio.Event()
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.raw += data
        self._upstream.when_read.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.when_lost.set()


async def _ask(stage: Stage, request: bytes, *, has_body: bool) -> tuple[bytes, RawReply]:
    """One call on a connection of its own: what the upstream said of the head, and the reply."""
    loop = asyncio.get_running_loop()
    heard = _Heard(request, stage.upstream)
    transport, _ = await loop.create_connection(lambda: heard, "127.0.0.1", stage.app.ports.data)
    try:
        await heard.when_lost.wait()
    finally:
        transport.abort()
    reader = asyncio.StreamReader(limit=1 << 24)
    reader.feed_data(heard.raw)
    reader.feed_eof()
    lines = heard.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    kept = [
        line
        for line in lines
        if not _OURS.match(line) or (not has_body and line.startswith(b"Content-Length: "))
    ]
    return b"".join(line + b"\r\n" for line in kept), await read_reply(reader, has_body=has_body)


def answer_differences(case: CraftedAnswer, answered: Answered) -> list[str]:
    """What became of an answer otherwise than the corpus says; empty where nothing did."""
    found: list[str] = []
    expected = written(case.reply)
    if answered.reply != expected:
        found.append(f"reply {answered.reply!r}, not {expected!r}")
    body = written(case.body)
    if body.endswith(b"<error>"):
        body = body.removesuffix(b"<error>")
        event = answered.body[len(body) :]
        if not answered.body.startswith(body) or not _ERROR_EVENT.fullmatch(event):
            found.append(f"body {answered.body!r}, not {body!r} and an error event")
    elif answered.body != body:
        found.append(f"body {answered.body!r}, not {body!r}")
    if answered.whole != case.whole:
        found.append(f"whole is {answered.whole}")
    if answered.kept != case.kept:
        found.append(f"kept is {answered.kept}")
    if answered.next_body != _NEXT:
        found.append(f"the next call got {answered.next_body!r}")
    return found
