"""What one config decides, made on the foundation."""

from __future__ import annotations

from sidecar.build.foundation import Foundation
from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router, router_model, split_names
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import Call
from sidecar.generation import Generation
from sidecar.listener.admission import Admission, ListenerPolicy
from sidecar.listener.body_reader import BodyReader
from sidecar.listener.handlers import DataHandler
from sidecar.listener.own_replies import OwnReplies
from sidecar.listener.paths import Paths
from sidecar.listener.rescue import Rescue
from sidecar.listener.web_pages import HostCheck
from sidecar.proxy import Proxy, ProxyPolicy
from sidecar.routing.owners import PathOwners
from sidecar.routing.preferences import RankSources, Routes, RouteScope, configured_routes
from sidecar.routing.prompt import fits_budget
from sidecar.routing.prompt_format import PromptFormat
from sidecar.routing.router import RouteClassifier, RouterPolicy
from sidecar.routing.router_breaker import RouterBreaker
from sidecar.routing.sources import MetricsSources
from sidecar.routing.table import ModelTable
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.steps import in_steps
from sidecar.selection.decisions import Decisions
from sidecar.selection.fitting import Fitting, ReadCall
from sidecar.selection.path_selector import PathSelector
from sidecar.selection.pin_updater import PinUpdater
from sidecar.selection.selector import ModelSelector, OtherCalls
from sidecar.upstream.attempts import Strip
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.evidence import Suspicion
from sidecar.upstream.latency import FirstByteAverages
from sidecar.upstream.registry import ProviderRegistry
from sidecar.upstream.router_client import ReadAgain, RouterClient
from sidecar.wire.body_sessions import BodySessions
from sidecar.wire.headers import HeaderPolicy


def _strip_of(dialects: DialectRegistry) -> Strip:
    return lambda call, refusal: in_steps(dialects.without_signed_state(call, refusal))


def build_generation(loaded: LoadedConfig, foundation: Foundation) -> Generation:
    """Make what one config decides. The sources' tasks begin at once; the rest waits for calls.

    Raises: ConfigError where the files of a provider's TLS cannot be used; nothing is left running.
    """
    config, clock, dialects = loaded.config, foundation.clock, foundation.dialects
    observers, store = foundation.telemetry.observers, foundation.store
    models = ModelTable(
        loaded.providers,
        {alias: entry.target for alias, entry in config.model_aliases.items()},
        unknown_uses_default=config.routing.unknown_model == "default",
        homes=dialects.homes,
    )
    providers = build_providers(loaded, foundation, models.owners)
    fitting = build_fitting(foundation)
    learnt = foundation.cooling, foundation.averages
    dispatcher = Dispatcher(providers, clock, observers, *learnt, fitting.candidates)
    former = foundation.serving()
    sources = MetricsSources(
        config.model_metrics_sources,
        foundation.fetcher.fetch,
        clock.monotonic_s,
        former=None if former is None else former.sources,
        memory=foundation.memory.price_lists,
    )
    routes = build_routes(loaded, models, sources, foundation.averages)
    credentials = dispatcher.credentials
    classifier = build_classifier(loaded, routes, providers, foundation, credentials.read_again)
    may_ask = None if classifier is None else classifier.may_ask
    decisions = Decisions(models, routes, clock, dispatcher.is_cooling, may_ask, dialects)
    others = OtherCalls(PathSelector(models.owners, store, clock, observers), fitting)
    selector = ModelSelector(decisions, classifier, store, clock, observers, others)
    policy = ProxyPolicy(config.limits.attempts, loaded.hash)
    pin_updater = PinUpdater(store, clock, foundation.tasks)
    proxy = Proxy(selector, pin_updater, dispatcher, dialects.by_name, observers, clock, policy)
    handler = build_handler(proxy, models, loaded, foundation)
    tasks = Tasks()
    for index in range(len(sources)):
        tasks.spawn(sources.keep_fresh(index), name=f"source {index}")
    router_closes = () if classifier is None else (classifier.aclose,)
    closes = (selector.aclose, *router_closes, tasks.aclose, credentials.aclose, fitting.aclose)
    made = next(foundation.reloads.numbers), clock.unix_s()
    made_of = handler, selector, routes, sources, closes, credentials, classifier
    return Generation(loaded, *made_of, *made)


def build_fitting(foundation: Foundation) -> Fitting:
    """Make what finds the candidates that can serve a call by translation. The room `translate` is
    loaded once a call needs it, since few pods do, and not by the loop's own thread.
    """
    unix_s = foundation.clock.unix_s

    def import_room() -> ReadCall:
        from sidecar.translate.calls import translation_in_steps

        return lambda call: translation_in_steps(call, unix_s())

    async def load() -> ReadCall:
        # A tenth of a second of work, which other calls need not wait for.
        return await run_in_daemon_thread(import_room, name="load translate")

    return Fitting(load, foundation.memory.bodies)


