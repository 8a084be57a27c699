"""One row says all about a provider family."""

from __future__ import annotations

import pytest

from sidecar.config.conventions import (
    API_KEY,
    BEARER,
    X_API_KEY,
    Conventions,
    CredentialStyle,
    HeaderFamily,
    ProviderPaths,
    family_of,
)
from sidecar.config.families import FAMILIES
from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.request import REQUEST_BODY
from sidecar.domain.call import CHAT, MESSAGES
from sidecar.domain.decision import Candidate
from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from sidecar.upstream.client import ProviderClient
from tests.config.loading import load
from tests.support.values import a_call

TOY = Conventions(
    "https://api.toy.example",
    "/toy/v3",
    dialects=(CHAT,),
    credential=CredentialStyle("x-toy-key", "Toy "),
)


@pytest.fixture
def toy(monkeypatch):
    """A family that is known by its row alone."""
    monkeypatch.setitem(FAMILIES, "toy", TOY)


def test_a_row_is_all_that_a_new_family_needs(toy):
    """Its address, its path and its way to carry a key are those of the row, on the wire too."""
    (provider,) = load("model_providers: [{model: toy/m, access_key: k}]").providers
    pool = Pool(Origin("https", provider.server.host, 443))
    client = ProviderClient(provider, pool, DIALECTS.by_name)
    body = b'{"model":"toy/m"}'
    head, _ = client.request(a_call(body=body, facts=REQUEST_BODY.peek(body)), _candidate())

    first, host, key, *_ = head.decode().split("\r\n")
    assert (
        "POST /toy/v3/chat/completions HTTP/1.1",
        "Host: api.toy.example",
        "x-toy-key: Toy k",
    ) == (first, host, key)


def _candidate():
    return Candidate("toy/m", "toy/m", "m", "toy/m", frozenset({CHAT}))


@pytest.mark.parametrize(
    ("style", "line"),
    [
        (BEARER, "Authorization: Bearer k\r\n"),
        (X_API_KEY, "x-api-key: k\r\n"),
        (API_KEY, "api-key: k\r\n"),
    ],
)
def test_a_credential_style_writes_the_line_of_a_key(style, line):
    """Header, what goes before the key, and the line end."""
    assert line == style.line("k")


def test_an_interface_says_what_is_spoken_and_leaves_the_address():
    """Of a family that names another one's interface only the origin is left."""
    row = FAMILIES["deepseek"].speaking(FAMILIES["anthropic"])

    assert ("https://api.deepseek.com", X_API_KEY, HeaderFamily.ANTHROPIC) == (
        row.origin,
        row.credential,
        row.header_family,
    )
    assert FAMILIES["anthropic"].dialects == row.dialects


@pytest.mark.parametrize(
    ("interface", "credential"), [("openai", API_KEY), ("groq", API_KEY), ("anthropic", X_API_KEY)]
)
def test_a_host_serves_every_interface_in_its_own_way(interface, credential):
    """Azure's paths, and its header for the key unless the interface is Anthropic's."""
    azure = FAMILIES["azure_openai"]
    row = azure.speaking(FAMILIES[interface])

    assert (azure.paths, "", credential) == (row.paths, row.base_path, row.credential)
    assert FAMILIES[interface].dialects == row.dialects


def test_every_row_has_a_path_for_each_dialect():
    """Whichever dialects an entry names."""
    for row in FAMILIES.values():
        assert set(DIALECTS.by_name) == set(row.paths(row.base_path, "").by_dialect)


def test_the_token_counter_is_below_messages():
    """A query stays behind it; without messages there is none."""
    assert "/m/count_tokens?v=1" == ProviderPaths("", {MESSAGES: "/m?v=1"}).count_tokens
    assert None is ProviderPaths("", {CHAT: "/c"}).count_tokens


def test_a_family_is_what_stands_before_the_first_slash():
    """The rest is the provider's own name for a model."""
    assert ("openrouter", "plain") == (family_of("openrouter/a/b"), family_of("plain"))
