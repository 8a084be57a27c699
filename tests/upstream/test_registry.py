"""Provider entries share the connection pool of their origin and TLS files."""

from __future__ import annotations

import ssl

import pytest

from sidecar.config.address import TlsFiles
from sidecar.config.providers import Provider
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.errors import ConfigError
from sidecar.http1.pool import Pool
from sidecar.upstream.registry import ConnectionPools, Connections, ProviderRegistry
from tests.support.providers import a_provider
from tests.support.values import a_call


class _Maker:
    """Makes TLS contexts, and notes for which files."""

    def __init__(self) -> None:
        self.files: list[TlsFiles] = []

    def __call__(
        self, ca_file: str | None, cert_file: str | None, key_file: str | None
    ) -> ssl.SSLContext:
        files = TlsFiles(ca_file, cert_file, key_file)
        self.files.append(files)
        return ssl.create_default_context()


def _pools(*providers: Provider, make_tls: _Maker | None = None) -> list[Pool]:
    registry = ProviderRegistry(providers, ConnectionPools(make_tls or _Maker()), DIALECTS.by_name)
    return [registry.clients[provider.name].pool for provider in providers]


def test_entries_of_one_origin_share_a_pool():
    """Connections are the origin's, keys and models the entry's."""
    pools = _pools(
        a_provider("openai/a"),
        a_provider("openai/b"),
        a_provider("openai/c", port=2),
        a_provider("openai/d", scheme="https"),
    )

    assert pools[0] is pools[1]
    assert 3 == len({id(pool) for pool in pools})


def test_idle_connections_are_kept_as_long_as_the_entry_says():
    """Entries that differ in it have pools of their own."""
    pools = _pools(
        a_provider("openai/a", keep_idle_s=4.0),
        a_provider("openai/b", keep_idle_s=4.0),
        a_provider("openai/c"),
    )

    assert pools[0] is pools[1]
    assert [4.0, 4.0, 20.0] == [pool._idle._keepalive_s for pool in pools]


def test_trust_is_loaded_once_and_only_where_it_is_needed():
    """Reading the system's certificates takes 20 ms and 3 MB."""
    make_tls = _Maker()
    _pools(a_provider("openai/a"), make_tls=make_tls)
    assert 0 == len(make_tls.files)

    _pools(
        a_provider("openai/a", scheme="https"),
        a_provider("openai/b", scheme="https", port=2),
        make_tls=make_tls,
    )
    assert 1 == len(make_tls.files)


async def test_closing_closes_every_pool():
    """Nothing can be sent afterwards."""
    pools = ConnectionPools(_Maker())
    entries = [a_provider("openai/a"), a_provider("openai/b", port=2)]
    registry = ProviderRegistry(entries, pools, DIALECTS.by_name)
    await pools.aclose()

    assert [True, True] == [client.pool._is_closed for client in registry.clients.values()]


def test_entries_with_certificates_of_their_own_have_pools_of_their_own():
    """A connection that showed one client certificate is not used for another; each pair of files
    is loaded once.
    """
    make_tls, private = _Maker(), TlsFiles(ca_file="ca.pem")
    pools = _pools(
        a_provider("openai/a", scheme="https"),
        a_provider("openai/b", scheme="https", tls_files=private),
        a_provider("openai/c", scheme="https", tls_files=private),
        a_provider("openai/d", scheme="https", server_name="other.example"),
        make_tls=make_tls,
    )

    assert pools[1] is pools[2]
    assert 3 == len({id(pool) for pool in pools})
    assert [TlsFiles(), private] == make_tls.files
    assert "other.example" == pools[3].origin.server_name


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), ssl.SSLError(1, "bad key"), ValueError("x")]
)
def test_certificates_that_cannot_be_used_end_the_start_with_the_entry_named(error):
    """The path and the key stay out of it."""

    def make(*_files: str | None) -> ssl.SSLContext:
        raise error

    with pytest.raises(ConfigError, match="provider openai/a: its tls files cannot be used"):
        ConnectionPools(make).pool_for(a_provider("openai/a", scheme="https"))


def test_connections_are_counted_under_the_first_entrys_family():
    """Entries that share an address share them."""
    pools = ConnectionPools(_Maker())
    for entry in (a_provider("openai/a"), a_provider("groq/b"), a_provider("vllm/c", port=2)):
        pools.pool_for(entry)

    assert [Connections("openai", 0, 0), Connections("vllm", 0, 0)] == list(pools.connections())


def test_the_registry_of_another_config_uses_the_pools_that_are_there():
    """Connections outlive the config that first needed them."""
    pools = ConnectionPools(_Maker())
    before = ProviderRegistry([a_provider("openai/a")], pools, DIALECTS.by_name)
    after = ProviderRegistry([a_provider("openai/a", access_key=None)], pools, DIALECTS.by_name)

    assert before.clients["openai/a"].pool is after.clients["openai/a"].pool


def test_connections_to_an_entrys_server_are_counted():
    """None where no pool was needed yet."""
    pools = ConnectionPools(_Maker())
    provider = a_provider("openai/a")
    before = pools.connections_to(provider)
    pools.pool_for(provider)

    assert [(0, 0), (0, 0)] == [before, pools.connections_to(provider)]


@pytest.mark.parametrize(
    ("first", "requested", "owners"),
    [
        ("a", (), {"a", "a2"}),
        ("b", (), {"b"}),
        ("b", ("a", "b"), {"b"}),
        ("b", ("a",), {"a", "a2"}),
        ("b", ("a2", "a"), {"a", "a2"}),
    ],
)
def test_a_query_belongs_to_the_server_of_the_model_that_was_asked_for(first, requested, owners):
    """Entries at one server see the same query; a model that the sidecar chose does not."""
    pools = ConnectionPools(_Maker())
    entries = [
        a_provider("openai/m", name="a", host="a.example"),
        a_provider("openai/m", name="a2", host="a.example"),
        a_provider("openai/m", name="b", host="b.example"),
    ]
    registry = ProviderRegistry(entries, pools, DIALECTS.by_name)
    by_name = {
        name: Candidate(name, "openai/m", "m", "openai/m", frozenset({CHAT}))
        for name in ("a", "a2", "b")
    }
    plan = Plan((by_name[first],), 2, tuple(by_name[name] for name in requested))

    call = a_call(query="?x")
    registry.bind_query(call, plan)

    assert (owners, "?x") == (call.query_for, call.query)
