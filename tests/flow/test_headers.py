"""Who a call is, and what of it may be seen by whom."""

from __future__ import annotations

import uuid

import pytest

from tests.support.faults import Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
MESSAGES = {
    "model": "claude-demo",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hello"}],
}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def _call(
    tmp_path, headers, *, path="/v1/chat/completions", body=None, again=None, **overrides
) -> tuple[RawReply, dict[str, list[str]]]:
    """One call through a sidecar: the reply, and the header values that the provider saw, by
    lower-case name.

    Args: ``again`` are lines that stand behind ``headers``, also with the same names.
    """
    async with ScriptedProvider() as provider:
        async with running_app(sidecar_config(provider.url, **overrides), tmp_path) as app:
            body = body or (MESSAGES if path.startswith("/v1/messages") else CHAT)
            request = json_request(path, body, headers)
            if again is not None:
                request = request.replace(b"\r\n\r\n", f"\r\n{again}\r\n\r\n".encode("latin-1"), 1)
            reply = await exchange(app.ports.data, request)
        seen: dict[str, list[str]] = {}
        for name, value in provider.requests[0].headers if provider.requests else ():
            seen.setdefault(name.decode().lower(), []).append(value.decode())
    return reply, seen


@pytest.mark.parametrize("sent", ["req-1", "A.b_c~d:e/f+g=h@i-j", "x" * 128])
async def test_a_request_id_is_kept_byte_for_byte(tmp_path, sent):
    """To the provider, and back to the app."""
    reply, seen = await _call(tmp_path, {"x-request-id": sent})

    assert ([sent], [sent]) == (seen["x-request-id"], reply.header_values("x-request-id"))


@pytest.mark.parametrize("sent", [None, "", "a b", "x" * 129])
async def test_an_unusable_request_id_is_replaced(tmp_path, sent):
    """By a UUID, the same on both sides."""
    reply, seen = await _call(tmp_path, {} if sent is None else {"x-request-id": sent})
    (minted,) = seen["x-request-id"]

    assert 4 == uuid.UUID(minted).version
    assert [minted] == reply.header_values("x-request-id")


@pytest.mark.parametrize("second", ["a", "b"])
async def test_a_doubled_request_id_is_replaced(tmp_path, second):
    """Also where both are the same: who sent it twice did not mean to."""
    reply, seen = await _call(tmp_path, {"x-request-id": "a"}, again=f"X-Request-Id: {second}")
    (minted,) = seen["x-request-id"]

    assert (4, [minted]) == (uuid.UUID(minted).version, reply.header_values("x-request-id"))


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, {"model": "nope"}, 404),
        ({}, {"stream": 1}, 400),
        ({"x-model-affinity": "a\tb", "connection": "close, content-type"}, None, 400),
        ({"origin": "http://x"}, None, 403),
    ],
)
async def test_errors_carry_the_request_id_too(tmp_path, headers, body, status):
    """Whoever asks about an error has an id to ask with, also where the other headers could not be
    used.
    """
    reply, _ = await _call(tmp_path, {"x-request-id": "req-1", **headers}, body=body)

    assert (status, ["req-1"]) == (reply.status, reply.header_values("x-request-id"))


async def test_a_valid_trace_is_carried_on_unchanged(tmp_path):
    """With tracing off nobody would export a span of ours."""
    _, seen = await _call(tmp_path, {"traceparent": TRACEPARENT, "tracestate": "a=1, b=2"})

    assert ([TRACEPARENT], ["a=1,b=2"]) == (seen["traceparent"], seen["tracestate"])


async def test_several_tracestates_are_one_list(tmp_path):
    """In their order, without blanks and empty members."""
    _, seen = await _call(
        tmp_path, {"traceparent": TRACEPARENT, "tracestate": "a=1 ,"}, again="tracestate: b=2,\tc=3"
    )

    assert ["a=1,b=2,c=3"] == seen["tracestate"]


@pytest.mark.parametrize("second", ["a=2", "A=2", "b"])
async def test_an_invalid_tracestate_is_dropped_alone(tmp_path, second):
    """The trace itself goes on."""
    sent = {"traceparent": TRACEPARENT, "tracestate": "a=1"}
    _, seen = await _call(tmp_path, sent, again=f"tracestate: {second}")

    assert ([TRACEPARENT], None) == (seen["traceparent"], seen.get("tracestate"))


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
async def test_the_flags_of_a_trace_are_the_callers(tmp_path, flags):
    """Sampled, and random trace id (level 2)."""
    sent = TRACEPARENT[:-2] + flags
    _, seen = await _call(tmp_path, {"traceparent": sent})

    assert [sent] == seen["traceparent"]


