"""`plano-sidecar drain`, as a preStop hook runs it."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from sidecar.commands import drain as drain_module
from sidecar.commands.drain import _drain, drain
from sidecar.config.operator_address import OperatorAddress
from sidecar.listener.operators_socket import bind_operators
from sidecar.listener.page_replies import json_reply
from sidecar.listener.page_server import PageServer
from tests.support.net import closed_port

Odd = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Sidecar:
    """Answers `/drain`: its state after so many looks, or the end of the process."""

    def __init__(
        self, *, in_flight: int, looks: int, dies: bool = False, odd: Odd | None = None
    ) -> None:
        """Args: ``odd`` answers the first look of GET."""
        self._odd = odd
        self.asked: list[str] = []
        self.close: Callable[[], None]
        self._in_flight = in_flight
        self._looks = looks
        self._dies = dies

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self._odd is not None and len(self.asked) == 2:
            return await self._odd(request)
        has_ended = len(self.asked) > self._looks
        if has_ended and self._dies:
            self.close()
            assert request.transport is not None
            request.transport.abort()
        state = {"draining": True, "ended": has_ended and not self._dies}
        return json_reply(200, {**state, "in_flight": self._in_flight})


async def _run(sidecar: _Sidecar, *, waits: bool) -> int:
    server = PageServer(sidecar.serve)
    bound = await bind_operators(server, OperatorAddress(("127.0.0.1",), 0))
    sidecar.close = bound.close
    for each in bound.servers:
        await each.start_serving()
    async with asyncio.timeout(10):
        code = await _drain(bound.place, waits=waits)
    bound.close()
    await server.shutdown(1)
    return code


async def test_it_says_what_is_in_flight_and_returns(capsys):
    """The drain goes on without it."""
    sidecar = _Sidecar(in_flight=3, looks=9)
    code = await _run(sidecar, waits=False)

    assert (0, ["POST /drain"]) == (code, sidecar.asked)
    assert "draining, 3 in flight\n" == capsys.readouterr().out


@pytest.mark.parametrize(("dies", "last"), [(False, "drained"), (True, "the process has ended")])
async def test_it_waits_until_the_drain_or_the_process_has_ended(dies, last, capsys):
    """Either way no call is in flight then."""
    sidecar = _Sidecar(in_flight=1, looks=2, dies=dies)
    code = await _run(sidecar, waits=True)

    assert (0, ["POST /drain", "GET /drain", "GET /drain"]) == (code, sidecar.asked)
    assert ["draining, 1 in flight", last] == capsys.readouterr().out.splitlines()


def test_where_no_sidecar_answers_it_fails(capsys):
    """In one line, which names the address."""
    address = f"127.0.0.1:{closed_port()}"
    code = drain(Namespace(admin=address, wait=True))

    assert (1, "", f"drain: no operators' pages answer at {address}\n") == (
        code,
        *capsys.readouterr(),
    )


async def _cut_off(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _too_slow(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(20)  # sleep: the command gives it up long before
    return web.Response()


@pytest.mark.parametrize("odd", [_cut_off, _too_slow])
async def test_a_sidecar_that_is_slow_to_answer_has_not_ended(odd, monkeypatch, capsys):
    """Calls are in flight still: it looks again."""
    monkeypatch.setattr(drain_module, "_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    code = await _run(_Sidecar(in_flight=1, looks=2, odd=odd), waits=True)

    assert (0, "draining, 1 in flight\ndrained\n") == (code, capsys.readouterr().out)


async def test_another_servers_answer_is_a_failure(capsys):
    """That says nothing of the sidecar's calls."""

    async def other(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<html>")

    code = await _run(_Sidecar(in_flight=1, looks=2, odd=other), waits=True)
    printed = capsys.readouterr()

    assert (1, "draining, 1 in flight\n") == (code, printed.out)
    assert printed.err.startswith("drain: no sidecar answers at http://127.0.0.1:")
