"""The data port's handler: what becomes a call, what is answered here, and what every refusal
has.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain import errors
from sidecar.domain.api_paths import ApiPath
from sidecar.domain.call import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Call,
    Endpoint,
    Operation,
)
from sidecar.domain.clock import SystemClock
from sidecar.domain.decision import Decision, Source
from sidecar.domain.events import Listeners, RequestRefused
from sidecar.domain.ids import Sampling
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome, Timing
from sidecar.domain.ports import Downstream
from sidecar.domain.vocabulary import CallOutcome
from sidecar.listener.admission import Admission, ListenerPolicy
from sidecar.listener.body_memory import BodyMemory
from sidecar.listener.body_reader import BodyReader
from sidecar.listener.handlers import DataHandler
from sidecar.listener.own_replies import OwnReplies
from sidecar.listener.paths import Paths
from sidecar.listener.rescue import Rescue
from sidecar.listener.web_pages import HostCheck
from sidecar.routing.table import ModelTable
from sidecar.runtime.lifecycle import Drain, DrainTimes
from sidecar.runtime.memory_budget import MemoryBudget
from sidecar.wire.body_sessions import BodySessions
from sidecar.wire.headers import HeaderPolicy
from tests.listener.fakes import FakeRequest
from tests.support.providers import a_provider

BODY = b'{"model":"gpt-4o"}'
POLICY = HeaderPolicy(
    session_headers=("x-model-affinity",), tenant_header="x-org-id", agent_headers=("x-agent",)
)
THREAD = "019a2c6e-7b3d-7f10-9c21-5e4a6b7c8d9e"
Carry = Callable[[Call, Downstream], Awaitable[Outcome]]


class _Ear:
    """Writes down what was refused."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, int, str]] = []
        self.requests: list[tuple[str, str, str]] = []

    def listeners(self) -> Listeners:
        return {RequestRefused: self._write_down}

    def _write_down(self, event: RequestRefused) -> None:
        self.refused.append((event.dialect, event.status, event.code))
        self.requests.append((event.request_id, event.method, event.path))


class _House:
    """A handler with a proxy behind it that says yes and remembers."""

    def __init__(
        self, *, fail: BaseException | None = None, in_flight: int = 10, **policy: Any
    ) -> None:
        self.ear = _Ear()
        self.drain = Drain(SystemClock(), in_flight_limit=in_flight)
        self.calls: list[Call] = []
        self.bodies: list[bytes] = []
        self.in_flight: list[int] = []
        self.fail = fail
        models = self.models = ModelTable(
            [a_provider("openai/gpt-4o"), a_provider("anthropic/*")], {"fast": "openai/gpt-4o"}
        )
        reader = BodyReader(BodyMemory(MemoryBudget(10_000)), policy.pop("body_bytes", 1000), 30)
        serves: Callable[[Endpoint], bool] | None = policy.pop("serves", lambda _: False)
        prefixes: tuple[tuple[str, str], ...] = policy.pop("passthrough", ())
        self.policy = ListenerPolicy(POLICY, reader, **policy)
        observers = Observers([self.ear])
        self.handler = DataHandler(
            self,
            OwnReplies(self.decide, models),
            Admission(self.drain, DIALECTS, observers, SystemClock(), self.policy),
            Rescue(DIALECTS, observers),
            Paths(DIALECTS.endpoints, prefixes, serves),
        )

    async def decide(self, call: Call) -> Decision:
        self.calls.append(call)
        self.bodies.append(call.body)
        if self.fail is not None:
            raise self.fail
        candidates = self.models.candidates_of("openai/gpt-4o", call.endpoint.dialect)
        return Decision(Source.PINNED, (*candidates, *candidates), "code")

    async def handle(self, call: Call, down: Downstream) -> Outcome:
        self.calls.append(call)
        self.bodies.append(call.body)
        self.in_flight.append(self.drain.in_flight)
        if self.fail is not None:
            raise self.fail
        down.send_whole(200, [], b"yes")
        return Outcome(CallOutcome.OK, 200, Timing(0.0))

    async def ask(
        self, method: str, target: str, body: bytes | None = b"", **headers: str
    ) -> FakeRequest:
        named = {"host": "localhost", **headers}
        pairs = [(name.replace("_", "-"), value) for name, value in named.items()]
        request = FakeRequest(method=method, target=target, body=body, headers=pairs)
        await self.handler.handle(request)
        return request


