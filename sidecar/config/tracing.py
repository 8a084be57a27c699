"""Whether calls are traced, and how: what the config says, and for what it leaves out, what
OpenTelemetry's own environment variables say. Pure.

The exporter's library reads the rest of those variables itself: headers, timeout, certificates,
compression, names of the service. ``OTEL_CONFIG_FILE`` means nothing here, hence switches none of
them off.
"""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from sidecar.config.address import is_http_url
from sidecar.config.schema import Tracing
from sidecar.config.secret import Secret
from sidecar.domain.ids import Sampling
from sidecar.runtime.hosts import host_port

DEFAULT_ENDPOINT: Final = "http://localhost:4318"
_PATH: Final = "/v1/traces"
_SECONDS: Final = 1e6
"""Of a timeout, at most."""
_DIGITS: Final = 12
"""Of a limit, at most."""

_SAMPLERS: Final[Mapping[str, tuple[bool, float | None]]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}
"""OTEL_TRACES_SAMPLER -> whether the app's flag decides, and the share of other traces; None where
OTEL_TRACES_SAMPLER_ARG says it.
"""

_TIMEOUTS: Final = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
_LIMITS: Final = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
)
"""The library fails where one of them is no number."""

Warn = Callable[[str, str], None]
"""Takes a variable's name, and why it is not heeded."""


class TracingSettings(msgspec.Struct, frozen=True):
    """How calls are traced, where they are."""

    sampling: Sampling
    endpoint: Secret
    """The URL that spans are posted to; may hold a password."""
    is_asked_for: bool
    """Whether the config file asks for it; else only the environment does."""
    queued_spans: int = 2048
    """More wait for the exporter at no time: they are dropped."""
    batch_spans: int = 128
    """Of one request. Encoding them holds the interpreter, so it is less than OpenTelemetry's 512.
    """
    delay_ms: int = 1000
    """How long spans wait for others to be sent with them."""
    unusable: tuple[str, ...] = ()
    """Variables that the exporter's library must not find: it would fail at their values."""

    @property
    def place(self) -> str:
        """Return ``host:port`` of the endpoint."""
        parts = urllib.parse.urlsplit(self.endpoint.reveal())
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return host_port(host, port)


def tracing_settings(
    tracing: Tracing, environ: Mapping[str, str], warn: Warn
) -> TracingSettings | None:
    """Return how calls are traced; None where they are not.

    They are where the config samples some of them or names an endpoint, or the environment does.
    Raises: nothing; a variable that cannot be used is told to ``warn`` and left out.
    """
    percent, endpoint = tracing.random_sampling_percent, tracing.otlp_endpoint
    is_off = percent == 0 and endpoint is None
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_off or is_disabled or environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return None
    url = _endpoint(environ, warn) if endpoint is None else _with_path(endpoint)
    is_asked_for = endpoint is not None or percent is not None
    if url is None and not is_asked_for:
        return None
    if environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").strip() == "grpc":
        warn("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc is not served: spans go over HTTP")
    queued = _count(environ, "OTEL_BSP_MAX_QUEUE_SIZE", 2048, warn)
    return TracingSettings(
        _sampling(percent, environ, warn),
        Secret(url or DEFAULT_ENDPOINT + _PATH),
        is_asked_for,
        queued,
        min(_count(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 128, warn), queued),
        _count(environ, "OTEL_BSP_SCHEDULE_DELAY", 1000, warn),
        _unusable(environ, warn),
    )


def _sampling(percent: float | None, environ: Mapping[str, str], warn: Warn) -> Sampling:
    if percent is not None:
        return Sampling(follows_app=True, share=percent / 100)
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if name and name not in _SAMPLERS:
        warn("OTEL_TRACES_SAMPLER", f"must be one of {', '.join(_SAMPLERS)}")
    follows_app, share = _SAMPLERS.get(name, (True, 0.0))
    if share is None:
        share = _share(environ, warn)
    return Sampling(follows_app=follows_app, share=share)


def _share(environ: Mapping[str, str], warn: Warn) -> float:
    """Return the sampler's argument; 1 where it is not given, as OpenTelemetry has it."""
    text = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    share = _number(text or "1")
    if not 0 <= share <= 1:
        warn("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1; every trace is sampled")
        return 1.0
    return share


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _unusable(environ: Mapping[str, str], warn: Warn) -> tuple[str, ...]:
    """Return the names of the variables at which the exporter's library would fail."""
    found = []
    for name in (*_TIMEOUTS, *_LIMITS):
        text = environ.get(name, "").strip()
        if name in _TIMEOUTS:
            is_usable, wanted = not text or 0 < _number(text) <= _SECONDS, "a number above 0"
        else:
            is_usable, wanted = _is_limit(text), "a whole number"
        if name in environ and not is_usable:
            warn(name, f"must be {wanted}; it is not heeded")
            found.append(name)
    return tuple(found)


def _is_limit(text: str) -> bool:
    """Return whether the library can read a limit; an empty one is none."""
    return not text or (text.isascii() and text.isdigit() and len(text) <= _DIGITS)


def _endpoint(environ: Mapping[str, str], warn: Warn) -> str | None:
    """Return the URL that the environment names; None where it names none that can be used."""
    for name, complete in (
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", str),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", _with_path),
    ):
        text = environ.get(name, "").strip()
        if text and is_http_url(text):
            return complete(text)
        if text:
            warn(name, "must be a URL of http:// or https://, without blanks")
    return None


def _with_path(base: str) -> str:
    """Return the URL for spans below a base URL, unless that is one already."""
    parts = urllib.parse.urlsplit(base)
    path = parts.path.rstrip("/")
    if not path.endswith(_PATH):
        path += _PATH
    return urllib.parse.urlunsplit(parts._replace(path=path))


def _count(environ: Mapping[str, str], name: str, default: int, warn: Warn) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdigit() and 0 < int(text[:12]) <= 10**9:
        return int(text)
    warn(name, f"must be a number above 0; {default} is used")
    return default
