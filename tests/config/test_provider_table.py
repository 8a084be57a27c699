"""What each provider family serves, and where, as its maker documents it."""

from __future__ import annotations

import pytest

from sidecar.config.families import FAMILIES
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import (
    CHAT,
    MESSAGES,
    Endpoint,
    InboundLines,
    Operation,
)
from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from sidecar.routing.table import ModelTable
from sidecar.upstream.client import ProviderClient
from tests.config.loading import load
from tests.support.provider_table import BEARER, CLAUDE, SERVED, TELL_USAGE_IF_ASKED
from tests.support.values import a_call


def _entry(family: str, model: str = "m", base_url: str = "", more: str = "") -> str:
    if not base_url and FAMILIES[family].origin is None:
        base_url = "https://own"
    at = f", base_url: '{base_url}'" if base_url else ""
    return f"model_providers: [{{model: {family}/{model}, access_key: k{at}{more}}}]"


def _request(text: str, endpoint: Endpoint, headers: InboundLines | None = None) -> list[str]:
    """The lines of the head that a call gets at the only entry of a config."""
    (provider,) = load(text).providers
    client = ProviderClient(provider, Pool(Origin("https", "h", 443)), DIALECTS.by_name)
    body = b'{"model":"m"}'
    facts = DIALECTS.by_name[endpoint.dialect].peek(body, frozenset())
    call = a_call(endpoint=endpoint, body=body, facts=facts, headers=headers or {})
    table = ModelTable([provider], {})
    (candidate,) = (
        table.entries_of(provider.model) or table.owners.configured(provider.prefix).candidates
    )
    head, _ = client.request(call, candidate)
    return head.decode().split("\r\n")


def _generate(dialect: str) -> Endpoint:
    return next(each for each in DIALECTS.endpoints.values() if each.dialect == dialect)


def test_the_table_says_something_of_every_family():
    """And of none that is not built in."""
    routers = {name for name, row in FAMILIES.items() if row.is_router}
    assert set(FAMILIES) == set(SERVED) | routers


def test_the_families_are_those_that_tell_usage_where_they_are_asked():
    """Of any other, the option may be a refusal, and a chunk with usage may be the app's."""
    telling = {name for name, row in FAMILIES.items() if row.tells_usage_if_asked}

    assert TELL_USAGE_IF_ASKED == telling


@pytest.mark.parametrize(
    ("family", "model", "served"),
    [
        *((family, "m", served) for family, served in SERVED.items()),
        *((family, "claude-x", served) for family, served in CLAUDE.items()),
    ],
)
def test_a_family_serves_its_dialects_where_its_maker_says(family, model, served):
    """No more of them, each at its path, with the key in its header."""
    text = _entry(family, model)
    (provider,) = load(text).providers
    assert set(served) == set(provider.spoken_by(provider.model_id))

    for dialect, (place, key) in served.items():
        line, host, *lines = _request(text, _generate(dialect))
        path = line.removeprefix("POST ").removesuffix(" HTTP/1.1")
        assert (place, key) == (host.removeprefix("Host: ") + path, lines[0])


@pytest.mark.parametrize("family", CLAUDE)
def test_a_wildcard_of_two_kinds_of_models_tells_them_apart(family):
    """A call goes to no path that its model does not have."""
    (provider,) = load(_entry(family, "*")).providers

    assert set(CLAUDE[family]) == set(provider.spoken_by("anthropic.Claude-x"))
    assert set(SERVED[family]) == set(provider.spoken_by("gpt-oss"))


def test_dialects_that_the_config_names_hold_for_every_model():
    """The operator knows better."""
    (provider,) = load(_entry("azure_openai", "*", more=", dialects: [chat]")).providers
    assert {CHAT} == provider.spoken_by("claude-x")


@pytest.mark.parametrize(
    ("family", "base_url", "path"),
    [
        ("deepseek", "https://gw/deepseek/v1", "/deepseek/anthropic/v1/messages"),
        ("deepseek", "https://gw", "/anthropic/v1/messages"),
        ("zhipu", "https://gw/x/api/paas/v4", "/x/api/anthropic/v1/messages"),
        ("openrouter", "https://gw/api/v1", "/api/v1/messages"),
        ("amazon_bedrock", "https://gw/openai/v1", "/anthropic/v1/messages"),
    ],
)
def test_messages_follow_a_base_url_of_ones_own(family, base_url, path):
    """A gateway before a provider keeps the provider's paths below its own."""
    model = "claude-x" if family == "amazon_bedrock" else "m"
    line, *_ = _request(_entry(family, model, base_url), _generate(MESSAGES))
    assert f"POST {path} HTTP/1.1" == line


def test_whoever_serves_messages_gets_anthropics_headers_and_version():
    """Betas and the version belong to the API, not to the maker of the model."""
    endpoint = _generate(MESSAGES)
    headers = {"anthropic": (b"anthropic-beta: b\r\n",), "openai": (b"x-title: t\r\n",)}

    lines = _request(_entry("deepseek"), endpoint, headers)
    assert {"anthropic-beta: b", "anthropic-version: 2023-06-01"} <= set(lines)
    assert "x-title: t" not in lines
    lines = _request(_entry("deepseek"), _generate(CHAT), headers)
    assert "x-title: t" in lines
    assert not [line for line in lines if line.startswith("anthropic-")]


@pytest.mark.parametrize(
    ("path", "sent", "key"),
    [
        ("/v1/files", "/v1beta/openai/files", BEARER),
        ("/v1beta/models/m:generateContent", "/v1beta/models/m:generateContent", "x-goog-api-key: k"),
    ],
)  # fmt: skip
def test_geminis_own_api_wants_the_key_in_another_header(path, sent, key):
    """Below its compatible paths it is a bearer, beside them Google's own header."""
    line, _, first, *_ = _request(_entry("gemini"), Endpoint(path, CHAT, Operation.PASSTHROUGH))
    assert (f"POST {sent} HTTP/1.1", key) == (line, first)