def _parts(request: FakeRequest) -> tuple[int, dict[str, str], bytes]:
    head, _, body = request.written.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


CALLS = {
    "/v1/chat/completions": (CHAT, Operation.GENERATE),
    "/v1/responses": (RESPONSES, Operation.GENERATE),
    "/v1/messages": (MESSAGES, Operation.GENERATE),
    "/v1/embeddings": (EMBEDDINGS, Operation.EMBED),
    "/v1/messages/count_tokens": (MESSAGES, Operation.COUNT_TOKENS),
}


@pytest.mark.parametrize("path", CALLS)
async def test_a_post_to_a_data_path_becomes_a_call(path):
    """With its dialect, its operation, its bytes, its query and its permit, which is given back."""
    house = _House()
    await house.ask("POST", f"{path}?beta=true", BODY)
    (call,) = house.calls

    assert CALLS[path] == (call.endpoint.dialect, call.endpoint.operation)
    assert ("POST", "?beta=true", BODY, "gpt-4o") == (
        call.method,
        call.query,
        house.bodies[0],
        call.facts.requested_model,
    )
    assert ([1], 0) == (house.in_flight, house.drain.in_flight)


async def test_what_the_headers_say_stands_in_the_call():
    """Session, tenant, timeout, request id."""
    house = _House()
    headers = {
        "x_model_affinity": " s1 ",
        "x_org_id": "acme",
        "x_plano_timeout_ms": "1500",
        "x_stainless_timeout": "1",
        "x_request_id": "r1",
    }
    await house.ask("POST", "/v1/chat/completions", BODY, **headers)
    (call,) = house.calls

    assert ("s1", "acme", 1.0, 1.5, "r1") == (
        call.session_id,
        call.tenant,
        call.client_timeout_s,
        call.plano_timeout_s,
        call.request_id,
    )


@pytest.mark.parametrize(("share", "flags"), [(0.0, 0), (1.0, 1)])
async def test_while_tracing_is_on_a_call_is_sampled_when_it_comes_in(share, flags):
    """And has a span of its own, sampled or not."""
    house = _House(sampling=Sampling(follows_app=True, share=share))
    await house.ask("POST", "/v1/chat/completions", BODY)
    (call,) = house.calls

    assert (flags, 16) == (call.trace.flags, len(call.trace.span_id))


@pytest.mark.parametrize(
    ("fixed", "sent", "expected"),
    [
        (None, {}, (None, None)),
        (None, {"x_org_id": "acme"}, ("acme", "s1")),
        ("fixed", {"x_org_id": "x"}, ("fixed", "s1")),
    ],
)
async def test_a_session_without_its_tenant_is_none(fixed, sent, expected):
    """Tenants must not share sessions; a fixed tenant wins over the header."""
    house = _House(fixed_tenant=fixed)
    await house.ask("POST", "/v1/chat/completions", BODY, x_model_affinity="s1", **sent)
    (call,) = house.calls

    assert expected == (call.tenant, call.session_id)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (THREAD, None)),
        ({"x_model_affinity": ""}, (THREAD, None)),
        ({"x_model_affinity": "s1"}, ("s1", None)),
        ({"x_model_affinity": "off"}, (None, None)),
        ({"x_agent": "a7"}, (THREAD, "a7")),
        ({"x_model_affinity": "s1", "x_agent": "a7"}, ("s1", "a7")),
        ({"x_model_affinity": "off", "x_agent": "a7"}, (None, None)),
    ],
)
async def test_the_body_names_the_session_where_no_header_does(headers, expected):
    """And an agent belongs to whichever session that is."""
    house = _House(fixed_tenant="acme", body_sessions=BodySessions(["known_clients"]))
    body = json.dumps({"model": "gpt-4o", "prompt_cache_key": THREAD}).encode()
    await house.ask("POST", "/v1/responses", body, **headers)
    (call,) = house.calls

    assert expected == (call.session_id, call.agent)


