"""A config is swapped under calls in flight: they end by the old one, new ones use the new one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from sidecar import app as app_module
from sidecar.app import App
from sidecar.build.foundation import Foundation, build_foundation
from sidecar.build.generation import build_generation
from sidecar.config.load import LoadedConfig, load_config
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.decision import Price
from sidecar.domain.errors import ConfigError
from sidecar.domain.vocabulary import FailureClass
from sidecar.generation import Generation
from sidecar.listener.kept_connections import ConnectionLimits
from sidecar.listener.operators import OperatorAccess
from sidecar.routing.router_breaker import RouterBreaker
from sidecar.runtime.lifecycle import DrainTimes, Tasks
from sidecar.selection.explain import NamedSession, TriedCall, body_of_text
from sidecar.telemetry.log_writer import log_level, set_log_level
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.support.faults import Fault
from tests.support.net import RawReply, exchange, raw_request, read_reply
from tests.support.scripted_provider import ScriptedProvider

CHAT = "/v1/chat/completions"
ONE, OTHER = "openai/gpt-4o", "openai/gpt-4o-mini"


def _config(*entries: tuple[str, str], alias: str, **more: Any) -> dict[str, Any]:
    """Args: ``entries`` are (model, base_url); ``alias`` is what the model name ``fast`` means."""
    return {
        "version": "v0.4.0",
        "listeners": [{"type": "model", "name": "llm", "address": "127.0.0.1", "port": 0}],
        "admin": {"address": "127.0.0.1", "port": 0},
        "model_providers": [
            {"model": model, "access_key": "sk-demo", "base_url": url, "default": model == ONE}
            for model, url in entries
        ],
        "model_aliases": {"fast": {"target": alias.removeprefix("openai/")}},
        **more,
    }


@pytest.fixture
def load(tmp_path):
    """Load a config as from a file."""

    def load(config: dict[str, Any]) -> LoadedConfig:
        file = tmp_path / "sidecar.yaml"
        file.write_text(json.dumps(config))
        return load_config(file, {})

    return load


async def _ask(app: App, model: str = "fast") -> RawReply:
    return await exchange(app.ports.data, _request(model))


def _request(model: str = "fast", *, close: bool = True) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return raw_request("POST", CHAT, json.dumps(body).encode(), close=close)


@contextlib.asynccontextmanager
async def _connected(app: App) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def _until_retired(app: App) -> None:
    await _until_left(app, 1)


async def _until_left(app: App, count: int) -> None:
    async with asyncio.timeout(20):
        while len(app._generations) > count:
            await asyncio.sleep(0)


async def test_a_call_in_flight_ends_by_the_config_it_began_with(load):
    """The old generation is closed when its last call has ended, not before; a call that begins
    after the swap is served by the new one at once.
    """
    async with ScriptedProvider() as provider:
        entries = (ONE, provider.url), (OTHER, provider.url)
        async with App(load(_config(*entries, alias=ONE))) as app:
            hold = asyncio.Event()
            provider.script.next(Fault(hold=hold), model="gpt-4o")
            old_call = Tasks().spawn(_ask(app), name="old call")
            await provider.wait_for_requests(1)
            old = app.generation
            app.swap(load(_config(*entries, alias=OTHER)))
            new_reply = await _ask(app)

            assert [old, app.generation] == app._generations
            hold.set()
            old_reply = await old_call
            await _until_retired(app)
            last_reply = await _ask(app)

    assert [(200, ONE), (200, OTHER), (200, OTHER)] == [
        (reply.status, reply.header("x-plano-model"))
        for reply in (old_reply, new_reply, last_reply)
    ]


async def test_a_call_of_hours_keeps_one_generation_alive(load):
    """Its own: those that came after it and served nothing, or whose calls have ended, are closed
    however long it goes on.
    """
    async with ScriptedProvider() as provider:
        entries = (ONE, provider.url), (OTHER, provider.url)
        async with App(load(_config(*entries, alias=ONE))) as app:
            hold = asyncio.Event()
            provider.script.next(Fault(hold=hold), model="gpt-4o")
            long_call = Tasks().spawn(_ask(app), name="long call")
            await provider.wait_for_requests(1)
            first, counts = app.generation, []
            for _ in range(5):
                app.swap(load(_config(*entries, alias=OTHER)))
                await _ask(app)
                await _until_left(app, 2)
                counts.append(_generations(app))

            assert [first, app.generation] == app._generations
            hold.set()
            await long_call
            await _until_retired(app)
            counts.append(_generations(app))

    assert [2, 2, 2, 2, 2, 1] == counts


def _generations(app: App) -> float | None:
    registry = app.foundation.telemetry.metrics.registry
    return registry.get_sample_value("plano_sidecar_config_generations")


async def test_limits_times_and_the_log_level_take_effect_at_once(load):
    """Of those that outlive a config. A level that an operator has set meanwhile stays, where the
    config's own is the same.
    """
    log = logging.getLogger("sidecar")
    before = log.level
    entry = ONE, "http://127.0.0.1:1"
    more = {
        "limits": {"in_flight": 7, "buffered_bytes": 9, "idle_connections": 11},
        "drain": {"quiet_s": 1, "grace_s": 3},
        "admin": {"address": "127.0.0.1", "port": 0, "mutations": True},
        "timeouts": {"request_header_s": 2, "downstream_idle_s": 4, "idle_connection_s": 5},
        "logging": {"level": "error"},
    }
    try:
        async with App(load(_config(entry, alias=ONE))) as app:
            foundation, servers = app.foundation, app._servers
            assert servers is not None
            set_log_level("debug")
            app.swap(load(_config(entry, alias=ONE, model_aliases={})))
            levels = [log_level()]
            app.swap(load(_config(entry, alias=ONE) | more))
            levels.append(log_level())

            assert (7, 9, DrainTimes(1, 3)) == (
                foundation.drain.limit,
                foundation.memory.bodies.cap_bytes,
                foundation.shutdown.times,
            )
            assert OperatorAccess(mutations=True) == servers.operators_handler.access
            assert ConnectionLimits(2, 4, 5, 11) == foundation.kept_connections.limits
            assert ["debug", "error"] == levels
    finally:
        log.setLevel(before)


async def test_the_router_models_breaker_outlives_the_config(load):
    """A change elsewhere has mended nothing; another key, or another model, begins anew."""
    config = _config((ONE, "http://127.0.0.1:1"), alias=ONE)
    router = {"model": "plano/router", "base_url": "http://127.0.0.1:1", "access_key": "a"}
    config["model_providers"].append(router)
    config["overrides"] = {"llm_routing_model": "plano/router"}
    breakers = []
    async with App(load(config)) as app:
        changes: list[dict[str, Any]] = [{}, {"limits": {"attempts": 1}}, {"overrides": {}}, {}]
        for change in changes:
            app.swap(load(config | change))
            breakers.append(_breaker(app))
        router["access_key"] = "b"
        app.swap(load(config))
        breakers.append(_breaker(app))

    first, kept, none, again, other_key = breakers
    assert first is kept
    assert none is None
    assert 3 == len({id(each) for each in (first, again, other_key)})


def _breaker(app: App) -> RouterBreaker | None:
    classifier = app.generation.classifier
    return None if classifier is None else classifier.breaker


async def test_prices_outlive_the_config(load):
    """Where the next config names their source too: none is unknown for a moment."""
    source = {"type": "cost", "provider": "models.dev", "url": "http://127.0.0.1:1"}
    config = _config((ONE, "http://127.0.0.1:1"), alias=ONE, model_metrics_sources=[source])
    async with App(load(config)) as app:
        (state,) = app.generation.sources.states
        state.prices, state.is_loaded = {ONE: Price(1.0, 2.0)}, True
        app.swap(load(config))

        assert {ONE: Price(1.0, 2.0)} == app.generation.sources.prices


async def test_a_kept_connection_of_the_app_meets_the_new_config(load):
    """It is not closed, and its next request is one by the new config."""
    async with ScriptedProvider() as provider:
        entries = (ONE, provider.url), (OTHER, provider.url)
        async with App(load(_config(*entries, alias=ONE))) as app:
            models = []
            async with _connected(app) as (reader, writer):
                for alias in (OTHER, ONE, OTHER):
                    writer.write(_request(close=False))
                    models.append((await read_reply(reader)).header("x-plano-model"))
                    app.swap(load(_config(*entries, alias=alias)))

    assert [ONE, OTHER, ONE] == models


async def test_a_connection_that_is_busy_all_the_time_holds_no_generation(load):
    """Its next call is one of the new generation, though the same task carries it."""
    async with ScriptedProvider() as provider:
        entries = (ONE, provider.url), (OTHER, provider.url)
        async with App(load(_config(*entries, alias=ONE))) as app:
            first, second = asyncio.Event(), asyncio.Event()
            provider.script.next(Fault(hold=first), model="gpt-4o")
            provider.script.next(Fault(hold=second), model="gpt-4o-mini")
            async with _connected(app) as (reader, writer):
                writer.write(_request(close=False))
                await provider.wait_for_requests(1)
                app.swap(load(_config(*entries, alias=OTHER)))
                writer.write(_request(close=False))
                first.set()
                await provider.wait_for_requests(2)
                await _until_retired(app)

                assert 1 == app.foundation.drain.in_flight
                second.set()
                replies = [await read_reply(reader), await read_reply(reader)]

    assert [ONE, OTHER] == [reply.header("x-plano-model") for reply in replies]


async def test_connections_outlive_the_config_where_the_origin_stays(load):
    """The pool of an origin that both configs name is the same; that of another one is closed once
    no generation needs it.
    """
    async with ScriptedProvider() as stays, ScriptedProvider() as goes, ScriptedProvider() as comes:
        before = _config((ONE, stays.url), (OTHER, goes.url), alias=ONE)
        async with App(load(before)) as app:
            await _ask(app, "gpt-4o")
            await _ask(app, "gpt-4o-mini")
            kept, left = app.foundation.pools._pools.values()
            app.swap(load(_config((ONE, stays.url), (OTHER, comes.url), alias=ONE)))
            await _until_retired(app)
            await _ask(app, "gpt-4o")
            await _ask(app, "gpt-4o-mini")

            now_kept, new = app.foundation.pools._pools.values()
            assert kept is now_kept
            assert new is not left
            assert [1, 0, 1] == [pool.idle for pool in (kept, left, new)]


async def test_a_config_that_cannot_be_built_changes_nothing(load, tmp_path):
    """Its problem is raised, and the old config serves on."""
    authority = tmp_path / "ca.pem"
    authority.write_text("no certificate")
    async with ScriptedProvider() as provider:
        good = _config((ONE, provider.url), alias=ONE)
        bad = _config((ONE, "http://127.0.0.1:1"), (OTHER, "https://127.0.0.1:2"), alias=OTHER)
        bad["model_providers"][1]["tls"] = {"ca_file": str(authority)}
        async with App(load(good)) as app:
            generation = app.generation
            with pytest.raises(ConfigError, match="tls files"):
                app.swap(load(bad))
            reply = await _ask(app)

            assert [generation] == app._generations
            assert 1 == len(app.foundation.pools._pools)
    assert (200, ONE) == (reply.status, reply.header("x-plano-model"))


@pytest.fixture
def _same_log_level() -> Iterator[None]:
    """Leaves the log's level to other tests as it was."""
    log = logging.getLogger("sidecar")
    level = log.level
    yield
    log.setLevel(level)


