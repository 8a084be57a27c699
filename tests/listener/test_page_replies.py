"""What pages reply, and what they read of a request."""

from __future__ import annotations

import pytest
from aiohttp import web

from sidecar.listener import page_replies
from sidecar.listener.page_replies import (
    BODY_BYTES,
    BadBody,
    json_reply,
    read_object,
    refusal,
    text_reply,
    wants_text,
)
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request


def test_a_reply_is_a_line_of_json_or_text():
    """A refusal says why, and which methods there are."""
    refused = refusal(405, "GET only", "GET")

    assert b'{"a":1}\n' == json_reply(200, {"a": 1}).body
    assert ("text/plain", 200) == (text_reply(200, "x").content_type, text_reply(200, "x").status)
    assert (b'{"error":"GET only"}\n', "GET") == (refused.body, refused.headers["Allow"])
    assert "Allow" not in refusal(400, "no").headers


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    try:
        return json_reply(200, await read_object(request))
    except BadBody as error:
        return refusal(400, str(error))


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (b"", {}),
        (b" \n", {}),
        (b'{"level": "debug"}', {"level": "debug"}),
        (b"[1]", {"error": "the body is not a JSON object"}),
        (b"{", {"error": "the body is not JSON"}),
        (b"\xff", {"error": "the body is not JSON"}),
        (b"[" * 4000, {"error": "the body is not JSON"}),
        (b"1" * (BODY_BYTES + 1), {"error": f"the body is longer than {BODY_BYTES} bytes"}),
    ],
)
async def test_a_body_is_one_small_json_object_or_nothing(body, facts):
    """Whatever else comes is refused in words."""
    async with running_pages(_echo) as pages:
        reply = await exchange(pages.port, raw_request("POST", "/", body))

    assert facts == reply.json()


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    """Nor one whose framing breaks."""
    monkeypatch.setattr(page_replies, "_BODY_S", 0.05)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    async with running_pages(_echo) as pages:
        late = await pages.send(head + b"Content-Length: 5\r\n\r\n{")
        broken = await pages.send(head + b"Transfer-Encoding: chunked\r\n\r\n", b"xyz\r\n")

    assert b"the body did not come within 0 s" in late
    assert b"400" in broken


@pytest.mark.parametrize(
    ("target", "accept", "is_text"),
    [
        ("/", None, False),
        ("/", "*/*", False),
        ("/", "application/json", False),
        ("/", "text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("/", "TEXT/PLAIN", True),
        ("/", "image/png", False),
        ("/?format=text", "application/json", True),
        ("/?format=json", "text/plain", False),
    ],
)
async def test_a_page_of_two_forms_follows_the_query_then_the_accept_header(
    target, accept, is_text
):
    """A browser gets text, curl and programs get JSON."""

    async def which(request: web.BaseRequest) -> web.StreamResponse:
        return text_reply(200, str(wants_text(request)))

    headers = {} if accept is None else {"accept": accept}
    async with running_pages(which) as pages:
        reply = await exchange(pages.port, raw_request("GET", target, headers=headers))

    assert str(is_text) == reply.body.decode()
