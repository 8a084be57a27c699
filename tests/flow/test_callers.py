"""Who may call a sidecar: SDKs and agents by every name of the pod's loopback, and no web page."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from playwright._impl._driver import compute_driver_executable

from sidecar.app import App
from sidecar.config.load import load_config
from tests.support.in_process import running_app
from tests.support.net import exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sdk_matrix import hello
from tests.support.sdks import KINDS, open_sdks
from tests.support.sidecar_process import sidecar_config

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
LISTENERS = [{"type": "model", "name": "llm", "address": "localhost"}]


@contextlib.asynccontextmanager
async def _running(work: Path, **listener: Any) -> AsyncIterator[tuple[App, ScriptedProvider]]:
    """A sidecar on both loopback addresses, unless ``listener`` says otherwise."""
    async with ScriptedProvider() as provider:
        config = sidecar_config(provider.url, listeners=[{**LISTENERS[0], **listener}])
        async with running_app(config, work) as app:
            yield app, provider


@pytest.mark.usefixtures("either_listener_path")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_sdks_call_by_any_name_of_loopback(tmp_path, host, kind):
    """Each with its port in the Host: plain calls, streams and lists."""
    async with (
        _running(tmp_path) as (app, provider),
        open_sdks(f"http://{host}:{app.ports.data}", kind) as sdks,
    ):
        await sdks.call(sdks.openai.chat.completions.create, **hello("gpt-4o"))
        await sdks.events(sdks.openai.chat.completions.create, **hello("gpt-4o"))
        messages = hello("claude-demo", max_tokens=9)
        await sdks.call(sdks.anthropic.messages.create, **messages)
        await sdks.events(sdks.anthropic.messages.create, **messages)
        await sdks.pages(sdks.anthropic.models.list)

        assert 4 == provider.seen


async def test_an_sdk_is_told_by_which_host_a_listener_may_be_called(tmp_path):
    """As an error of its own kind, which no retry follows: the app's base URL is what is wrong."""
    async with (
        _running(tmp_path) as (app, provider),
        open_sdks(f"http://127.0.0.1:{app.ports.data}", "async") as sdks,
    ):
        client = sdks.openai.with_options(max_retries=2)
        with pytest.raises(openai.APIStatusError, match=r"listeners\[\]\.allow_hosts") as refused:
            await client.chat.completions.create(
                **hello("gpt-4o"), extra_headers={"Host": "llm.team.example"}
            )

        response = refused.value.response
        assert (421, "host_refused", 0) == (response.status_code, refused.value.code, provider.seen)
        assert ("false", "host_refused") == (
            response.headers["x-should-retry"],
            response.headers["x-plano-error"],
        )


ALLOWED: dict[str, dict[str, Any]] = {
    "localhost": {},
    "localhost:80": {},
    "LocalHost.:12000": {},
    "[::1]:12000": {},
    "host.docker.internal:12000": {},
    "host.containers.internal": {},
    "llm.dev:12000": {"allow_hosts": ["LLM.dev"]},
    "10.1.2.3:12000": {"allow_hosts": ["10.1.2.3"]},
    "[2001:db8::1]:12000": {"allow_hosts": ["2001:db8::1"]},
    "anything.example": {"address": "0.0.0.0"},
}
REFUSED: dict[str, dict[str, Any]] = {
    "evil.example:12000": {},
    "localhost.evil.example": {},
    "127.0.0.1.nip.io": {},
    "0.0.0.0:12000": {},
    "169.254.169.254": {},
    "host.docker.internal": {"allow_hosts": ["llm.dev"]},
    "other.example": {"address": "0.0.0.0", "allow_hosts": ["web.team.svc"]},
}


@pytest.mark.parametrize("host", [*ALLOWED, *REFUSED])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
async def test_a_name_that_was_rebound_reaches_nothing(tmp_path, host, method):
    """A page whose name leads to 127.0.0.1 by now is no foreign origin to its browser; its Host
    tells. Neither a call, nor the list of models, nor a passthrough path is served to it.
    """
    paths = ["/v1/chat/completions"] if method == "POST" else ["/v1/models", "/v1/files/f1", "/"]
    if method == "OPTIONS":
        paths = ["/v1/files/f1"]
    async with _running(tmp_path, **{**ALLOWED, **REFUSED}[host]) as (app, provider):
        statuses = []
        for path in paths:
            body = json.dumps(CHAT).encode() if method == "POST" else b""
            request = raw_request(method, path, body, {"host": host})
            statuses.append((await exchange(app.ports.data, request)).status)

        if host in REFUSED:
            assert ([421] * len(paths), 0) == (statuses, provider.seen)
        else:
            assert 421 not in statuses