@pytest.mark.parametrize(
    ("sent", "again"),
    [
        ({}, None),
        ({"tracestate": "a=1"}, None),
        ({"traceparent": TRACEPARENT.upper(), "tracestate": "a=1"}, None),
        ({"traceparent": TRACEPARENT + "-00", "tracestate": "a=1"}, None),
        ({"traceparent": TRACEPARENT, "tracestate": "a=1"}, f"traceparent: {TRACEPARENT}"),
    ],
    ids=["none", "tracestate alone", "upper case", "too long", "twice"],
)
async def test_a_missing_or_invalid_trace_is_begun_anew(tmp_path, sent, again):
    """Unsampled, and without the tracestate of a trace that is none."""
    _, seen = await _call(tmp_path, sent, again=again)

    assert "0af7651916cd43dd8448eb211c80319c" not in seen["traceparent"][0]
    assert seen["traceparent"][0].endswith("-00")
    assert "tracestate" not in seen


SECRETS = {
    "authorization": "Bearer app-secret",
    "x-api-key": "app-secret",
    "cookie": "session=app-secret",
    "x-model-affinity": "session-7",
    "x-org-id": "acme",
    "x-plano-anything": "ours",
    "baggage": "user=7",
    "x-unknown": "internal",
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_what_is_the_pods_own_stays_in_the_pod(tmp_path, path):
    """Credentials, cookies, session, tenant and unknown headers reach no provider; its own key
    does.
    """
    cache = {"session_cache": {"type": "memory", "tenant_header": "x-org-id"}}
    _, seen = await _call(tmp_path, SECRETS, path=path, routing=cache)
    key = (
        {"x-api-key": ["sk-ant-demo"]}
        if path == "/v1/messages"
        else {"authorization": ["Bearer sk-demo"]}
    )

    assert key == {name: values for name, values in seen.items() if name in SECRETS}
    assert "app-secret" not in str(seen)


FAMILIES = {
    "openai-beta": "x",
    "x-codex-turn": "1",
    "originator": "codex",
    "http-referer": "http://x",
    "x-title": "t",
    "openai-organization": "account",
    "openai-project": "account",
    "anthropic-beta": "y",
    "anthropic-workspace-id": "account",
    "x-app": "cli",
    "x-stainless-lang": "py",
    "idempotency-key": "k",
}
COMMON = {"x-stainless-lang", "idempotency-key"}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (
            "/v1/chat/completions",
            COMMON | {"openai-beta", "x-codex-turn", "originator", "http-referer", "x-title"},
        ),
        ("/v1/messages", COMMON | {"anthropic-beta", "x-app"}),
    ],
)
async def test_header_families_stay_with_their_kind(tmp_path, path, names):
    """A beta flag of one provider means nothing, or something else, to another; whose account it
    is, is the key's.
    """
    _, seen = await _call(tmp_path, FAMILIES, path=path)

    assert names == set(seen) & set(FAMILIES)


async def test_a_version_that_the_app_chose_is_kept(tmp_path):
    """Once."""
    _, seen = await _call(tmp_path, {"anthropic-version": "2042-01-01"}, path="/v1/messages")

    assert ["2042-01-01"] == seen["anthropic-version"]


@pytest.mark.parametrize(
    ("propagate", "names"),
    [([], set()), (["baggage", "X-Tenant-Tier"], {"baggage", "x-tenant-tier"})],
)
async def test_more_names_go_where_the_config_says_so(tmp_path, propagate, names):
    """Baggage is not sent unless it is one of them."""
    _, seen = await _call(
        tmp_path, {"baggage": "a=1", "x-tenant-tier": "gold"}, propagate=propagate
    )

    assert names == set(seen) & {"baggage", "x-tenant-tier"}


@pytest.mark.parametrize("connection", ["close, x-stainless-lang", "X-Stainless-Lang,close"])
async def test_what_the_connection_header_names_stays_on_the_connection(tmp_path, connection):
    """As RFC 9110, 7.6.1 has it, with every other hop-by-hop field."""
    headers = {
        "connection": connection,
        "x-stainless-lang": "py",
        "te": "trailers",
        "keep-alive": "timeout=5",
    }
    _, seen = await _call(tmp_path, headers)

    assert set() == set(seen) & {
        "x-stainless-lang",
        "te",
        "keep-alive",
        "connection",
        "proxy-authorization",
    }


