"""What the log says of a sidecar that has started."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.config.address import RedisAddress, names_several_servers, read_redis_url
from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router
from sidecar.config.schema import Config
from sidecar.telemetry.build_facts import build_facts


def start_fields(
    loaded: LoadedConfig, listening: Mapping[str, object], listener_path: str
) -> dict[str, object]:
    """Return the fields of the line by which a sidecar says that it is ready. No secret is among
    them. Called in the event loop that serves.

    Args: ``listening`` says where the listeners are, in fields of its own.
    """
    config = loaded.config
    router = find_router(config, loaded.providers)
    return {
        **msgspec.structs.asdict(build_facts(listener_path)),
        "config": str(loaded.files[0]) if loaded.files else "environment",
        "config_hash": loaded.hash,
        **listening,
        "models": [each.name for each in loaded.providers if not each.is_router],
        "routes": [each.name for each in config.routing_preferences],
        "router": None if router is None else router.name,
        "store": store_place(config),
    }


def store_place(config: Config) -> str:
    """Return where pins are kept: ``memory``, or ``redis at host:port``."""
    cache = config.routing.session_cache
    if cache.type == "memory" or cache.url is None or names_several_servers(cache.url.reveal()):
        return "memory"
    address = read_redis_url(cache.url.reveal())
    return f"redis at {address.host}:{address.port}" if isinstance(address, RedisAddress) else ""