@pytest.mark.parametrize("step", ["_raise_file_limit", "set_log_level", "swap_handlers"])
@pytest.mark.usefixtures("_same_log_level")
async def test_a_swap_that_fails_halfway_leaves_the_old_config_whole(load, monkeypatch, step):
    """Calls, settings, gauges and what is closed at the end go by the one before."""
    monkeypatch.setattr("sidecar.app.raise_file_limit", lambda _: -1)
    async with ScriptedProvider() as provider:
        entries = (ONE, provider.url), (OTHER, provider.url)
        limits = {"limits": {"in_flight": 7}, "logging": {"level": "error"}}
        good, other = _config(*entries, alias=ONE), _config(*entries, alias=OTHER) | limits
        async with App(load(good)) as app:
            generation, in_flight = app.generation, app.foundation.drain.limit
            failures = iter([ValueError("no")])
            set_log_level("debug")
            with monkeypatch.context() as patched:
                real = getattr(app_module, step)

                def fail_once(*arguments):
                    for failure in failures:
                        raise failure
                    return real(*arguments)

                patched.setattr(app_module, step, fail_once)
                with pytest.raises(ValueError, match="no"):
                    app.swap(load(other))
            reply = await _ask(app)
            kept = app.generation, list(app._generations), app.foundation.drain.limit, log_level()
            app.swap(load(other))
            again = await _ask(app)

    assert (generation, [generation], in_flight, "debug") == kept
    assert (200, ONE, 200, OTHER) == (
        reply.status, reply.header("x-plano-model"), again.status, again.header("x-plano-model")
    )  # fmt: skip