async def test_a_body_names_no_session_where_the_config_does_not_let_it():
    """Nor where its tenant is missing."""
    body = json.dumps({"prompt_cache_key": THREAD}).encode()
    deaf, known = _House(fixed_tenant="acme"), _House(body_sessions=BodySessions(["known_clients"]))
    for house in (deaf, known):
        await house.ask("POST", "/v1/responses", body, x_agent="a7")

    assert [(None, None)] * 2 == [
        (each.session_id, each.agent) for each in (*deaf.calls, *known.calls)
    ]


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"id": "x" * 4097}, {}, "invalid_body"),
        ({}, {"x_model_affinity": "s", "x_agent": "a" * 4097}, "invalid_header"),
        ({"id": "x" * 4097}, {"x_model_affinity": "s"}, None),
    ],
)
async def test_a_name_that_cannot_be_used_is_refused(body, headers, expected):
    """Of a session in the body, of an agent; a body is not asked where a header names one."""
    house = _House(fixed_tenant="acme", body_sessions=BodySessions(["id"]), body_bytes=5000)
    big = json.dumps({"model": "gpt-4o", **body}).encode()
    reply = await house.ask("POST", "/v1/chat/completions", big, **headers)
    status, written, _ = _parts(reply)

    assert (200 if expected is None else 400, expected) == (status, written.get("x-plano-error"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/api/hello", "/?x=1"])
async def test_a_probe_is_answered_empty(method, path):
    """Agents ask whether their gateway is there."""
    status, headers, body = _parts(await _House().ask(method, path, x_request_id="r1"))

    assert (200, "0", "r1", b"") == (
        status,
        headers["content-length"],
        headers["x-request-id"],
        body,
    )


async def test_models_are_listed_in_the_configs_order():
    """Models, then aliases; no wildcard."""
    status, headers, body = _parts(await _House().ask("GET", "/v1/models"))

    assert (200, "application/json") == (status, headers["content-type"])
    assert ["openai/gpt-4o", "fast"] == [each["id"] for each in json.loads(body)["data"]]
    head_status, head_headers, nothing = _parts(await _House().ask("HEAD", "/v1/models"))
    assert (200, str(len(body)), b"") == (head_status, head_headers["content-length"], nothing)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai%2Fgpt-4o", "openai/gpt-4o"),
        ("openai%2fgpt-4o", "openai/gpt-4o"),
        ("fast", "fast"),
        ("f%61st", "fast"),
        ("anthropic/claude%409%3Aeu%C3%A9", "anthropic/claude@9:eu\u00e9"),
        ("gpt-4o", "gpt-4o"),
        ("anthropic/claude-9", "anthropic/claude-9"),
        ("nope", None),
    ],
)
async def test_a_model_is_described_under_any_of_its_names(name, known):
    """With its slash, or any other character, escaped or not, as the SDKs do the one and the other;
    an unknown one is a 404.
    """
    status, _, body = _parts(await _House().ask("GET", f"/v1/models/{name}"))

    assert (
        (404, None) == (status, known)
        if known is None
        else (200, known) == (status, json.loads(body)["id"])
    )


PREFIXES = (("/v1/files/deep", "anthropic"), ("/v1/files", "openai"))


@pytest.mark.parametrize(
    ("method", "target", "provider"),
    [
        ("GET", "/v1/files", "openai"),
        ("POST", "/v1/files", "openai"),
        ("DELETE", "/v1/files/f1?x=1", "openai"),
        ("PATCH", "/v1/files/deep/er", "anthropic"),
        ("GET", "/v1/files/a..b/.../..c", "openai"),
        ("GET", "/v1/files/f1?after=/../x", "openai"),
    ],
)
async def test_a_passthrough_path_takes_any_method_and_reads_no_body(method, target, provider):
    """The longest prefix that was configured decides; the body need not be JSON."""
    house = _House(passthrough=PREFIXES)
    await house.ask(method, target, b"\x00\xff")
    (call,) = house.calls

    assert (provider, Operation.PASSTHROUGH, method) == (
        call.passthrough_provider,
        call.endpoint.operation,
        call.method,
    )
    assert (target, b"\x00\xff", None) == (
        call.endpoint.path + call.query,
        house.bodies[0],
        call.facts.requested_model,
    )