SITES = {
    "an image of another site": ("GET", {"sec-fetch-site": "cross-site"}),
    "a script of another port": ("GET", {"sec-fetch-site": "same-site"}),
    "a form of another site": ("POST", {"sec-fetch-site": "cross-site", "origin": "null"}),
    "a link of another site": (
        "GET",
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"},
    ),
}


@pytest.mark.parametrize("case", SITES)
async def test_the_page_of_another_site_reaches_nothing(tmp_path, case):
    """An image and a link bring no Origin; what they ask for would be asked with the pod's keys."""
    method, headers = SITES[case]
    async with _running(tmp_path) as (app, provider):
        reply = await exchange(app.ports.data, raw_request(method, "/v1/files/f1", b"", headers))

        assert (403, "origin_refused", 0) == (
            reply.status,
            reply.header("x-plano-error"),
            provider.seen,
        )


@pytest.mark.parametrize("origin", ["http://ui.example", "http://localhost:3000"])
async def test_a_page_of_an_allowed_origin_calls_from_its_site(tmp_path, origin):
    """With its preflight before."""
    asks = {"access-control-request-method": "POST"}
    page = {"origin": origin, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    async with _running(tmp_path, allow_origins=[origin]) as (app, provider):
        preflight = raw_request("OPTIONS", "/v1/chat/completions", b"", {**page, **asks})
        statuses = [
            (await exchange(app.ports.data, request)).status
            for request in (preflight, json_request("/v1/chat/completions", CHAT, page))
        ]

        assert ([204, 200], 1) == (statuses, provider.seen)


async def test_node_calls_and_waits_for_readiness(tmp_path):
    """Its fetch sends `Sec-Fetch-Mode: cors` as a browser does, on both ports; in a query it leaves
    characters as they are that RFC 3986 would have encoded.
    """
    script = """
    const [data, admin] = process.argv.slice(1);
    const asked = [
      fetch(`http://localhost:${admin}/readyz`),
      fetch(`http://127.0.0.1:${data}/v1/files?include[]=a|b`),
      fetch(`http://[::1]:${data}/v1/chat/completions`, {method: "POST", body: JSON.stringify(
        {model: "gpt-4o", messages: [{role: "user", content: "hi"}]})}),
    ];
    Promise.all(asked).then(got => console.log(JSON.stringify(got.map(each => each.status))));
    """
    node, _ = compute_driver_executable()
    async with _running(tmp_path) as (app, _):
        ports = str(app.ports.data), str(app.ports.admin)
        process = await asyncio.create_subprocess_exec(
            node, "-e", script, *ports, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            out, _ = await process.communicate()

    assert [200, 200, 200] == json.loads(out)


PROBES = {
    "kubelet": {"host": "10.1.2.3:9901", "user-agent": "kube-probe/1.34", "accept": "*/*"},
    "Prometheus": {"host": "web.team.svc:9901", "user-agent": "Prometheus/3.5.0"},
    "a mesh": {"host": "anything.example", "x-forwarded-for": "10.1.2.3"},
}
BROWSERS = {
    "a page": {"origin": "http://evil.example"},
    "an image": {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"},
    "a person": {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"},
}


@pytest.mark.parametrize("caller", [*PROBES, *BROWSERS])
async def test_the_admin_port_answers_probes_by_any_name_and_no_browser(tmp_path, caller):
    """Whoever may reach the port; a browser in reach of it lends itself to every page."""
    async with _running(tmp_path) as (app, _):
        statuses = {
            (
                await exchange(
                    app.ports.admin, raw_request("GET", path, b"", (PROBES | BROWSERS)[caller])
                )
            ).status
            for path in ("/livez", "/readyz", "/metrics")
        }

    assert {200 if caller in PROBES else 403} == statuses


async def test_a_reload_brings_other_hosts_and_leaves_the_address(tmp_path):
    """On open connections too. What the listener is bound to changes by a restart only, and so does
    whether its callers' names matter.
    """

    def loaded(**listener: Any) -> Any:
        listeners = [{"type": "model", "port": 0, **listener}]
        file = tmp_path / "other.yaml"
        file.write_text(
            json.dumps({**sidecar_config("http://127.0.0.1:1"), "listeners": listeners})
        )
        return load_config(file, {})

    async with _running(tmp_path) as (app, _):
        statuses = []
        for change in ({}, {"allow_hosts": ["llm.dev"]}, {"address": "0.0.0.0"}):
            app.swap(loaded(**change))
            request = raw_request("GET", "/v1/models", b"", {"host": "llm.dev"})
            statuses.append((await exchange(app.ports.data, request)).status)

    assert [421, 200, 421] == statuses
