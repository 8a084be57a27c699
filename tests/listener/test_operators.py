"""The operators' listener: who is served, and what."""

from __future__ import annotations

import pytest
from aiohttp import web

from sidecar.listener.operators import (
    OperatorAccess,
    OperatorPage,
    Operators,
    allowed_methods,
    list_of_pages,
)
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request


async def _served(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=f"{request.method} {request.path}")


PAGES = (
    OperatorPage("/look", ("GET",), _served, "shows"),
    OperatorPage("/pin", ("GET", "DELETE"), _served, "shows and drops", changes=True),
    OperatorPage("/drain", ("POST",), _served, "drains"),
)


async def _ask(
    target: str, method: str = "GET", access: OperatorAccess | None = None, **headers: str
):
    handler = Operators(PAGES, access or OperatorAccess()).handle
    async with running_pages(handler) as pages:
        return await exchange(pages.port, raw_request(method, target, headers=headers))


async def test_a_page_is_served_and_kept_by_no_browser():
    """Nor may another site's page use it."""
    reply = await _ask("/look?x=1")

    assert (200, b"GET /look") == (reply.status, reply.body)
    assert ["no-store", "nosniff", "same-origin"] == [
        reply.header(name)
        for name in (
            "cache-control",
            "x-content-type-options",
            "cross-origin-resource-policy",
        )
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:9902"},
        {"host": "10.1.2.3"},
        {"host": "localhost.evil.example"},
        {"host": "0.0.0.0:9902"},
        {"host": ""},
        {"host": "[::1"},
        {"origin": "http://localhost:9902"},
        {"origin": "null"},
    ],
)
async def test_rebound_names_and_web_pages_are_refused(headers):
    """A browser in the pod's network that was talked into calling localhost gets nothing."""
    assert [403, 403] == [
        (await _ask(target, method, **headers)).status
        for target, method in (("/look", "GET"), ("/drain", "POST"))
    ]


@pytest.mark.parametrize(
    ("method", "site", "mode", "dest", "status"),
    [
        ("GET", "cross-site", "no-cors", "image", 403),
        ("GET", "same-site", "no-cors", "script", 403),
        ("GET", "cross-site", "navigate", "iframe", 403),
        ("POST", "cross-site", "navigate", "document", 403),
        ("GET", "cross-site", "navigate", "document", 200),
        ("GET", "same-origin", "cors", "empty", 200),
        ("GET", "none", "navigate", "document", 200),
    ],
)
async def test_another_sites_page_can_only_link_here(method, site, mode, dest, status):
    """An image or a script brings no Origin, and could hold what few readers share."""
    fetch = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    target = "/look" if method == "GET" else "/drain"

    assert status == (await _ask(target, method, **fetch)).status


async def test_a_mesh_peer_is_no_caller_inside_the_pod():
    """Istio's proxy connects for all of them from one loopback address, whatever Host they send."""
    async with running_pages(Operators(PAGES, OperatorAccess()).handle) as pages:
        sent = b"GET /look HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        seen = [await pages.send(sent, source=source) for source in ("127.0.0.1", "127.0.0.6")]

    assert [b"200", b"403"] == [each.split()[1] for each in seen]


async def test_a_unix_socket_is_asked_under_any_name():
    """Its file's owner alone can connect to it."""
    access = OperatorAccess(is_unix_socket=True)

    assert [200, 200] == [
        (await _ask(target, method, access, host="anything", origin="http://x")).status
        for target, method in (("/look", "GET"), ("/pin", "DELETE"))
    ]


async def test_the_front_page_lists_the_others_and_unknown_pages_say_so():
    """A person who opens it learns what is there."""
    front, unknown = await _ask("/"), await _ask("/nothing")

    assert list_of_pages([OperatorPage("/", ("GET",), _served, "this list"), *PAGES]) == (
        front.body.decode()
    )
    assert [
        "plano-sidecar operators",
        "  GET /             this list",
        "  GET /look         shows",
        "  GET, DELETE /pin  shows and drops",
        "  POST /drain       drains",
    ] == front.body.decode().splitlines()
    assert (404, {"error": "no such page; / lists them"}) == (unknown.status, unknown.json())


async def test_a_front_page_of_its_own_takes_the_lists_place():
    """The table may hold it."""
    handler = Operators([OperatorPage("/", ("GET",), _served, "live")], OperatorAccess()).handle
    async with running_pages(handler) as pages:
        reply = await exchange(pages.port, raw_request("GET", "/"))

    assert b"GET /" == reply.body


@pytest.mark.parametrize(
    ("target", "method", "allow"),
    [
        ("/look", "POST", "GET, HEAD"),
        ("/drain", "GET", "POST"),
        ("/pin", "PUT", "GET, HEAD, DELETE"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(target, method, allow):
    """In the header and in words."""
    reply = await _ask(target, method)

    assert (405, allow) == (reply.status, reply.header("allow"))
    assert {"error": f"this page takes {allow}"} == reply.json()


async def test_head_is_served_where_get_is():
    """Without a body."""
    reply = await _ask("/look", "HEAD")

    assert (200, ("GET", "HEAD")) == (reply.status, allowed_methods(PAGES[0]))


@pytest.mark.parametrize(
    ("target", "method", "without", "with_it"),
    [("/pin", "DELETE", 403, 200), ("/pin", "GET", 200, 200), ("/drain", "POST", 200, 200)],
)
async def test_what_changes_something_wants_the_configs_leave(target, method, without, with_it):
    """Looking never does, and a drain never does."""
    asked = [
        (await _ask(target, method, OperatorAccess(mutations=mutations))).status
        for mutations in (False, True)
    ]

    assert [without, with_it] == asked


async def test_what_an_operator_does_is_logged(caplog):
    """Looking is not; nor is what was refused."""
    caplog.set_level("INFO", "sidecar.operators")
    for target, method in (("/look", "GET"), ("/pin", "DELETE"), ("/drain", "POST")):
        await _ask(target, method)

    assert ["an operator asked for POST /drain"] == caplog.messages