JSON = "application/json"
FORM = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--x--\r\n'
API_CALLS = {
    "files": ("POST", "/v1/files", b"\x00\xff", {}, ApiPath.FILES, CHAT, None),
    "files in JSON": ("POST", "/v1/files", BODY, {"content_type": JSON}, ApiPath.FILES, CHAT, None),
    "Anthropic's files": (
        "GET", "/v1/files/f1", b"", {"anthropic_version": "x"}, ApiPath.FILES, MESSAGES, None
    ),
    "a moderation": (
        "POST", "/v1/moderations", BODY, {"content_type": "Application/JSON; charset=utf-8"},
        ApiPath.MODERATIONS, CHAT, "gpt-4o",
    ),
    "a body that is no JSON": (
        "POST", "/v1/audio/transcriptions", b"--x", {"content_type": "multipart/form-data"},
        ApiPath.AUDIO, CHAT, None,
    ),
    "a form that names a model": (
        "POST", "/v1/audio/transcriptions", FORM, {"content_type": "multipart/form-data; boundary=x"},
        ApiPath.AUDIO, CHAT, "whisper-1",
    ),
    "a form, compressed": (
        "POST", "/v1/audio/transcriptions", FORM,
        {"content_type": "multipart/form-data; boundary=x", "content_encoding": "gzip"},
        ApiPath.AUDIO, CHAT, None,
    ),
    "a form that names no model": (
        "POST", "/v1/files", FORM, {"content_type": "multipart/form-data; boundary=x"},
        ApiPath.FILES, CHAT, None,
    ),
    "a body of an unknown type": ("POST", "/v1/completions", BODY, {}, ApiPath.COMPLETIONS, CHAT, None),
    "a stored response": (
        "DELETE", "/v1/responses/r1?x=1", b"", {"content_type": JSON},
        ApiPath.STORED_RESPONSES, RESPONSES, None,
    ),
    "a batch of messages": (
        "POST", "/v1/messages/batches", BODY, {"content_type": JSON},
        ApiPath.MESSAGE_BATCHES, MESSAGES, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", API_CALLS)
async def test_a_path_of_providers_becomes_a_call_without_being_configured(name):
    """Of its bodies those in JSON are read that may name a model. All bytes stay."""
    method, target, body, headers, api_path, dialect, model = API_CALLS[name]
    house = _House(serves=lambda _: True)
    await house.ask(method, target, body, **headers)
    (call,) = house.calls

    assert (None, Operation.PASSTHROUGH, api_path, dialect, method) == (
        call.passthrough_provider,
        call.endpoint.operation,
        call.endpoint.api_path,
        call.endpoint.dialect,
        call.method,
    )
    assert (target, body, model, 0) == (
        call.endpoint.path + call.query,
        house.bodies[0],
        call.facts.requested_model,
        house.drain.in_flight,
    )


async def test_a_configured_path_goes_before_one_that_is_known():
    """And its body is not read."""
    house = _House(serves=lambda _: True, passthrough=(("/v1/moderations", "mistral"),))
    await house.ask("POST", "/v1/moderations/x", b"{", content_type=JSON)

    assert ("mistral", None) == (
        house.calls[0].passthrough_provider,
        house.calls[0].endpoint.api_path,
    )


async def test_a_path_that_no_entry_serves_is_refused_in_its_own_dialect():
    """Before its body is read, which may be long."""
    asked = []
    house = _House(serves=lambda endpoint: asked.append(endpoint.api_path))
    status, headers, body = _parts(await house.ask("POST", "/v1/messages/batches", None))

    assert (404, "path_not_found", "not_found_error") == (
        status,
        headers["x-plano-error"],
        json.loads(body)["error"]["type"],
    )
    assert ([ApiPath.MESSAGE_BATCHES], []) == (asked, house.calls)


async def test_a_config_may_refuse_the_paths_that_it_does_not_name():
    """The 404 says which key does, and how one path is let through."""
    house = _House(serves=None, passthrough=(("/v1/files", "openai"),))
    status, headers, body = _parts(await house.ask("POST", "/v1/moderations", None))
    await house.ask("GET", "/v1/files/file-1")
    await house.ask("POST", "/v1/embeddings", BODY)

    assert (404, "path_not_found") == (status, headers["x-plano-error"])
    assert (
        "/v1/moderations is a path of providers, and `unlisted_paths` refuses those that the "
        "config does not name; `passthrough` in the config names the provider that a path goes to"
    ) == json.loads(body)["error"]["message"]
    assert ["/v1/files/file-1", "/v1/embeddings"] == [call.endpoint.path for call in house.calls]


async def test_a_body_that_names_a_model_twice_is_refused_on_a_path_of_providers():
    """As on any path whose bodies are read."""
    house = _House(serves=lambda _: True)
    twice = b'{"model":"a","model":"b"}'
    status, headers, _ = _parts(
        await house.ask("POST", "/v1/moderations", twice, content_type=JSON)
    )

    assert (400, "invalid_body", 0) == (status, headers["x-plano-error"], house.drain.in_flight)


REFUSALS = [
    ("GET", "/v1/files/../organization/api_keys", b"", {}, 404, "path_not_found"),
    ("GET", "/v1/files/x/%2e%2E/y", b"", {}, 404, "path_not_found"),
    ("GET", "/v1/files/x/%252e%252E/y", b"", {}, 404, "path_not_found"),
    ("DELETE", "/v1/files/x%2f..%2Fy", b"", {}, 404, "path_not_found"),
    ("GET", "/v1/files/..%5cy", b"", {}, 404, "path_not_found"),
    ("GET", "/v1/files/..;/y", b"", {}, 404, "path_not_found"),
    ("GET", "/v1/files/.", b"", {}, 404, "path_not_found"),
    ("POST", "/v1/filesystem", BODY, {}, 404, "path_not_found"),
    ("POST", "/v1/nowhere", BODY, {}, 404, "path_not_found"),
    ("GET", "/v1/chat/completions", b"", {}, 405, "method_not_allowed"),
    ("POST", "/v1/models", b"", {}, 405, "method_not_allowed"),
    ("DELETE", "/", b"", {}, 405, "method_not_allowed"),
    ("POST", "/v1/chat/completions", b"{", {}, 400, "invalid_body"),
    ("POST", "/v1/chat/completions", b"x" * 1001, {}, 413, "body_too_large"),
    (
        "POST",
        "/v1/chat/completions",
        BODY,
        {"content_encoding": "br"},
        415,
        "unsupported_encoding",
    ),
    ("POST", "/v1/chat/completions", BODY, {"content_encoding": "gzip"}, 400, "invalid_body"),
    ("POST", "/v1/chat/completions", BODY, {"origin": "http://x"}, 403, "origin_refused"),
    ("GET", "/v1/files/f1", b"", {"sec_fetch_site": "cross-site"}, 403, "origin_refused"),
    ("GET", "/v1/models", b"", {"sec_fetch_site": "same-site"}, 403, "origin_refused"),
    ("POST", "/v1/chat/completions", BODY, {"host": "a b"}, 400, "invalid_request"),
    ("POST", "/v1/chat/completions?a=%4", BODY, {}, 400, "invalid_request"),
    ("GET", "/v1/files/a|b", b"", {}, 400, "invalid_request"),
    (
        "GET",
        "/v1/responses",
        b"",
        {"connection": "upgrade", "upgrade": "websocket"},
        426,
        "upgrade_not_served",
    ),
    ("POST", "/v1/chat/completions", BODY, {"x_model_affinity": "\xff"}, 400, "invalid_header"),
    ("POST", "/v1/chat/completions", BODY, {"x_any": "a\x01b"}, 400, "invalid_header"),
]


@pytest.mark.parametrize(("method", "target", "body", "headers", "status", "code"), REFUSALS)
async def test_a_refusal_has_the_apps_request_id_its_code_and_an_observer(
    method, target, body, headers, status, code
):
    """Nothing reaches the proxy, the permit is back, and the caller can ask about it by its own
    id.
    """
    house = _House(passthrough=PREFIXES)
    request = await house.ask(method, target, body, x_request_id="r1", **headers)
    got, lines, _ = _parts(request)

    assert (status, code, "r1") == (got, lines["x-plano-error"], lines["x-request-id"])
    assert ([], 0) == (house.calls, house.drain.in_flight)
    assert [("responses" if "responses" in target else "chat", status, code)] == house.ear.refused
    assert [("r1", method, target.partition("?")[0])] == house.ear.requests


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/messages?beta=true"),
        ("POST", "/routing/v1/responses"),
        ("GET", "/v1/models"),
        ("GET", "/v1/files/f1"),
        ("GET", "/nowhere"),
    ],
)
async def test_a_request_that_has_come_through_this_process_goes_no_further(method, target):
    """Before its body is read, on every path; one that came through another sidecar does."""
    own, other = (b"1.1 plano-sidecar-" + digit * 32 for digit in (b"a", b"b"))
    house = _House(passthrough=PREFIXES, via=own)
    request = await house.ask(method, target, BODY, via=f"{other.decode()}, {own.decode()}")
    status, lines, _ = _parts(request)
    served, _, _ = _parts(await house.ask("POST", "/v1/chat/completions", BODY, via=other.decode()))

    assert (508, "loop_detected", "false") == (
        status,
        lines["x-plano-error"],
        lines["x-should-retry"],
    )
    assert (200, 1) == (served, len(house.calls))


