"""Every key of the config, as frozen structs, with a unit in every name.

A YAML key that plano already taught its users keeps its name; the Python name adds the unit. The
table in this room's README and the JSON Schema are made from these structs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sidecar.config.schema_listeners import AdminSettings, Listener
from sidecar.config.schema_providers import (
    PATH_PATTERN,
    ModelProvider,
    Seconds,
    Section,
    Text,
    Translate,
)
from sidecar.config.schema_routing import (
    Count,
    MetricsSource,
    ModelAlias,
    Routing,
    RoutingPreference,
)

Duration = Annotated[float, Meta(ge=0)]


class Overrides(Section, frozen=True):
    """Plano's overrides, of which one is ours too."""

    llm_routing_model: Annotated[
        Text | None, Meta(description="the provider entry that is the router model")
    ] = None
    upstream_connect_timeout: Annotated[
        Any, Meta(description="plano's; not served (see `timeouts`)")
    ] = None
    upstream_tls_ca_path: Annotated[Any, Meta(description="plano's; not served")] = None
    agent_orchestration_model: Annotated[Any, Meta(description="plano's; not served")] = None
    orchestrator_model_context_length: Annotated[Any, Meta(description="plano's; not served")] = (
        None
    )
    prompt_target_intent_matching_threshold: Annotated[
        Any, Meta(description="plano's; not served")
    ] = None
    optimize_context_window: Annotated[Any, Meta(description="plano's; not served")] = None
    use_agent_orchestrator: Annotated[Any, Meta(description="plano's; not served")] = None
    disable_signals: Annotated[Any, Meta(description="plano's; not served")] = None


class TimeoutSettings(Section, frozen=True):
    """How long the sidecar waits, for the app and for providers."""

    request_header_s: Annotated[Seconds, Meta(description="for the head of the app's request")] = (
        10.0
    )
    request_body_s: Annotated[
        Seconds,
        Meta(description="for its body; of a long one on a `passthrough` path for its next bytes"),
    ] = 30.0
    connect_s: Annotated[Seconds, Meta(description="for TCP and TLS to a provider")] = 2.0
    first_byte_s: Annotated[
        Seconds | None,
        Meta(
            description="for a stream's first byte; unset: 120, and 300 for entries with `base_url`"
        ),
    ] = None
    response_s: Annotated[
        Seconds,
        Meta(
            description="for a whole response, not streamed; on paths that are passed "
            "through, until it begins"
        ),
    ] = 600.0
    stream_idle_s: Annotated[Seconds, Meta(description="between two pieces of a stream")] = 300.0
    downstream_idle_s: Annotated[
        Duration, Meta(description="an app that stops reading is let go after this; 0: never")
    ] = 300.0
    idle_connection_s: Annotated[
        Seconds, Meta(description="an app's connection without a request is closed after this")
    ] = 600.0

    def first_byte_of(self, entry: ModelProvider) -> float:
        """Return ``first_byte_s`` for an entry that has none of its own.

        A server of one's own may read a long prompt for minutes before its first byte.
        """
        return self.first_byte_s or (120.0 if entry.base_url is None else 300.0)


class DrainSettings(Section, frozen=True):
    """How the sidecar goes down."""

    quiet_s: Annotated[Duration, Meta(description="it goes once no call has run for this long")] = (
        2.0
    )
    grace_s: Annotated[Duration, Meta(description="and no later than this after SIGTERM")] = 25.0


class Limits(Section, frozen=True):
    """What one sidecar takes on at a time."""

    in_flight: Annotated[Count, Meta(description="calls at a time; more are refused with 503")] = (
        1024
    )
    idle_connections: Annotated[
        Count, Meta(description="apps' connections without a request; a new one ends the oldest")
    ] = 1024
    body_bytes: Annotated[
        Count,
        Meta(
            description="a longer request body, as it comes or decompressed, is refused with 413; "
            "on `passthrough` paths it is sent on as it comes"
        ),
    ] = 33_554_432
    memory_bytes: Annotated[
        Annotated[int, Meta(ge=16_777_216)] | None,
        Meta(
            description="bodies, pins, pending heads and price lists, all "
            "together; unset: 60 % of the container's memory limit, or 96 MiB less than it where "
            "that is smaller, at least 16 MiB; 128 MiB without a limit"
        ),
    ] = None
    buffered_bytes: Annotated[
        Count | None,
        Meta(
            description="deprecated: caps what request bodies take of `memory_bytes`; unset: no cap"
        ),
    ] = None
    attempts: Annotated[Count, Meta(description="tries at providers for one call")] = 3


