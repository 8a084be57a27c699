"""Which of the app's header lines a provider is sent, and what a session is called there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from sidecar.config.families import FAMILIES
from sidecar.config.secret import Secret
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import Call, Endpoint, Operation
from sidecar.upstream.cache_key import CacheKey
from sidecar.upstream.header_lines import HeaderLines
from sidecar.wire.headers import CACHE_HINTS, HeaderPolicy, split_group
from sidecar.wire.request_headers import read_headers
from tests.support.providers import a_provider
from tests.support.values import a_call

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
MADE = {
    "fireworks/m": "x-session-affinity",
    "mistral/m": "x-affinity",
    "xai/m": "x-grok-conv-id",
}
"""Entry -> its header that is made."""
PASSED_ON = {
    **{model: (name,) for model, name in MADE.items()},
    "openai/m": ("session-id", "thread-id", "x-client-request-id"),
    "chatgpt/m": ("session-id", "thread-id", "x-client-request-id"),
}


def path_of(model: str) -> str:
    """At which path an entry is called."""
    return {"chatgpt/m": "/v1/responses", "anthropic/m": MESSAGES}.get(model, CHAT)


def call(path: str = CHAT, lines: Sequence[str] = (), **changes: Any) -> Call:
    """A call of a session with header lines of the app's."""
    return a_call(
        **{
            "session_id": "s-1",
            "endpoint": DIALECTS.endpoints[path],
            "headers": app_lines(lines),
            **changes,
        }
    )


def app_lines(lines: Sequence[str], *split: str, everywhere: Sequence[str] = ()) -> Any:
    policy = HeaderPolicy(propagate=frozenset(everywhere), split=frozenset(split))
    pairs = [line.encode().partition(b": ") for line in lines]
    return read_headers([(name, value) for name, _, value in pairs], policy).lines


def seen(model: str, sent: Call, *, split: Sequence[str] = (), **changes: Any) -> dict[str, str]:
    """What an entry is sent of what names sessions, and of what begins with x-."""
    lines = HeaderLines(a_provider(model, **changes), split=frozenset(split)).for_call(sent)
    fields = [line.decode().removesuffix("\r\n").partition(": ") for line in lines]
    found = {name.lower(): value for name, _, value in fields}
    assert len(found) == len(fields)
    return {
        name: value
        for name, value in found.items()
        if (name in CACHE_HINTS or name.startswith("x-"))
        and name not in ("x-request-id", "x-api-key")
    }


def test_every_family_that_has_a_header_for_its_cache_has_a_group_of_lines_for_it():
    """Of its own, or with those that serve the same models."""
    rows = {name: row.cache_hints for name, row in FAMILIES.items() if row.cache_hints.headers}

    assert set(CACHE_HINTS) == {name for row in rows.values() for name in row.headers}
    assert {f"{name}/m": row.headers for name, row in rows.items()} == PASSED_ON
    assert {f"{name}/m": row.made for name, row in rows.items() if row.made} == MADE


@pytest.mark.parametrize("model", [*PASSED_ON, "anthropic/m", "azure_openai/m", "vllm/m", "groq/m"])
def test_what_the_app_calls_its_session_goes_to_the_provider_that_reads_it(model):
    """As it came, and to no other family."""
    lines = [f"{name}: own-{name}" for name in CACHE_HINTS]

    expected = {name: f"own-{name}" for name in PASSED_ON.get(model, ())}
    assert expected == seen(model, call(path_of(model), lines))


@pytest.mark.parametrize("model", [*MADE, "openai/m", "anthropic/m", "moonshotai/m"])
def test_a_session_that_the_app_does_not_name_there_is_named_by_a_hash(model):
    """The same for each of its calls; none where the provider has no header for it."""
    found = seen(model, call(path_of(model)))

    name = MADE.get(model)
    expected = CacheKey("sk-provider").of(call())
    assert ({} if name is None else {name: expected}) == found
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", expected)
    assert "s-1" not in expected


@pytest.mark.parametrize(
    ("sent", "changes"),
    [
        (call(session_id=None), {}),
        (call(body=b'{"model":"m","prompt_cache_key":"all-of-us","messages":[]}'), {}),
        (call(), {"cache_hint": "leave"}),
        (call(), {"access_key": None, "passthrough_auth": True}),
        (call("/v1/embeddings"), {}),
        (call(endpoint=Endpoint("/v1/files", DIALECTS.endpoints[CHAT].dialect, Operation.PASSTHROUGH)), {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", MADE)
def test_no_name_is_made_where_there_is_none_to_make_or_none_is_wanted(model, sent, changes):
    """No session, a word of the app's own, an operator who does not want it, no key to make it with, no prompt."""
    assert {} == seen(model, sent, **changes)


def test_messages_at_a_provider_that_reads_it_name_the_session_too():
    """The cache is that of the model, whatever the API."""
    assert {"x-session-affinity"} == seen("fireworks/m", call(MESSAGES)).keys()


def test_a_header_that_the_config_sets_stays_alone():
    """The operator's own word counts."""
    headers = (("X-Grok-Conv-Id", Secret("all-of-us")),)

    assert {"x-grok-conv-id": "all-of-us"} == seen("xai/m", call(), headers=headers)


@pytest.mark.parametrize(
    ("model", "propagate", "expected"),
    [
        ("openai/m", ("X-Tier",), {"x-tier": "gold", "session_id": "s", "originator": "me"}),
        ("openai/m", (), {"session_id": "s", "originator": "me"}),
        ("anthropic/m", ("X-Tier", "Session_Id"), {"x-tier": "gold", "session_id": "s"}),
        ("anthropic/m", (), {}),
        ("fireworks/m", (), {"session_id": "s", "originator": "me"}),
    ],
)
def test_an_entry_is_sent_what_its_own_config_names_beside_what_it_usually_is(
    model, propagate, expected
):
    """And others of its family are sent what they always were."""
    names = ("x-tier", "session_id", "user-agent")
    headers = app_lines(
        ["X-Tier: gold", "session_id: s", "originator: me", "user-agent: it"], *names
    )
    provider = a_provider(model, propagate=propagate, cache_hint="leave")
    lines = HeaderLines(provider, split=frozenset(names)).for_call(
        call(path_of(model), headers=headers)
    )

    found = dict(line.decode().strip().lower().split(": ") for line in lines)
    own = {
        *("authorization", "x-api-key", "accept-encoding", "x-request-id", "traceparent"),
        "anthropic-version",
    }
    assert {**expected, "user-agent": "it"} == {
        name: value for name, value in found.items() if name not in own
    }


@pytest.mark.parametrize("split", [(), ("anthropic-version",)])
def test_a_version_of_the_apps_own_is_the_only_one(split):
    """Also where it stands in a group of its own."""
    headers = app_lines(["anthropic-version: 2024-01-01"], *split)
    lines = HeaderLines(a_provider("anthropic/m"), split=frozenset(split)).for_call(
        call(MESSAGES, headers=headers)
    )

    versions = [line for line in lines if line.startswith(b"anthropic-version")]
    assert [b"anthropic-version: 2024-01-01\r\n"] == versions


def test_what_goes_everywhere_needs_no_group_of_its_own():
    """`propagate` at the top comes first."""
    assert "common" in app_lines(["X-Tier: gold"], "x-tier", everywhere=["x-tier"])
    assert split_group("x-tier") in app_lines(["X-Tier: gold"], "x-tier")