async def test_an_unusable_request_id_of_a_refused_request_is_replaced():
    """Also where its headers could not all be read."""
    _, lines, _ = _parts(
        await _House().ask("POST", "/v1/messages", BODY, x_request_id="a b", x_any="\x01")
    )

    assert 4 == uuid.UUID(lines["x-request-id"]).version


async def test_a_host_that_is_not_the_listeners_is_refused_also_after_one_that_is():
    """What passed is known the next time; what did not never is."""
    house = _House(hosts=HostCheck(frozenset()))
    asked = ["localhost:1", "localhost:1", "evil.example", "evil.example", "[::1]:1", "localhost:1"]
    replies = [
        _parts(await house.ask("POST", "/v1/chat/completions", BODY, host=host)) for host in asked
    ]

    assert [200, 200, 421, 421, 200, 200] == [status for status, *_ in replies]
    assert {"host_refused", None} == {lines.get("x-plano-error") for _, lines, _ in replies}
    assert 4 == len(house.calls)


async def test_the_authority_of_an_absolute_target_is_the_host():
    """Also where a Host that is known stands beside it."""
    house = _House(hosts=HostCheck(frozenset()))
    statuses = []
    for authority in ("", "localhost", "evil.example"):
        request = FakeRequest(authority=authority, body=BODY, headers=[("Host", "localhost")])
        await house.handler.handle(request)
        statuses.append(_parts(request)[0])

    assert [200, 200, 421] == statuses


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_what_no_other_sites_page_asks_is_served(site):
    """An address that a person types has a site too."""
    assert 200 == _parts(await _House().ask("GET", "/v1/models", sec_fetch_site=site))[0]


