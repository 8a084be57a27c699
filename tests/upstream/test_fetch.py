"""Small documents are fetched whole, within bounds, or not at all."""

from __future__ import annotations

import base64
import ssl

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.http1.proxy_rules import ProxyRules
from sidecar.runtime.memory_budget import MemoryBudget
from sidecar.upstream import fetch
from sidecar.upstream.fetch import Fetcher, FetchFailed
from tests.support.certificates import CertificateAuthority


async def _served(request: web.Request) -> web.Response:
    if request.path == "/gone":
        return web.Response(status=404)
    if request.path == "/redirect":
        status = int(request.query["status"])
        return web.Response(status=status, headers={"Location": request.query["to"]})
    if request.path == "/moved":
        raise web.HTTPFound("/document")
    return web.Response(body=b"document")


@pytest.fixture
async def server():
    """Serves a document, and errors."""
    app = web.Application()
    app.router.add_get("/{any:.*}", _served)
    async with TestServer(app) as running:
        yield running


async def test_a_document_is_returned_whole(server):
    """Over one session, opened at first use."""
    async with Fetcher(ProxyRules.from_environment({})) as fetcher:
        first = await fetcher.fetch(str(server.make_url("/document")))
        second = await fetcher.fetch(str(server.make_url("/document")))

    assert (b"document", b"document") == (first, second)


async def test_a_document_takes_room_while_it_is_read_and_gives_it_back(server):
    """Twice its length, since its pieces are joined; without room it is not read to its end."""
    budget = MemoryBudget(20)
    share = budget.share("price_lists", keeps=0.0)
    async with Fetcher(ProxyRules.from_environment({}), share) as fetcher:
        document = await fetcher.fetch(str(server.make_url("/document")))
        budget.resize(2 * len(document) - 1)
        with pytest.raises(FetchFailed, match=r"limits\.memory_bytes has no room"):
            await fetcher.fetch(str(server.make_url("/document")))

    assert 0 == share.used_bytes


@pytest.mark.parametrize(("path", "status"), [("/gone", 404), ("/moved", 302)])
async def test_any_other_status_is_no_document(server, path, status):
    """Redirects are not followed: a config names the place."""
    async with Fetcher(ProxyRules.from_environment({})) as fetcher:
        with pytest.raises(FetchFailed, match=f"status {status}"):
            await fetcher.fetch(str(server.make_url(path)))


async def test_a_redirect_is_followed_to_no_other_host(server):
    """An address may hold a credential, and what a host redirects to may be inside the cluster."""
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=b"document")

    app = web.Application()
    app.router.add_get("/{any:.*}", elsewhere)
    async with TestServer(app) as other, Fetcher(ProxyRules.from_environment({})) as fetcher:
        for status in (301, 302, 303, 307, 308):
            query = {"to": str(other.make_url("/")), "status": str(status)}
            with pytest.raises(FetchFailed, match=f"status {status}"):
                await fetcher.fetch(str(server.make_url("/redirect").with_query(query)))

    assert [] == asked


async def test_a_common_name_proves_no_server(monkeypatch, tmp_path):
    """A name stands in subjectAltName, as for providers."""
    authority = CertificateAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    app = web.Application()
    app.router.add_get("/{any:.*}", _served)
    server = TestServer(app)
    tls.load_cert_chain(authority.sign("good", "DNS:localhost", common_name="other"))
    await server.start_server(ssl=tls)
    url = f"https://localhost:{server.port}/document"
    async with Fetcher(ProxyRules.from_environment({})) as fetcher:
        document = await fetcher.fetch(url)
    tls.load_cert_chain(authority.sign("common", "", common_name="localhost"))
    async with Fetcher(ProxyRules.from_environment({})) as fetcher:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await fetcher.fetch(url)
    await server.close()

    assert b"document" == document


async def test_a_document_beyond_the_bound_is_given_up(server, monkeypatch):
    """A price list is megabytes, not memory without end."""
    monkeypatch.setattr(fetch, "_BODY_BYTES", 7)
    async with Fetcher(ProxyRules.from_environment({})) as fetcher:
        with pytest.raises(FetchFailed, match="longer than 7 bytes"):
            await fetcher.fetch(str(server.make_url("/document")))


async def test_a_proxy_of_the_environment_is_used_with_its_credential():
    """It is asked for the whole URL."""
    seen: list[tuple[str, str | None]] = []

    async def proxied(request: web.Request) -> web.Response:
        seen.append((str(request.url), request.headers.get("Proxy-Authorization")))
        return web.Response(body=b"through the proxy")

    app = web.Application()
    app.router.add_get("/{any:.*}", proxied)
    async with TestServer(app) as proxy:
        rules = ProxyRules.from_environment({"http_proxy": f"http://u:p@127.0.0.1:{proxy.port}"})
        async with Fetcher(rules) as fetcher:
            document = await fetcher.fetch("http://prices.example/list")

    credential = "Basic " + base64.b64encode(b"u:p").decode()
    assert b"through the proxy" == document
    assert [("http://prices.example/list", credential)] == seen
