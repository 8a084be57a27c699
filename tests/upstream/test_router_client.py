"""The router model is asked in the sidecar's own name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from sidecar.config.secret import Secret
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.ids import ROUTER_SPAN, TraceContext, child_span_id
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.router_client import ReadAgain, RouterClient
from tests.support.providers import a_provider
from tests.support.values import TRACE, a_call


class _Reply:
    def __init__(self, status: int, pieces: list[bytes], *, is_here: bool) -> None:
        self.status = status
        self._is_here = is_here
        self._pieces = [*pieces, b""]
        self.is_aborted = False

    def read_nowait(self) -> bytes | None:
        return b"".join(self._pieces) if self._is_here else None

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    def abort(self) -> None:
        self.is_aborted = True


class _Pool:
    """Gives one reply, and keeps what was sent."""

    def __init__(
        self,
        status: int = 200,
        pieces: Sequence[bytes] = (b"{", b"}"),
        *,
        is_here: bool = False,
    ) -> None:
        self.reply = _Reply(status, list(pieces), is_here=is_here)
        self.sent: list[tuple[str, bytes, ExchangeTimeouts]] = []

    async def send(self, head: bytes, body: list[bytes], timeouts: ExchangeTimeouts) -> _Reply:
        self.sent.append((head.decode(), b"".join(body), timeouts))
        return self.reply


def _router(
    pool: Any, model: str = "plano/R", read_again: ReadAgain | None = None, **changes: Any
) -> tuple[RouterClient, Any]:
    client = ProviderClient(a_provider(model, **changes), pool, DIALECTS.by_name)
    return RouterClient(client, model.partition("/")[2], read_again), client


async def test_the_question_is_sent_with_our_key_and_a_span_of_its_own():
    """The app's request id and trace go with it, the app's headers do not."""
    pool = _Pool()
    router, _ = _router(pool)
    result = await router.ask(b"{}", a_call())
    ((head, body, timeouts),) = pool.sent
    first, *lines = head.split("\r\n")[:-2]

    assert (200, b"{}") == result
    assert ("POST /v1/chat/completions HTTP/1.1", b"{}") == (first, body)
    assert "Authorization: Bearer sk-provider" in lines
    assert "x-request-id: req-1" in lines
    (traceparent,) = [line for line in lines if line.startswith("traceparent: ")]
    assert TRACE.trace_id in traceparent
    assert TRACE.parent_id not in traceparent
    assert ExchangeTimeouts(2, None, 10, None) == timeouts


@pytest.mark.parametrize("via", [b"", b"1.1 own"])
async def test_the_question_tells_by_which_sidecars_it_came(via):
    """A router model that is the sidecar itself would ask itself without end."""
    pool = _Pool()
    client = ProviderClient(a_provider("plano/R"), cast("Any", pool), DIALECTS.by_name, via)
    await RouterClient(client, "R").ask(b"{}", a_call(headers={"via": [b"Via: 1.1 other\r\n"]}))
    lines = [line for line in pool.sent[0][0].split("\r\n") if line.startswith("Via")]

    assert (["Via: 1.1 own", "Via: 1.1 other"] if via else []) == lines


async def test_while_tracing_is_on_the_question_is_a_span_of_the_call():
    """Its id is the one that the trace will show."""
    pool, trace = _Pool(), TraceContext("a" * 32, "b" * 16, 1, span_id="c" * 16)
    router, _ = _router(pool)
    await router.ask(b"{}", a_call(trace=trace))
    head = pool.sent[0][0]

    assert f"traceparent: 00-{'a' * 32}-{child_span_id('c' * 16, ROUTER_SPAN)}-01\r\n" in head


async def test_a_model_in_the_path_is_quoted_and_trace_headers_can_be_left_out():
    """As for calls of apps."""
    pool = _Pool()
    path = {"chat": "/deployments/{model}/chat"}
    router, _ = _router(pool, "azure_openai/a b", by_dialect=path, propagate_trace=False)
    await router.ask(b"{}", a_call())

    assert pool.sent[0][0].startswith("POST /deployments/a%20b/chat HTTP/1.1\r\n")
    assert "traceparent" not in pool.sent[0][0]


async def test_a_reply_that_is_here_is_taken_at_once():
    """As nearly all are: a line."""
    router, _ = _router(_Pool(is_here=True))

    assert (200, b"{}") == await router.ask(b"{}", a_call())


async def test_a_reply_without_end_is_given_up():
    """A router model replies with a line; the prompt made it say more, so that it cannot be read."""
    pool = _Pool(pieces=[b"x" * 100_000] * 3)
    router, _ = _router(pool)

    assert (200, b"") == await router.ask(b"{}", a_call())
    assert pool.reply.is_aborted


@pytest.mark.parametrize(("status", "reads"), [(200, 0), (401, 1), (403, 1), (500, 0)])
async def test_a_refused_key_is_read_again(status, reads):
    """Where the file holds no other one, the status goes to the router as it came."""
    read: list[str] = []

    async def read_again(name: str) -> None:
        read.append(name)

    pool = _Pool(status)
    router, _ = _router(pool, read_again=read_again)

    assert status == (await router.ask(b"{}", a_call()))[0]
    assert (["plano/R"] * reads, 1) == (read, len(pool.sent))


async def test_the_question_is_asked_once_more_with_another_key():
    """Once, whatever becomes of it."""
    pool = _Pool(401, is_here=True)

    async def read_again(_: str) -> None:
        client.use(
            msgspec.structs.replace(client.provider, access_key=Secret(f"k{len(pool.sent)}"))
        )

    router, client = _router(pool, read_again=read_again)
    status, _ = await router.ask(b"{}", a_call())

    assert (401, 2) == (status, len(pool.sent))
    assert "Authorization: Bearer k1\r\n" in pool.sent[1][0]