async def test_a_swap_for_the_same_config_ends_no_ejection(load):
    """Nothing tells that the key that was refused is good by now."""
    async with ScriptedProvider() as provider:
        config = _config((ONE, provider.url), alias=ONE)
        async with App(load(config)) as app:
            provider.script.next("401", model="gpt-4o")
            await _ask(app)
            now_s = app.foundation.clock.monotonic_s()
            before = app.foundation.cooling.ejected(now_s)
            app.swap(load(config))
            same = app.foundation.cooling.ejected(now_s)
            app.swap(load(config | {"propagate": ["x-a"]}))
            other = app.foundation.cooling.ejected(now_s)

    assert (1, before, []) == (len(before), same, other)


async def test_what_was_learnt_of_candidates_outlives_the_config(load):
    """But for ejections: an operator has looked after the keys."""
    async with ScriptedProvider() as provider:
        entries = (ONE, provider.url), (OTHER, provider.url)
        async with App(load(_config(*entries, alias=ONE))) as app:
            provider.script.next("401", model="gpt-4o")
            provider.script.next("429", model="gpt-4o-mini")
            await _ask(app, "gpt-4o")
            await _ask(app, "gpt-4o-mini")
            before = {model for _, model in app.foundation.cooling.cooldowns}
            app.swap(load(_config(*entries, alias=OTHER)))

            assert {"gpt-4o", "gpt-4o-mini"} == before
            now_s = app.foundation.clock.monotonic_s()
            cooldowns = app.foundation.cooling.cooldowns.items()
            assert {"gpt-4o-mini"} == {
                model for (_, model), each in cooldowns if each.due_s > now_s
            }


