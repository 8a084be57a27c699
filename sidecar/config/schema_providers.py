"""What a config says about providers and their models."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from sidecar.config.conventions import DialectKey
from sidecar.config.secret import Secret

Usd = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Text = Annotated[str, Meta(min_length=1)]

Translate = bool | Literal["strict"]

Interface = Literal[
    "openai", "anthropic", "plano", "deepseek", "groq", "mistral", "gemini", "digitalocean",
    "vercel", "openrouter", "moonshotai", "xiaomi", "chatgpt", "edenai",
]  # fmt: skip
"""Plano's vocabulary and ``anthropic``; all but that one speak OpenAI's API."""


MODEL_PATTERN: Final = r"^[^\s/]+/[^\s]+$"
PATH_PATTERN: Final = "^/[!-~]*$"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every config struct: frozen, and an unknown key is an error."""


class ModelPrice(Section, frozen=True):
    """What a model costs. A missing price is unknown, never free."""

    usd_per_mtok_in: Annotated[Usd | None, Meta(description="input")] = msgspec.field(
        default=None, name="input"
    )
    usd_per_mtok_out: Annotated[Usd | None, Meta(description="output")] = msgspec.field(
        default=None, name="output"
    )
    usd_per_mtok_cached_in: Annotated[
        Usd | None, Meta(description="input that the provider served from its prompt cache")
    ] = msgspec.field(default=None, name="cached_input")


class ProviderTimeouts(Section, frozen=True):
    """One provider entry's own timeouts; None leaves the top-level one."""

    connect_s: Annotated[Seconds | None, Meta(description="overrides `timeouts.connect_s`")] = None
    first_byte_s: Annotated[
        Seconds | None, Meta(description="overrides `timeouts.first_byte_s`")
    ] = None
    response_s: Annotated[Seconds | None, Meta(description="overrides `timeouts.response_s`")] = (
        None
    )
    stream_idle_s: Annotated[
        Seconds | None, Meta(description="overrides `timeouts.stream_idle_s`")
    ] = None


class DialectEntry(Section, frozen=True):
    """Where a provider serves one dialect."""

    path: Annotated[
        Annotated[str, Meta(pattern=PATH_PATTERN)] | None,
        Meta(description="full path at the provider; unset: the usual one"),
    ] = None


class ProviderTls(Section, frozen=True):
    """How TLS to a provider is made, where it is not the usual way."""

    ca_file: Annotated[
        Text | None,
        Meta(description="PEM bundle to trust instead of the system's (which SSL_CERT_FILE moves)"),
    ] = None
    cert_file: Annotated[Text | None, Meta(description="client certificate, PEM")] = None
    key_file: Annotated[
        Text | None,
        Meta(description="its key, PEM, not encrypted; unset: `cert_file` holds it too"),
    ] = None
    server_name: Annotated[
        Text | None,
        Meta(description="name for SNI and verification; unset: the host of `base_url`"),
    ] = None


CacheHintUse = Literal["leave", "header", "body"]


class ModelProvider(Section, frozen=True):
    """One entry of ``model_providers``, as written."""

    model: Annotated[
        str,
        Meta(
            pattern=MODEL_PATTERN,
            description="`prefix/model`, or `prefix/*` for all models of a provider; the "
            "provider gets what follows "
            "the first slash",
        ),
    ]
    name: Annotated[
        Text | None,
        Meta(
            description="unique name of the entry; unset: the `model` value. Entries of one "
            "model need names"
        ),
    ] = None
    access_key: Annotated[Secret | None, Meta(description="the provider's key")] = None
    is_default: Annotated[
        bool, Meta(description="serves calls that name no model; one entry at most")
    ] = msgspec.field(default=False, name="default")
    base_url: Annotated[
        Text | None,
        Meta(
            description="http or https; a path in it replaces the built-in prefix (`/v1`), and "
            "for messages "
            "`/v1/messages` follows it; needed where the prefix has no built-in URL"
        ),
    ] = None
    http_host: Annotated[Text | None, Meta(description="Host header; unset: that of the URL")] = (
        None
    )
    provider_interface: Annotated[
        Interface | None,
        Meta(description="which API an unknown prefix speaks; needed there beside `base_url`"),
    ] = None
    passthrough_auth: Annotated[
        bool, Meta(description="forward the caller's credential instead of sending `access_key`")
    ] = False
    headers: Annotated[
        dict[str, Secret],
        Meta(
            description="headers of every call, instead of the app's of that name (`accept` and "
            "betas: beside it)"
        ),
    ] = msgspec.field(default_factory=dict)
    dialects: Annotated[
        tuple[DialectKey, ...] | dict[DialectKey, DialectEntry] | None,
        Meta(
            description="a list replaces the provider's usual dialects; a map adds to them and "
            "may give a dialect its "
            "own `path`"
        ),
    ] = None
    translate: Annotated[
        Translate | None,
        Meta(
            description="serve calls of APIs that the entry does not speak by translating them; "
            "unset: as the top-level `translate` says"
        ),
    ] = None
    propagate_trace: Annotated[
        bool, Meta(description="send `traceparent` and `tracestate`; some reject them")
    ] = True
    accept_encoding: Annotated[
        Literal["identity", "passthrough"],
        Meta(
            description="`passthrough` forwards the app's; what comes compressed has no readable "
            "usage"
        ),
    ] = "identity"
    patches: Annotated[
        bool,
        Meta(
            description="where a call was written for another model, leave out or rename what this "
            "one is known to refuse (see Patches); `false`: send it as it came"
        ),
    ] = True
    cache_hint: Annotated[
        CacheHintUse,
        Meta(
            description="how a session is named to the provider's prompt cache where the app does "
            "not (see Cache hints): `header`: by the header that it has for that; `body`: by "
            "`prompt_cache_key` as well; `leave`: not at all"
        ),
    ] = "header"
    propagate: Annotated[
        tuple[str, ...],
        Meta(description="more request headers that go to this entry"),
    ] = ()
    tls: Annotated[ProviderTls, Meta(description="private CA, client certificate")] = ProviderTls()
    timeouts: Annotated[ProviderTimeouts, Meta(description="this entry's own timeouts")] = (
        ProviderTimeouts()
    )
    price: Annotated[ModelPrice | None, Meta(description="USD per million tokens")] = None
    fallbacks: Annotated[
        tuple[Text, ...],
        Meta(description="models tried after this one where no preference gives an order"),
    ] = ()
    failover_on_response_timeout: Annotated[
        bool, Meta(description="after `response_s` go on to another model, though both may bill")
    ] = False
    optional: Annotated[
        bool, Meta(description="leave the entry out, with a warning, where its key is missing")
    ] = False
    rate_limits: Annotated[Any, Meta(description="plano's; not served")] = None
    usage: Annotated[
        Literal["leave", "ask"],
        Meta(
            description="`ask`: where an app's chat stream does not, ask for its usage "
            "(`stream_options.include_usage`), and take the chunk that comes of it out again"
        ),
    ] = "leave"

    @property
    def may_ask_usage(self) -> bool:
        """Whether the config asks for usage, and responses come so that it can be taken out."""
        return self.usage == "ask" and self.accept_encoding == "identity"
