"""Provider entries for tests, as the config would resolve them."""

from __future__ import annotations

from typing import Any

from sidecar.config.address import Server
from sidecar.config.conventions import ProviderPaths
from sidecar.config.families import FAMILIES, UNKNOWN
from sidecar.config.providers import Provider, Timeouts
from sidecar.config.secret import Secret


def a_provider(model: str, **changes: Any) -> Provider:
    """An entry at 127.0.0.1 that speaks what its prefix usually speaks.

    Any field can be given, those of its server and ``by_dialect`` (paths) and ``base_path`` as
    well. What it does not speak it does not serve, unless ``translate`` says otherwise.
    """
    prefix, _, model_id = model.partition("/")
    conventions = changes.get("conventions") or FAMILIES.get(prefix, UNKNOWN)
    usual = conventions.paths("/v1", "")
    server: dict[str, Any] = {
        "scheme": "http",
        "host": "127.0.0.1",
        "port": 1,
        "http_host": "127.0.0.1:1",
    }
    for name in (
        "scheme", "host", "port", "http_host", "tls_files", "server_name", "keep_idle_s"
    ):  # fmt: skip
        if name in changes:
            server[name] = changes.pop(name)
    paths = ProviderPaths(
        changes.pop("base_path", usual.base),
        changes.pop(
            "by_dialect", {dialect: usual.by_dialect[dialect] for dialect in conventions.dialects}
        ),
    )
    fields: dict[str, Any] = {
        "name": model,
        "model": model,
        "prefix": prefix,
        "model_id": model_id,
        "server": Server(**server),
        "paths": paths,
        "conventions": conventions,
        "access_key": Secret("sk-provider"),
        "passthrough_auth": False,
        "headers": (),
        "propagate_trace": True,
        "accept_encoding_passthrough": False,
        "timeouts": Timeouts(connect_s=2, first_byte_s=10, response_s=10, stream_idle_s=10),
        "price": None,
        "fallbacks": (),
        "failover_on_response_timeout": False,
        "is_default": False,
        "is_router": False,
        "translate": False,
    }
    return Provider(**{**fields, **changes})
