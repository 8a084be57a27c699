"""The live page: what is served, and what a browser may do with it."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from sidecar.listener.live_page import LivePage, page_headers


@pytest.fixture
def fetch(aiohttp_client, aiohttp_raw_server):
    """A function that asks for the page, or for its numbers."""
    page = LivePage(lambda: b'{"schema":1}', lambda: "all pages")

    async def request(handler="serve_page", method="GET", accept="text/html,*/*;q=0.8"):
        client = await aiohttp_client(await aiohttp_raw_server(getattr(page, handler)))
        async with client.request(method, "/", headers={"Accept": accept}) as response:
            return response.status, response.headers, await response.text()

    return request


async def test_the_page_is_one_file_that_loads_nothing(fetch):
    """No address of anything else stands in it, but links for a person to follow."""
    status, headers, text = await fetch()

    assert (200, "text/html; charset=utf-8") == (status, headers["Content-Type"])
    assert [] == re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert ["data:,"] == re.findall(r'<link[^>]* href="([^"]*)"', text)
    assert [] == re.findall(r"\bsrc=|@import|url\(|\bimport\b", text)


async def test_the_policy_names_the_script_and_the_style_by_their_hashes(fetch):
    """A script that somebody manages to insert has another hash."""
    _, headers, text = await fetch()
    policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))

    for name, tag in (("script-src", "script"), ("style-src", "style")):
        inline = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"'sha256-{digest}'" == policy[name]
    assert ("'none'", "'self'", "'none'") == tuple(
        policy[name] for name in ("default-src", "connect-src", "frame-ancestors")
    )
    assert not any("unsafe" in each for each in policy.values())


async def test_the_page_makes_no_markup_of_text(fetch):
    """No handler in an attribute, and no sink that parses."""
    _, _, text = await fetch()

    assert [] == re.findall(r"\son\w+\s*=\s*[\"']", text)
    assert [] == re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text
    )


async def test_who_shows_no_html_gets_the_list_of_pages(fetch):
    """A person with curl learns what is there."""
    status, headers, text = await fetch(accept="*/*")

    assert (200, "text/plain; charset=utf-8", "all pages") == (
        status, headers["Content-Type"], text,
    )  # fmt: skip


async def test_the_numbers_are_json(fetch):
    """As the reader of the status renders them."""
    status, headers, text = await fetch("serve_status")

    assert (200, "application/json") == (status, headers["Content-Type"].partition(";")[0])
    assert {"schema": 1} == json.loads(text)


async def test_a_head_request_gets_no_body(fetch):
    """Of either."""
    replies = [await fetch(each, "HEAD") for each in ("serve_page", "serve_status")]

    assert [(200, ""), (200, "")] == [(status, text) for status, _, text in replies]


def test_a_page_with_two_scripts_has_no_policy():
    """The hash of one would forbid the other."""
    with pytest.raises(ValueError, match="too many values"):
        page_headers("<style></style><script>1</script><script>2</script>")