@pytest.mark.parametrize(
    "model", ["openai/x\r\nset-cookie: forged=1", "x\r\nset-cookie: forged=1", "openai/x\x00"]
)
async def test_a_models_name_is_no_header_line(tmp_path, model):
    """Where a wildcard lets the app name any model, a name that would break the answer's head is no
    model.
    """
    async with ScriptedProvider() as provider:
        config = _config_of(
            provider.url, {"model": "openai/*", "access_key": "k", "base_url": provider.url}
        )
        async with running_app(config, tmp_path) as app:
            reply = await exchange(
                app.ports.data, json_request("/v1/chat/completions", {**CHAT, "model": model})
            )
        asked = provider.seen

    assert (404, "model_not_found", 0) == (reply.status, reply.header("x-plano-error"), asked)
    assert [] == reply.header_values("set-cookie")


async def test_headers_that_a_provider_requires_are_added(tmp_path):
    """Identity coding, so that usage can be read; a version where a messages call lacks one; the
    host that was configured.
    """
    _, seen = await _call(tmp_path, {"accept-encoding": "gzip, br"}, path="/v1/messages")

    assert (["identity"], ["2023-06-01"], 1) == (
        seen["accept-encoding"],
        seen["anthropic-version"],
        len(seen["host"]),
    )


def _config_of(provider_url: str, entry: dict[str, object]) -> dict[str, object]:
    config = sidecar_config(provider_url, model_providers=[entry])
    del config["model_aliases"], config["passthrough"]
    return config


@pytest.mark.parametrize(
    ("path", "model", "sent"),
    [
        (
            "/v1/chat/completions",
            "openai/gpt-4o",
            [
                ("Authorization", "bearer  Mine=="),
                ("OpenAI-Organization", "o"),
                ("openai-project", "p"),
            ],
        ),
        (
            "/v1/messages",
            "anthropic/claude-demo",
            [
                ("X-API-Key", "mine"),
                ("authorization", "Bearer oauth"),
                ("anthropic-workspace-id", "w"),
            ],
        ),
    ],
)
async def test_passthrough_auth_forwards_the_callers_credential(tmp_path, path, model, sent):
    """Exactly as it came, with the account headers that belong to it, and no key of ours beside
    it.
    """
    async with ScriptedProvider() as provider:
        entry = {"model": model, "base_url": provider.url, "passthrough_auth": True}
        async with running_app(_config_of(provider.url, entry), tmp_path) as app:
            body = MESSAGES if path == "/v1/messages" else CHAT
            await exchange(app.ports.data, json_request(path, body, dict(sent)))
        (request,) = provider.requests
    credentials = {"authorization", "x-api-key", "api-key", *(name.lower() for name, _ in sent)}

    assert sorted(sent) == sorted(
        (name.decode(), value.decode())
        for name, value in request.headers
        if name.decode().lower() in credentials
    )


@pytest.mark.parametrize(
    ("entry", "path", "expected"),
    [
        ({"model": "openai/m"}, "/v1/chat/completions", {"authorization": ["Bearer sk-1"]}),
        ({"model": "anthropic/m"}, "/v1/messages", {"x-api-key": ["sk-1"]}),
        ({"model": "azure_openai/m"}, "/v1/chat/completions", {"api-key": ["sk-1"]}),
        ({"model": "groq/m"}, "/v1/chat/completions", {"authorization": ["Bearer sk-1"]}),
        (
            {"model": "own/m", "provider_interface": "anthropic"},
            "/v1/messages",
            {"x-api-key": ["sk-1"]},
        ),
        (
            {"model": "openai/m", "headers": {"X-Gateway": "g"}},
            "/v1/chat/completions",
            {"authorization": ["Bearer sk-1"], "x-gateway": ["g"]},
        ),
    ],
)
async def test_the_providers_key_stands_where_its_kind_wants_it(tmp_path, entry, path, expected):
    """And the caller's own nowhere."""
    async with ScriptedProvider() as provider:
        config = _config_of(provider.url, {**entry, "access_key": "sk-1", "base_url": provider.url})
        async with running_app(config, tmp_path) as app:
            body = {**MESSAGES, "model": "m"}
            headers = {"authorization": "Bearer app", "x-api-key": "app", "api-key": "app"}
            await exchange(app.ports.data, json_request(path, body, headers))
        (request,) = provider.requests
    names = ("authorization", "x-api-key", "api-key", "x-gateway")

    assert expected == {name: values for name in names if (values := request.header_values(name))}


