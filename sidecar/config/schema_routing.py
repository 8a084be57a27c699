"""What a config says about choosing and keeping a model."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from sidecar.config.schema_providers import Section, Text
from sidecar.config.secret import Secret

Count = Annotated[int, Meta(ge=1)]

BODY_KEY_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)?$"
KEY_PREFIX_PATTERN: Final = r"^[!-z|]{1,128}$"
"""Printable ASCII without blank, braces (which aim keys at a slot of a Cluster) and ``~``."""


class ModelAlias(Section, frozen=True):
    """Another name for a model; one level, aliases do not chain."""

    target: Annotated[
        Text, Meta(description="the model, or the provider entry's name, that it stands for")
    ]


class SelectionPolicy(Section, frozen=True):
    """How the models of one preference are ordered."""

    prefer: Annotated[
        Literal["cheapest", "fastest", "none"],
        Meta(description="`none` keeps the order in which they stand"),
    ] = "none"


class RoutingPreference(Section, frozen=True):
    """A described kind of work with the models that should do it."""

    name: Annotated[Text, Meta(description="unique name of the route")]
    description: Annotated[
        Text, Meta(description="the kind of work, for the router model to recognise")
    ]
    models: Annotated[
        tuple[Text, ...], Meta(min_length=1, description="configured models, best first")
    ]
    selection_policy: Annotated[SelectionPolicy, Meta(description="how the models are ordered")] = (
        SelectionPolicy()
    )
    examples: Annotated[
        tuple[Text, ...],
        Meta(description="texts of users that belong to it, shown to the router model"),
    ] = ()
    system_prompt: Annotated[Any, Meta(description="plano's; not served")] = None


class MetricsSource(Section, frozen=True):
    """Where prices or latencies are read from; at most one of each type."""

    type: Annotated[Literal["cost", "latency"], Meta(description="what it tells")]
    provider: Annotated[
        Literal["digitalocean", "models.dev", "file", "prometheus"],
        Meta(description="`prometheus` tells latency, the others cost"),
    ]
    url: Annotated[
        Text | None, Meta(description="unset: the provider's own; needed for `prometheus`")
    ] = None
    path: Annotated[Text | None, Meta(description="price file; needed for `file`")] = None
    query: Annotated[Text | None, Meta(description="PromQL with the label `model_name`")] = None
    refresh_interval_s: Annotated[
        Count | None, Meta(description="how often it is read again; unset: once at start")
    ] = msgspec.field(default=None, name="refresh_interval")
    model_aliases: Annotated[
        dict[str, Text], Meta(description="catalog key to configured model")
    ] = msgspec.field(default_factory=dict)


class RedisTls(Section, frozen=True):
    """Files for TLS to Redis."""

    ca_file: Annotated[Text | None, Meta(description="private CA")] = None
    cert_file: Annotated[Text | None, Meta(description="client certificate")] = None
    key_file: Annotated[Text | None, Meta(description="the client certificate's key")] = None


class SessionCache(Section, frozen=True):
    """Where pins are kept."""

    type: Annotated[
        Literal["memory", "redis"], Meta(description="`redis` shares pins between pods")
    ] = "memory"
    url: Annotated[
        Secret | None,
        Meta(
            description="`redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`; "
            "needed for `redis`"
        ),
    ] = None
    tenant_header: Annotated[
        Text | None, Meta(description="header that names the tenant of a session")
    ] = None
    tenant: Annotated[Text | None, Meta(description="fixed tenant; wins over the header")] = None
    call_budget_ms: Annotated[Count, Meta(description="all that one call waits for Redis")] = 20
    username: Annotated[Secret | None, Meta(description="ACL user")] = None
    password: Annotated[Secret | None, Meta(description="its password, kept out of the URL")] = None
    tls: Annotated[RedisTls, Meta(description="files for TLS to Redis")] = RedisTls()
    key_prefix: Annotated[
        str,
        Meta(
            pattern=KEY_PREFIX_PATTERN,
            description="what every key begins with; keeps two installations apart on one server, "
            "where neither prefix begins with the other",
        ),
    ] = "plano:affinity:"
    near_cache: Annotated[
        bool, Meta(description="keep pins that were read in this process, coherently")
    ] = True


class Routing(Section, frozen=True):
    """Settings of routing and affinity."""

    session_ttl_s: Annotated[Count, Meta(description="how long a pin lives")] = msgspec.field(
        default=600, name="session_ttl_seconds"
    )
    session_ttl_mode: Annotated[
        Literal["sliding", "fixed"],
        Meta(description="`sliding` starts the TTL anew while a session is used"),
    ] = "sliding"
    session_max_entries: Annotated[
        Count, Meta(description="pins held in memory, near cache included")
    ] = 100_000
    session_headers: Annotated[
        tuple[str, ...],
        Meta(description="headers that name a session; the first one present counts"),
    ] = (
        "x-model-affinity",
        "x-claude-code-session-id",
        "x-session-affinity",
        "session_id",
        "session-id",
    )
    session_body_keys: Annotated[
        tuple[Annotated[str, Meta(pattern=BODY_KEY_PATTERN)], ...],
        Meta(
            description="members of the body that name a session where no header does; of "
            "`prompt_cache_key`, or `metadata.conversation`, any text counts; `known_clients`: "
            "`metadata.user_id` and `prompt_cache_key` only in the forms of Claude Code, Codex, "
            "opencode and Copilot; `[]`: none"
        ),
    ] = ("known_clients",)
    agent_headers: Annotated[
        tuple[str, ...],
        Meta(
            description="headers that name the sub-agent that makes a call, which is then a "
            "session of its own beside the main loop's; the first one present counts"
        ),
    ] = ("x-claude-code-agent-id",)
    session_cache: Annotated[SessionCache, Meta(description="where pins are kept")] = SessionCache()
    signed_state: Annotated[
        Literal["keep", "strip"],
        Meta(
            description="`strip`: where no candidate can read the thinking that another model or "
            "account signed, one more attempt without it"
        ),
    ] = "keep"
    unknown_model: Annotated[
        Literal["error", "default"],
        Meta(description="a model that is not configured: 404, or the default provider"),
    ] = "error"
    router_timeout_ms: Annotated[
        Count, Meta(description="how long a call waits for the router model")
    ] = 1000
    router_context_tokens: Annotated[
        Count, Meta(description="budget of the router model's prompt")
    ] = 8192
    prompt_template: Annotated[
        Text | None,
        Meta(
            description="router prompt with `{routes}` and `{conversation}`; unset: the built-in "
            "wording"
        ),
    ] = None
    prompt_format: Annotated[
        Literal["json_lines", "arch_router", "plano_orchestrator"],
        Meta(
            description="how `{routes}` and `{conversation}` are written: as the built-in wording "
            "has them, or as Arch-Router or Plano-Orchestrator were trained on them, for a "
            "`prompt_template` from the model's card"
        ),
    ] = "json_lines"
    llm_routing_interface: Annotated[
        Literal["chat", "decisions"],
        Meta(
            description="what the router model speaks: chat completions, or the decisions of "
            "models that answer a choice with probabilities"
        ),
    ] = "chat"
    min_confidence: Annotated[
        float,
        Meta(ge=0, le=1, description="a decision that is less probable matches no route"),
    ] = 0.5
    route_only: Annotated[
        tuple[Text, ...],
        Meta(
            description="models or aliases: calls that ask for another one are served by it and "
            "not routed; none: all calls are routed"
        ),
    ] = ()
    routing_budget: Annotated[Any, Meta(description="plano's; not served")] = None
    route_on_user_only: Annotated[Any, Meta(description="plano's; not served")] = None
    llm_provider: Annotated[Any, Meta(description="plano's; not served")] = None
    model: Annotated[Any, Meta(description="plano's; not served")] = None
