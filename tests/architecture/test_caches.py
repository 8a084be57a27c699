"""Caches of the package: bounded in bytes, not only in entries."""

from __future__ import annotations

import pytest

from tests.architecture.tree import modules, names_in

BOUNDED_MAPS = {
    "sidecar/affinity/redis/write_back.py": "keys of sessions, at most 386 bytes",
    "sidecar/http1/dialer.py": "origins of the config",
    "sidecar/selection/pin_plans.py": "names of models and routes, 256 bytes, or 512 from Redis",
    "sidecar/telemetry/break_log.py": "entries of the config",
    "sidecar/telemetry/edge_log.py": "entries of the config",
    "sidecar/telemetry/last_failures.py": "entries of the config",
    "sidecar/telemetry/named_calls.py": "an operator's names",
    "sidecar/telemetry/spans.py": "span ids",
    "sidecar/upstream/cooling.py": "an entry and a model's name, 256 bytes",
    "sidecar/upstream/latency.py": "an entry and a model's name, 256 bytes",
    "sidecar/upstream/patches.py": "an entry and models' names, 256 bytes each",
    "sidecar/upstream/usage_asking.py": "an entry and a model's name, 256 bytes",
    "sidecar/wire/headers.py": "names of headers, 64 bytes",
    "sidecar/wire/response_headers.py": "names of headers, 64 bytes",
}
FUNCTION_CACHES = {
    "sidecar/affinity/session.py": "names of models, 256 bytes",
    "sidecar/config/translation.py": "sets of dialects",
    "sidecar/wire/patch.py": "names of models, 256 bytes",
    "sidecar/wire/own_headers.py": "names of models and routes, 256 bytes, or 512 from Redis",
}


@pytest.mark.parametrize(
    ("known", "names"),
    [(BOUNDED_MAPS, {"BoundedMap"}), (FUNCTION_CACHES, {"lru_cache"})],
    ids=["maps", "functions"],
)
def test_what_bounds_the_keys_of_each_cache_is_known(known, names):
    """Counted entries are bounded bytes only where each entry is: a new cache says by what."""
    found = {path for path, tree in modules().items() if names & names_in(tree)}

    assert sorted(known) == sorted(found - {"sidecar/runtime/bounded.py"})
