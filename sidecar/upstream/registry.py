"""All providers of a config, and the connection pools that they share."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from sidecar.config.address import TlsFiles
from sidecar.config.providers import Provider, split_names
from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Plan
from sidecar.domain.errors import ConfigError
from sidecar.domain.ports import ArrivingReply
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from sidecar.runtime.memory_budget import MemoryShare, unlimited
from sidecar.runtime.tls_files import RenewableTls, watched_files, why_unusable
from sidecar.runtime.write_coalescer import Write
from sidecar.upstream.attempts import Strip
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.patches import Patches
from sidecar.upstream.translated_reply import TranslatedReply

LOOK_AGAIN_S: Final = 5.0
"""Between two looks at TLS files; a kubelet brings what was rotated within a minute or two."""

_PoolKey = tuple[Origin, TlsFiles, float]


class Connections(msgspec.Struct, frozen=True):
    """The connections that one pool holds."""

    provider: str
    """The family of the first entry that uses the pool."""
    active: int
    idle: int


class ConnectionPools:
    """One pool for each origin, set of TLS files and idle time, shared by all provider entries that
    have these.

    The pools know nothing of keys or models, so they may outlive the config that first needed them.
    """

    def __init__(
        self,
        make_tls: Callable[[str | None, str | None, str | None], ssl.SSLContext],
        write: Write | None = None,
        dialer: Dialer | None = None,
        replies: MemoryShare | None = None,
        heads: MemoryShare | None = None,
    ) -> None:
        """Args: ``make_tls`` loads a provider's CA, certificate and key files, for https.
        ``replies`` is what memory is taken of for responses that are held, ``heads`` for long heads
        of responses; None: no limit.
        """
        self.replies = unlimited() if replies is None else replies
        self._make_tls = make_tls
        self._dialer = dialer or Dialer()
        self._make_pool = functools.partial(
            _make_pool, write=write, dialer=self._dialer, heads=heads
        )
        self._pools: dict[_PoolKey, Pool] = {}
        self._families: dict[_PoolKey, str] = {}
        self._contexts: dict[TlsFiles, RenewableTls] = {}

    def pool_for(self, provider: Provider) -> Pool:
        """Return the pool of the provider's origin and TLS files; make it if it is the first.

        Raises: ConfigError where the provider's certificates or keys cannot be used.
        """
        key = origin, _, idle_s = _pool_key(provider)
        pool = self._pools.get(key)
        if pool is None:
            tls = self._tls_of(provider) if provider.server.scheme == "https" else None
            pool = self._pools[key] = self._make_pool(origin, tls, idle_s)
            self._families[key] = provider.prefix
        return pool

    def connections(self) -> Iterator[Connections]:
        """Count each pool's connections, under the family of the first entry that needed it."""
        for key, pool in self._pools.items():
            yield Connections(self._families[key], pool.active, pool.idle)

    def connections_to(self, provider: Provider) -> tuple[int, int]:
        """Return how many connections to the provider's server are in use, and how many are idle.
        Entries of one server share them.
        """
        pool = self._pools.get(_pool_key(provider))
        return (0, 0) if pool is None else (pool.active, pool.idle)

    async def close_all_but(self, providers: Iterable[Provider]) -> None:
        """Close the pools, and let go of the TLS contexts, that none of ``providers`` needs."""
        needed = {_pool_key(provider) for provider in providers}
        unused = [key for key in self._pools if key not in needed]
        pools = [self._pools.pop(key) for key in unused]
        for key in unused:
            del self._families[key]
        left = set(self._contexts) - {files for _, files, _ in needed}
        for tls in [self._contexts.pop(files) for files in left]:
            await tls.aclose()
        for pool in pools:
            await pool.aclose()

    async def keep_tls_fresh(self) -> None:
        """Look at the TLS files again and again, until cancelled. A handshake that fails looks at
        its own at once.
        """
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            for tls in tuple(self._contexts.values()):
                await tls.renew()

    async def aclose(self) -> None:
        """Close every pool, then the resolver behind them."""
        for tls in self._contexts.values():
            await tls.aclose()
        for pool in self._pools.values():
            await pool.aclose()
        await self._dialer.aclose()

    def _tls_of(self, provider: Provider) -> RenewableTls:
        """Return the TLS context of the provider's files, loaded once for all that name the same:
        the system's certificates alone take 20 ms and 3 MB.
        """
        files = provider.server.tls_files
        tls = self._contexts.get(files)
        if tls is None:
            named = files.ca_file, files.cert_file, files.key_file
            tls = RenewableTls(
                functools.partial(self._make_tls, *named),
                watched_files(*named),
                functools.partial(self._use_tls, files),
            )
            try:
                tls.load()
            except (OSError, ValueError) as error:
                reason = why_unusable(error)
                raise ConfigError(
                    [f"provider {provider.name}: its tls files cannot be used: {reason}"]
                ) from error
            self._contexts[files] = tls
        return tls

    def _use_tls(self, files: TlsFiles, context: ssl.SSLContext) -> None:
        """Have all pools of some files use another context."""
        for (origin, own, _), pool in self._pools.items():
            if own == files and origin.scheme == "https":
                pool.use_tls(context)


def _make_pool(
    origin: Origin,
    tls: RenewableTls | None,
    idle_s: float,
    write: Write | None,
    dialer: Dialer,
    heads: MemoryShare | None,
) -> Pool:
    context = None if tls is None else tls.context
    pool = Pool(origin, ssl_context=context, keepalive_s=idle_s, write=write, dialer=dialer)
    pool.head_memory = heads
    pool.renew_tls = None if tls is None else tls.renew
    return pool


def _pool_key(provider: Provider) -> _PoolKey:
    server = provider.server
    origin = Origin(server.scheme, server.host, server.port, server.server_name)
    return origin, server.tls_files, server.keep_idle_s


class ProviderRegistry:
    """The client of every provider entry of one config, by entry name."""

    def __init__(
        self,
        providers: Iterable[Provider],
        pools: ConnectionPools,
        dialects: Mapping[DialectName, Dialect],
        strip: Strip | None = None,
        via: bytes = b"",
        owner_of: Callable[[Call, str], str | None] = lambda _call, _path: None,
    ) -> None:
        """Args: ``strip`` makes the call for one more attempt where no provider can read the
        conversation's signed state; None leaves it at the refusal. ``via`` is what this process
        adds to Via. ``passthrough_of`` names the provider to which a path is passed through.
        Raises: ConfigError as `ConnectionPools.pool_for` does.
        """
        self.strip = strip
        self.owner_of = owner_of
        self.replies = pools.replies
        providers = tuple(providers)
        self.patches = Patches(providers)
        split = split_names(providers)
        self.clients = {
            provider.name: ProviderClient(provider, pools.pool_for(provider), dialects, via, split)
            for provider in providers
        }

    def buffered(self, reply: ArrivingReply | TranslatedReply) -> BufferedReply:
        """Return a reply that can be read while it is kept, within the memory for such."""
        assert not isinstance(reply, TranslatedReply)  # these show no error
        return BufferedReply(reply, self.replies)

    def bind_query(self, call: Call, plan: Plan) -> None:
        """Bind a call's query to the server of the model that it was written for: the one that the
        app asked for, else the one that the call was decided for.
        """
        intended, requested = plan.candidates[0], plan.requested
        owner = intended if intended in requested or not requested else requested[0]
        origin = self.clients[owner.provider].pool.origin
        names = (name for name, each in self.clients.items() if each.pool.origin == origin)
        call.query_for = frozenset(names)