TARGETS = {
    "/v1/files/a-b.c_d~e!f$g&h'i(j)k*l+m,n;o=p:q@r%2fs": True,
    "/v1/files?a=/?:@!$&'()*+,;=%20": True,
    "/v1/files?include[]=a|b&c={d}^`\\": True,
    "/v1/files/a%": False,
    "/v1/files/a%2": False,
    "/v1/files/a%zz": False,
    "/v1/files?100%": False,
    "/v1/files?a#b": False,
    **{f"/v1/files/a{each}b": False for each in '"<>\\^`{|}[]# \t\x7f\xe9'},
    **{f"/v1/files?a{each}b": False for each in '"<># \t\x7f\xe9'},
}


@pytest.mark.parametrize("target", TARGETS)
async def test_a_target_has_the_characters_of_rfc_3986(target):
    """Of others servers make different things; in a query stands what Node leaves there."""
    house = _House(passthrough=PREFIXES)
    status, lines, _ = _parts(await house.ask("GET", target))

    assert (200 if TARGETS[target] else 400) == status
    assert (None if TARGETS[target] else "invalid_request") == lines.get("x-plano-error")
    assert TARGETS[target] == bool(house.calls)


async def test_an_allowed_origin_may_call_from_another_site():
    """A browser says both of it."""
    house = _House(allow_origins=frozenset({"http://ui"}))
    headers = {"origin": "http://ui", "sec_fetch_site": "cross-site"}
    status, *_ = _parts(await house.ask("POST", "/v1/chat/completions", BODY, **headers))

    assert (200, 1) == (status, len(house.calls))


async def test_an_allowed_origin_may_call():
    """Named in the config, all of them."""
    house = _House(allow_origins=frozenset({"http://ui"}))
    status, *_ = _parts(await house.ask("POST", "/v1/chat/completions", BODY, origin="http://ui"))

    assert (200, 1) == (status, len(house.calls))