def build_providers(
    loaded: LoadedConfig, foundation: Foundation, owners: PathOwners
) -> ProviderRegistry:
    """Make the providers' clients."""
    dialects = foundation.dialects
    paths = _paths(loaded, foundation, owners)

    def owner_of(call: Call, path: str) -> str | None:
        provider = paths.passthrough_of(path)
        if provider is not None:
            return owners.entry_of(provider)
        endpoint = paths.api_endpoint(path, call.endpoint.dialect)
        entry = None if endpoint is None else owners.default(endpoint)
        return None if entry is None else entry.name

    is_stripped = loaded.config.routing.signed_state == "strip"
    return ProviderRegistry(
        loaded.providers,
        foundation.pools,
        dialects.by_name,
        _strip_of(dialects) if is_stripped else None,
        foundation.via,
        owner_of,
    )


def build_handler(
    proxy: Proxy, models: ModelTable, loaded: LoadedConfig, foundation: Foundation
) -> DataHandler:
    """Make what serves the data port's requests."""
    observers, dialects = foundation.telemetry.observers, foundation.dialects
    policy = listener_policy(loaded, foundation)
    return DataHandler(
        proxy,
        OwnReplies(proxy.decide, models),
        Admission(foundation.drain, dialects, observers, foundation.clock, policy),
        Rescue(dialects, observers),
        _paths(loaded, foundation, models.owners),
        foundation.write,
    )


def _paths(loaded: LoadedConfig, foundation: Foundation, owners: PathOwners) -> Paths:
    """Return the paths of the data port: of those that are passed through, the longest first."""
    config = loaded.config
    prefixes = sorted(config.passthrough, key=lambda entry: len(entry.path), reverse=True)
    return Paths(
        foundation.dialects.endpoints,
        tuple((entry.path.rstrip("/"), entry.provider) for entry in prefixes),
        owners.serves if config.unlisted_paths == "serve" else None,
    )


def build_routes(
    loaded: LoadedConfig, models: ModelTable, sources: MetricsSources, averages: FirstByteAverages
) -> Routes:
    """Make the configured routes and the numbers that rank their models."""
    config, routing = loaded.config, loaded.config.routing
    return Routes(
        configured_routes(config.routing_preferences, models.entries_of),
        models.entries_of,
        RankSources(sources, averages.expected),
        RouteScope(
            find_router(config, loaded.providers) is not None,
            frozenset(routing.route_only),
            lambda routes: fits_budget(
                routes,
                routing.router_context_tokens,
                routing.prompt_template,
                PromptFormat(routing.prompt_format),
            ),
        ),
    )


def build_classifier(
    loaded: LoadedConfig,
    routes: Routes,
    providers: ProviderRegistry,
    foundation: Foundation,
    read_again: ReadAgain | None = None,
) -> RouteClassifier | None:
    """Make what asks the router model; None where the config names no router model.

    Args: ``read_again`` is as `RouterClient` takes it.
    """
    config = loaded.config
    provider = find_router(config, loaded.providers)
    if provider is None:
        return None
    policy = RouterPolicy(
        model=router_model(config, provider),
        deadline_s=config.routing.router_timeout_ms / 1e3,
        context_tokens=config.routing.router_context_tokens,
        template=config.routing.prompt_template,
        written=PromptFormat(config.routing.prompt_format),
        is_decision=config.routing.llm_routing_interface == "decisions",
        min_confidence=config.routing.min_confidence,
    )
    client = providers.clients[provider.name]
    ask = RouterClient(client, policy.model, read_again, asks_decisions=policy.is_decision).ask
    return RouteClassifier(
        ask,
        routes.configured,
        policy,
        foundation.clock.monotonic_s,
        foundation.dialects.turns_of,
        _breaker(loaded, foundation),
    )


def _breaker(loaded: LoadedConfig, foundation: Foundation) -> RouterBreaker:
    """Return the router model's breaker: that of the config before where it is the same model at
    the same server with the same key, since a change elsewhere has mended nothing.
    """
    former = foundation.serving()
    if former is not None and former.classifier is not None:
        configs = (former.loaded, loaded)
        old, new = (find_router(each.config, each.providers) for each in configs)
        names = {each.config.overrides.llm_routing_model for each in configs}
        if old == new and len(names) == 1:
            return former.classifier.breaker
    return RouterBreaker(Suspicion(foundation.cooling.activity))


def listener_policy(loaded: LoadedConfig, foundation: Foundation) -> ListenerPolicy:
    """Return what the data port lets in."""
    config = loaded.config
    # What does not export would promise spans that nothing ever shows.
    tracing = None if foundation.telemetry.tracer is None else loaded.tracing
    routing, cache = config.routing, config.routing.session_cache
    return ListenerPolicy(
        HeaderPolicy(
            routing.session_headers,
            cache.tenant_header,
            frozenset(config.propagate),
            routing.agent_headers,
            split_names(loaded.providers),
        ),
        BodyReader(
            foundation.memory.bodies, config.limits.body_bytes, config.timeouts.request_body_s
        ),
        allow_origins=frozenset(config.listeners[0].allow_origins),
        fixed_tenant=cache.tenant,
        body_sessions=BodySessions(routing.session_body_keys),
        sampling=None if tracing is None else tracing.sampling,
        via=foundation.via,
        hosts=HostCheck(config.listeners[0].hosts_at(foundation.data_addresses)),
    )