async def test_ports_and_readiness_stay(load):
    """Neither kubelet nor an app sees the swap."""
    async with ScriptedProvider() as provider:
        loaded = load(_config((ONE, provider.url), alias=ONE))
        async with App(loaded) as app:
            ports = app.ports
            app.swap(loaded)
            ready = await exchange(app.ports.admin, raw_request("GET", "/readyz"))

            assert (ports, 200) == (app.ports, ready.status)


async def test_what_a_generation_runs_ends_with_it(load):
    """Its price sources are read by tasks of its own; closing twice is closing once."""
    before = asyncio.all_tasks()
    sources = [{"type": "cost", "provider": "models.dev", "refresh_interval": 3600}]
    config = _config((ONE, "http://127.0.0.1:1"), alias=ONE, model_metrics_sources=sources)
    loaded = load(config)
    foundation = build_foundation(loaded, {}, DIALECTS, lambda: None)
    generation = build_generation(loaded, foundation)

    assert ["source 0"] == [task.get_name() for task in asyncio.all_tasks() - before]
    await generation.aclose()
    await generation.aclose()
    assert before == asyncio.all_tasks()
    assert 0.0 == foundation.telemetry.metrics.registry.get_sample_value("plano_sidecar_in_flight")


async def test_a_generations_candidates_are_all_that_apps_can_be_served_by(load):
    """Each entry once, a wildcard as one; the router model is none."""
    config = _config((ONE, "http://127.0.0.1:1"), ("openai/*", "http://127.0.0.1:1"), alias=ONE)
    router = {"model": "plano/router", "base_url": "http://127.0.0.1:1"}
    config["model_providers"].append(router)
    config["overrides"] = {"llm_routing_model": "plano/router"}
    loaded = load(config)
    foundation = build_foundation(loaded, {}, DIALECTS, lambda: None)
    generation: Generation = build_generation(loaded, foundation)

    assert [(ONE, ONE), ("openai/*", "openai/*")] == generation.candidates()
    await generation.aclose()


async def test_a_scrape_says_how_many_candidates_of_a_route_serve(load):
    """Only of routes that the router model can choose; a cooling candidate does not count."""
    config = _config((ONE, "http://127.0.0.1:1"), (OTHER, "http://127.0.0.1:1"), alias=ONE)
    config["routing_preferences"] = [{"name": "code", "description": "d", "models": [ONE, OTHER]}]
    unrouted = load(config)
    config["model_providers"].append({"model": "plano/router", "base_url": "http://127.0.0.1:1"})
    config["overrides"] = {"llm_routing_model": "plano/router"}
    serving: list[Generation] = []
    foundation = build_foundation(unrouted, {}, DIALECTS, lambda: serving[-1] if serving else None)
    counts = []
    for loaded in (unrouted, load(config)):
        serving.append(build_generation(loaded, foundation))
        counts.append(_serving(foundation))
    (route,) = serving[-1].routes.in_effect
    failure = Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY)
    foundation.cooling.observe_failure(route.candidates[0], failure, foundation.clock.monotonic_s())
    counts.append(_serving(foundation))
    for generation in serving:
        await generation.aclose()

    assert [None, 2, 1] == counts


def _serving(foundation: Foundation) -> float | None:
    registry = foundation.telemetry.metrics.registry
    name = "plano_sidecar_route_candidates_serving"
    return registry.get_sample_value(name, {"route": "code"})


async def test_an_app_that_does_not_listen_explains_and_has_no_ports(load):
    """As `plano-sidecar route` uses it; nothing is left running."""
    before = asyncio.all_tasks()
    async with App(load(_config((ONE, "http://127.0.0.1:1"), alias=ONE)), listens=False) as app:
        tried = TriedCall(body_of_text("hello"), session=NamedSession("session-1"))
        explanation = await app.explain(tried)
        ports = app.ports

    assert (0, 0) == (ports.data, ports.admin)
    assert ONE == explanation.look.decision.candidates[0].model_name
    assert before == asyncio.all_tasks()


def test_proxies_that_cannot_be_used_are_a_config_error(load):
    """Before anything is opened."""
    loaded = load(_config((ONE, "http://127.0.0.1:1"), alias=ONE))

    with pytest.raises(ConfigError, match="environment"):
        App(loaded, {"HTTPS_PROXY": "socks5://127.0.0.1:1"})