ASK = {
    "access_control_request_method": "POST",
    "access_control_request_headers": "authorization,content-type",
}


@pytest.mark.parametrize(
    "target", ["/v1/chat/completions", "/v1/models", "/v1/files/f1", "/routing/v1/messages"]
)
async def test_a_browser_that_asks_first_is_told(target):
    """For every path, by us: no provider is asked, since its keys are ours. Headers by name, or
    `authorization` is out.
    """
    house = _House(passthrough=PREFIXES, allow_origins=frozenset({"http://ui"}))
    status, lines, body = _parts(await house.ask("OPTIONS", target, b"", origin="http://ui", **ASK))

    assert (204, b"", []) == (status, body, house.calls)
    assert ("http://ui", "authorization,content-type", "origin") == (
        lines["access-control-allow-origin"],
        lines["access-control-allow-headers"],
        lines["vary"],
    )
    assert {"post", "get"} <= set(lines["access-control-allow-methods"].split(", "))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"access_control_request_method": "POST"}, None),
        ({**ASK, "access_control_request_headers": "a;b"}, None),
        ({**ASK, "access_control_request_headers": "x-a, x-b"}, "x-a, x-b"),
    ],
)
async def test_only_names_of_headers_are_said_back(headers, expected):
    """What is no list of names is none that a browser asked for."""
    house = _House(allow_origins=frozenset({"http://ui"}))
    status, lines, _ = _parts(
        await house.ask("OPTIONS", "/v1/models", b"", origin="http://ui", **headers)
    )

    assert (204, expected) == (status, lines.get("access-control-allow-headers"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"origin": "http://other", **ASK}, 403), ({"origin": "http://ui"}, 405), (ASK, 405)],
)
async def test_who_is_not_a_browser_of_an_allowed_origin_is_told_nothing(headers, status):
    """An origin that is not allowed, a plain OPTIONS, one from no page."""
    house = _House(allow_origins=frozenset({"http://ui"}))
    got, lines, _ = _parts(await house.ask("OPTIONS", "/v1/chat/completions", b"", **headers))

    assert (status, False) == (got, "access-control-allow-methods" in lines)


@pytest.mark.parametrize(("target", "status"), [("/v1/models", 200), ("/v1/nowhere", 404)])
async def test_a_page_of_an_allowed_origin_may_read_its_answers(target, status):
    """Errors too; and nobody else's answers speak of it."""
    house = _House(allow_origins=frozenset({"http://ui"}))
    got, lines, _ = _parts(await house.ask("GET", target, origin="http://ui"))
    _, others, _ = _parts(await house.ask("GET", target))

    assert (status, "http://ui", "*") == (
        got,
        lines["access-control-allow-origin"],
        lines["access-control-expose-headers"],
    )
    assert not [name for name in others if name.startswith("access-control") or name == "vary"]


@pytest.mark.parametrize("starts", [False, True])
async def test_what_a_provider_allows_its_own_pages_is_not_said_twice(starts):
    """A browser refuses an answer that allows two origins."""
    house = _House(allow_origins=frozenset({"http://ui"}))

    async def answer(call: Call, down: Downstream) -> Outcome:
        lines = [b"Access-Control-Allow-Origin: *\r\n", b"x-kept: 1\r\n"]
        if starts:
            down.start(200, lines, 0)
        else:
            down.send_whole(200, lines, b"")
        return Outcome(CallOutcome.OK, 200, Timing(0.0))

    house.handle = answer  # type: ignore[method-assign] # another proxy
    request = await house.ask("POST", "/v1/chat/completions", BODY, origin="http://ui")
    _, lines, _ = _parts(request)

    assert ("http://ui", "1") == (lines["access-control-allow-origin"], lines["x-kept"])
    assert 1 == request.written.lower().count(b"access-control-allow-origin")


@pytest.mark.parametrize(
    ("headers", "key"), [({}, "error"), ({"anthropic_version": "2023-06-01"}, "request_id")]
)
async def test_on_unknown_paths_the_version_header_tells_the_dialect(headers, key):
    """Anthropic's SDK always sends it."""
    _, _, body = _parts(await _House().ask("GET", "/nowhere", **headers))

    assert key in json.loads(body)