async def test_the_providers_own_answer_headers_come_back(tmp_path):
    """Rate limits, repeated headers and the provider's request id; ours say who answered and
    why.
    """
    reply, _ = await _call(tmp_path, {"x-request-id": "req-1"})

    assert ["req-1"] == reply.header_values("x-request-id")
    assert 1 == len(reply.header_values("x-plano-upstream-request-id"))
    assert [] != [name for name, _ in reply.headers if name.lower().startswith("x-ratelimit-")]
    assert ("openai/gpt-4o", "requested", "1") == tuple(
        reply.header(f"x-plano-{name}") for name in ("model", "source", "attempts")
    )
    assert len(reply.header_values("set-cookie")) > 1


async def test_a_query_is_carried_on(tmp_path):
    """`?beta=true` is Anthropic's."""
    async with ScriptedProvider() as provider:
        async with running_app(sidecar_config(provider.url), tmp_path) as app:
            await exchange(app.ports.data, json_request("/v1/messages?beta=true&x=%20", MESSAGES))
        (request,) = provider.requests

    assert ("/v1/messages", "?beta=true&x=%20") == (request.path, request.query)


async def test_a_query_goes_to_no_second_provider(tmp_path):
    """It may hold a key. What every provider of the family understands stays."""
    async with ScriptedProvider() as first, ScriptedProvider() as second:
        first.script.always(Fault(status=503, body=b"{}"))
        providers = [
            {"model": "anthropic/claude-demo", "access_key": "k", "base_url": first.url},
            {"model": "anthropic/claude-other", "access_key": "k", "base_url": second.url},
        ]
        providers[0]["fallbacks"] = ["anthropic/claude-other"]  # type: ignore[assignment] # a list
        config = sidecar_config(first.url, model_providers=providers, passthrough=[])
        config.pop("model_aliases")
        async with running_app(config, tmp_path) as app:
            request = json_request("/v1/messages?beta=true&key=secret", MESSAGES)
            reply = await exchange(app.ports.data, request)
        seen = [each.requests[0].query for each in (first, second)]

    assert (200, ["?beta=true&key=secret", "?beta=true"]) == (reply.status, seen)


@pytest.mark.parametrize(
    ("path", "own"), [("/v1/chat/completions", "x-request-id"), ("/v1/messages", "request-id")]
)
async def test_the_providers_request_id_has_a_name_of_its_own(tmp_path, path, own):
    """Ours keeps `x-request-id`; Anthropic's `request-id` stays where its SDK looks for it."""
    reply, _ = await _call(tmp_path, {"x-request-id": "mine"}, path=path)
    (theirs,) = reply.header_values("x-plano-upstream-request-id")

    assert ["mine"] == reply.header_values("x-request-id")
    assert ([theirs] if own == "request-id" else []) == reply.header_values("request-id")
    assert "mine" != theirs


async def test_a_page_of_an_allowed_origin_asks_calls_and_reads(tmp_path):
    """As a browser does it: the question is answered by the sidecar, the call carried, the stream
    readable for the page.
    """
    page = {"origin": "http://localhost:3000"}
    ask = {
        **page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    async with ScriptedProvider() as provider:
        config = sidecar_config(
            provider.url, listeners=[{"allow_origins": ["http://localhost:3000"]}]
        )
        async with running_app(config, tmp_path) as app:
            preflight = await exchange(
                app.ports.data, raw_request("OPTIONS", "/v1/chat/completions", headers=ask)
            )
            before = len(provider.requests)
            body = {**CHAT, "stream": True}
            reply = await exchange(app.ports.data, json_request("/v1/chat/completions", body, page))
        (request,) = provider.requests

    assert (204, "authorization", 0) == (
        preflight.status,
        preflight.header("access-control-allow-headers"),
        before,
    )
    assert [page["origin"]] * 2 == [
        each.header("access-control-allow-origin") for each in (preflight, reply)
    ]
    assert (200, True, []) == (reply.status, reply.is_complete, request.header_values("origin"))
