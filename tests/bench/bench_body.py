"""Microseconds that the wire room takes on the hot path. Run: ``python -m
tests.bench.bench_body``.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from functools import partial

from sidecar.dialects.request import REQUEST_BODY
from sidecar.wire.body_sessions import KNOWN_CLIENTS, BodySessions
from sidecar.wire.headers import HeaderPolicy, request_head
from sidecar.wire.patch import patch_body
from sidecar.wire.request_headers import read_headers, session_id_of
from sidecar.wire.response_headers import response_lines
from sidecar.wire.trace_context import trace_context_of, trace_lines

REQUEST = [
    (b"Host", b"127.0.0.1:12000"),
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"),
    (b"Accept", b"application/json"),
    (b"Content-Type", b"application/json"),
    (b"User-Agent", b"OpenAI/Python 3.54.0"),
    (b"X-Stainless-Lang", b"python"),
    (b"X-Stainless-Retry-Count", b"0"),
    (b"Authorization", b"Bearer sk-0123456789abcdef0123456789abcdef"),
    (b"x-model-affinity", b"session-0123456789"),
    (b"traceparent", b"00-12345678901234567890123456789012-1234567890123456-01"),
    (b"Content-Length", b"1024"),
]
SESSIONS = BodySessions([KNOWN_CLIENTS])
RESPONSE = [
    (b"Date", b"Mon, 01 Jan 2026 00:00:00 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"300"),
    (b"Connection", b"keep-alive"),
    (b"x-request-id", b"req_0123456789"),
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"openai-processing-ms", b"323"),
    (b"CF-Ray", b"8c1"),
    (b"Server", b"cloudflare"),
]


def chat_body(size: int, *, text: str = 'Hello "there",\nhow are you? ') -> bytes:
    """A chat body of about that many bytes, in the order in which OpenAI's Python SDK writes it:
    the model late.
    """
    messages: list[dict[str, str]] = []
    turn = {"role": "user", "content": text * 8}
    used = 180
    while used < size:
        messages.append(turn)
        used += len(json.dumps(turn, ensure_ascii=False).encode()) + 1
    body = {
        "messages": messages,
        "model": "gpt-4o",
        "max_tokens": 512,
        "stream": True,
        "temperature": 0.2,
        "tools": [],
    }
    return json.dumps(
        body | {"top_p": 1, "user": "u1"}, separators=(",", ":"), ensure_ascii=False
    ).encode()


def session_in(body: bytes) -> str | None:
    """A call whose headers name no session: its body is peeked at, and asked."""
    return SESSIONS.session_id_of(body, REQUEST_BODY.peek(body, SESSIONS.members))


def microseconds(call: Callable[[], object], seconds: float = 0.2) -> float:
    """The best of five runs, each of about that long."""
    timer = timeit.Timer(call)
    once = max(timer.timeit(3) / 3, 1e-7)
    count = max(1, int(seconds / once))
    return min(timer.repeat(5, count)) / count * 1e6


def main() -> None:
    """Print a table."""
    for size in (1_000, 10_000, 64_000, 200_000, 1_000_000):
        body = chat_body(size)
        print(
            f"peek_body      {len(body):>9} bytes {microseconds(partial(REQUEST_BODY.peek, body)):9.1f} us"
        )
        print(
            f"patch_body     {len(body):>9} bytes {microseconds(partial(patch_body, body, REQUEST_BODY.peek(body), 'm')):9.1f} us"
        )
        if size <= 10_000:
            cache_key = b',"prompt_cache_key":"019a2c6e-7b3d-7f10-9c21-5e4a6b7c8d9e"}'
            named = body.removesuffix(b"}") + cache_key
            print(
                f"  and session  {len(named):>9} bytes {microseconds(partial(session_in, named)):9.1f} us"
            )
    other = chat_body(64_000, text="Gr\u00fc\u00dfe aus K\u00f6ln, \U0001f600 ")
    print(
        f"peek_body      {len(other):>9} bytes {microseconds(lambda: REQUEST_BODY.peek(other)):9.1f} us (not ASCII)"
    )
    half = chat_body(64_000, text="half a smile: \\ud83d ").replace(b"\\\\u", b"\\u")
    print(
        f"peek_body      {len(half):>9} bytes {microseconds(lambda: REQUEST_BODY.peek(half)):9.1f} us (half characters)"
    )
    policy = HeaderPolicy(
        session_headers=("x-model-affinity", "session_id"), tenant_header="x-org-id"
    )
    headers = read_headers(REQUEST, policy)
    trace = trace_context_of(headers.traceparents, ())
    print(
        f"read_headers   {len(REQUEST):>9} lines {microseconds(lambda: read_headers(REQUEST, policy)):9.1f} us"
    )
    print(
        f"session_id_of                  {microseconds(lambda: session_id_of(headers, policy)):9.1f} us"
    )
    print(
        f"trace_context_of               {microseconds(lambda: trace_context_of(headers.traceparents, ())):9.1f} us"
    )
    print(f"trace_lines                    {microseconds(lambda: trace_lines(trace, 1)):9.1f} us")
    print(
        f"request_head                   {microseconds(lambda: request_head('POST', '/v1/x', 'h', headers.lines['common'], 9)):9.1f} us"
    )
    print(
        f"response_lines {len(RESPONSE):>9} lines {microseconds(lambda: response_lines(RESPONSE)):9.1f} us"
    )


if __name__ == "__main__":
    main()