@pytest.mark.parametrize(
    ("body", "code", "connection"),
    [(b"", "path_not_found", None), (None, "path_not_found", "close")],
    ids=["its body is here", "its body is not"],
)
async def test_a_refusal_closes_where_the_body_was_not_read(body, code, connection):
    """Nothing behind it could be told from it."""
    _, lines, _ = _parts(await _House().ask("POST", "/nowhere", body))

    assert (code, connection) == (lines["x-plano-error"], lines.get("connection"))


@pytest.mark.parametrize("what", ["overloaded", "draining"])
async def test_a_call_without_a_permit_is_refused(what):
    """503 with Retry-After; a drain closes the connection too."""
    house = _House(in_flight=0)
    if what == "draining":
        await house.drain.run(lambda: DrainTimes(0, 0))
    status, lines, _ = _parts(await house.ask("POST", "/v1/chat/completions", BODY))

    assert (503, what, "1") == (status, lines["x-plano-error"], lines["retry-after"])
    assert ("close" if what == "draining" else None) == lines.get("connection")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ConnectFailed("no"), 503, "upstream_connect_failed"),
        (KeyError("bug"), 500, "internal"),
    ],
)
async def test_an_error_of_a_carried_call_is_answered_and_reported_by_the_proxy_alone(
    error, status, code
):
    """One call, one report."""
    house = _House(fail=error)
    got, lines, _ = _parts(await house.ask("POST", "/v1/chat/completions", BODY))

    assert (status, code, [], 0) == (
        got,
        lines["x-plano-error"],
        house.ear.refused,
        house.drain.in_flight,
    )


async def test_a_bug_after_the_head_breaks_the_connection():
    """A second head inside a body would be worse than none."""
    house = _House()

    async def fail_late(call: Call, down: Downstream) -> Outcome:
        down.start(200, [], None)
        raise RuntimeError("bug")

    house.handle = fail_late  # type: ignore[method-assign] # another proxy
    request = await house.ask("POST", "/v1/chat/completions", BODY)

    assert (1, ["abort"]) == (request.written.count(b"HTTP/1.1"), request.ended)


async def test_a_cancelled_call_gives_its_permit_back():
    """The app has left; nobody is answered."""
    house = _House(fail=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await house.ask("POST", "/v1/chat/completions", BODY)

    assert 0 == house.drain.in_flight


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("Too many headers received"), 431), (None, 400)]
)
async def test_bytes_that_were_no_request_get_an_answer_with_an_id(error, status):
    """As JSON, with the connection closed behind it."""
    house = _House()
    request = FakeRequest(headers=[])
    house.handler.handle_parse_error(request, error)
    got, lines, body = _parts(request)

    assert (status, "close", 4) == (
        got,
        lines["connection"],
        uuid.UUID(lines["x-request-id"]).version,
    )
    assert lines["x-plano-error"] == json.loads(body)["error"]["code"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_the_decision_endpoint_says_what_would_be(path):
    """Ranked models, each once; the call goes nowhere, and its permit is given back."""
    house = _House()
    request = await house.ask(
        "POST", f"/routing{path}", BODY, x_model_affinity="s1", x_org_id="acme"
    )
    status, _, body = _parts(request)

    reply = json.loads(body)
    assert 200 == status
    assert 32 == len(reply.pop("trace_id"))
    assert {
        "models": ["openai/gpt-4o"],
        "providers": ["openai/gpt-4o"],
        "route": "code",
        "pinned": True,
        "source": "pinned",
        "session_id": "s1",
    } == reply
    assert ([path], 0) == ([call.endpoint.path for call in house.calls], house.drain.in_flight)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/routing/v1/messages", 405),
        ("POST", "/routing/v1/embeddings", 404),
        ("POST", "/routing/v1/files", 404),
    ],
)
async def test_the_decision_endpoint_has_three_paths_and_one_method(method, path, status):
    """What is never routed has no decision."""
    house = _House()

    assert status == _parts(await house.ask(method, path, BODY))[0]


async def test_a_decision_that_fails_is_an_error_in_the_callers_dialect():
    """And counted as a request that never became a call."""
    house = _House(fail=errors.ModelNotFound("x"))
    request = await house.ask("POST", "/routing/v1/messages", BODY)
    status, _, body = _parts(request)

    assert (404, "error") == (status, json.loads(body)["type"])
    assert [("messages", 404, "model_not_found")] == house.ear.refused