class Tracing(Section, frozen=True):
    """How calls are traced."""

    random_sampling_percent: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None,
        Meta(
            description="share of new traces that are sampled; one that the app samples always is. "
            "Unset: as `OTEL_TRACES_SAMPLER` says, or none; 0 without `otlp_endpoint`: off"
        ),
    ] = msgspec.field(default=None, name="random_sampling")
    otlp_endpoint: Annotated[
        Text | None,
        Meta(
            description="OTLP over HTTP, with or without `/v1/traces`; unset: as "
            "`OTEL_EXPORTER_OTLP_ENDPOINT` says, or `http://localhost:4318`"
        ),
    ] = None
    trace_arch_internal: Annotated[Any, Meta(description="plano's; not served")] = None
    opentracing_grpc_endpoint: Annotated[
        Any, Meta(description="plano's; not served (see `otlp_endpoint`)")
    ] = None
    span_attributes: Annotated[Any, Meta(description="plano's; not served")] = None
    exporters: Annotated[Any, Meta(description="plano's; not served")] = None


class AccessLog(Section, frozen=True):
    """One line a call on stdout."""

    mode: Annotated[
        Literal["all", "errors", "off"], Meta(description="which calls are written")
    ] = "errors"
    sample: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Meta(description="share of the other calls written in mode `errors`"),
    ] = 0.01


class Logging(Section, frozen=True):
    """What the sidecar says of itself on stderr, one event a line."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="the least severe lines that are written"),
    ] = "info"
    format: Annotated[
        Literal["json", "logfmt", "plain"] | None,
        Meta(description="form of a line; unset: `json`, and `plain` on a terminal"),
    ] = None


class Passthrough(Section, frozen=True):
    """A path prefix that goes to one provider, bytes untouched."""

    path: Annotated[
        str,
        Meta(
            pattern=PATH_PATTERN,
            description="path prefix at the sidecar, such as `/v1/fine_tuning`; the base URL's "
            "path takes the place of `/v1`, any other path goes as it is",
        ),
    ]
    provider: Annotated[
        Text, Meta(description="name of a provider entry, or a prefix that one has")
    ]


class Config(Section, frozen=True):
    """The whole file. `app` and `build` alone see it; other rooms get what concerns them."""

    model_providers: Annotated[
        tuple[ModelProvider, ...],
        Meta(
            min_length=1, description="providers and their models; `llm_providers` is the old name"
        ),
    ]
    version: Annotated[
        Literal["v0.4.0", "v0.3.0", "0.2.0", "v0.2.0", "0.1-beta", "v0.1.0", "v0.1"],
        Meta(description="plano's; before v0.4.0 `routing_preferences` may stand under a provider"),
    ] = "v0.4.0"
    listeners: Annotated[
        tuple[Listener, ...], Meta(min_length=1, description="the port that apps call; one entry")
    ] = (Listener(),)
    admin: Annotated[AdminSettings, Meta(description="probes, metrics; operators' pages")] = (
        AdminSettings()
    )
    model_aliases: Annotated[dict[str, ModelAlias], Meta(description="other names for models")] = (
        msgspec.field(default_factory=dict)
    )
    system_prompt: Annotated[Any, Meta(description="plano's; not served")] = None
    routing_preferences: Annotated[
        tuple[RoutingPreference, ...],
        Meta(description="kinds of work and the models that should do them"),
    ] = ()
    model_metrics_sources: Annotated[
        tuple[MetricsSource, ...], Meta(description="where prices and latencies are read from")
    ] = ()
    overrides: Annotated[Overrides, Meta(description="plano's overrides")] = Overrides()
    routing: Annotated[Routing, Meta(description="choosing and keeping a model")] = Routing()
    timeouts: Annotated[TimeoutSettings, Meta(description="how long the sidecar waits")] = (
        TimeoutSettings()
    )
    drain: Annotated[DrainSettings, Meta(description="how it goes down")] = DrainSettings()
    limits: Annotated[Limits, Meta(description="what it takes on at a time")] = Limits()
    tracing: Annotated[Tracing, Meta(description="spans")] = Tracing()
    access_log: Annotated[AccessLog, Meta(description="one line a call")] = AccessLog()
    logging: Annotated[Logging, Meta(description="lines on stderr")] = Logging()
    passthrough: Annotated[
        tuple[Passthrough, ...],
        Meta(
            description="path prefixes that go to one provider untouched; they go before the paths "
            "that are served without being named here"
        ),
    ] = ()
    unlisted_paths: Annotated[
        Literal["serve", "refuse"],
        Meta(
            description="files, batches, images, stored responses and the rest of providers' APIs "
            "that `passthrough` does not name: `serve` by the entry that can be meant, or `refuse` "
            "with 404"
        ),
    ] = "serve"
    propagate: Annotated[
        tuple[str, ...], Meta(description="more request headers that go to all providers")
    ] = ()
    translate: Annotated[
        Translate,
        Meta(
            description="serve calls by models that do not speak the caller's API, by translation; "
            "`strict`: never where more than what is harmless would be lost"
        ),
    ] = True
    ratelimits: Annotated[Any, Meta(description="plano's; not served")] = None
    prompt_caching: Annotated[Any, Meta(description="plano's; not served")] = None

    def __repr__(self) -> str:
        """Show nothing of it: a text in it may have come out of a file of secrets."""
        return "Config(...)"
