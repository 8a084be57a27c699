"""Every event that the log can tell of, with its fields: an API for what reads the log."""

from __future__ import annotations

from typing import Final

import msgspec


class LogEvent(msgspec.Struct, frozen=True):
    """One row of the reference in README.md."""

    name: str
    level: str
    meaning: str
    fields: tuple[str, ...] = ()
    """Names of its fields, in the order of a line."""


_PROVIDER: Final = (
    "account", "model", "reason", "request_id", "place", "cause", "status", "code",
    "provider_request_id", "to_do", "calls", "seconds", "served", "served_by",
)  # fmt: skip

LOG_EVENTS: Final = (
    LogEvent(
        "ready",
        "info",
        "the sidecar has started and serves",
        (
            "version",
            "python",
            "loop",
            "compiled",
            "listener_path",
            "config",
            "config_hash",
            "data_port",
            "admin_port",
            "operators",
            "models",
            "routes",
            "router",
            "store",
        ),
    ),
    LogEvent(
        "draining",
        "info",
        "a signal or an operator asked for it: readiness is off, calls in flight end",
    ),
    LogEvent(
        "drained",
        "info",
        "the drain has ended: new calls are refused, none is in flight",
        ("seconds",),
    ),
    LogEvent(
        "calls_ended",
        "warning",
        "the grace is spent, or a second signal came: calls in flight were cut off, and their apps "
        "were told",
        ("calls",),
    ),
    LogEvent(
        "operator_asked",
        "info",
        "a page that does something was asked for, and allowed",
        ("method", "page"),
    ),
    LogEvent(
        "config_reloaded",
        "info, warning",
        "another config serves new calls; a warning where a part of it awaits a restart",
        ("config_hash", "generation", "changes", "awaits_restart"),
    ),
    LogEvent(
        "config_warning",
        "warning",
        "what `check` warns of, at the start; at a reload what is new",
        ("warning",),
    ),
    LogEvent(
        "config_refused",
        "error",
        "the config's files have changed, and cannot be used: the config before serves on",
        ("problems",),
    ),
    LogEvent(
        "reload_ignored", "warning", "a reload was asked for (SIGHUP) that cannot be", ("cause",)
    ),
    LogEvent("provider_fails", "warning, error", "a provider entry has begun to fail", _PROVIDER),
    LogEvent(
        "provider_still_fails",
        "warning, error",
        "it went on to fail since the last line about it; at most one a minute",
        _PROVIDER,
    ),
    LogEvent(
        "provider_serves_again",
        "info",
        "it has served a call, and has not failed for a while",
        ("account", "model", "place", "calls", "seconds"),
    ),
    LogEvent(
        "key_renewed",
        "info",
        "a key was refused, and its file held another one, which is used from now on",
        ("account", "entries"),
    ),
    LogEvent(
        "usage_refused",
        "warning",
        "a model refused a stream since the sidecar had asked for its usage (`usage: ask`): the "
        "call is sent again without, and the model is not asked again until a reload",
        ("account", "model", "request_id"),
    ),
    LogEvent(
        "responses_break_off",
        "warning",
        "responses of a provider entry end before they are complete, after their beginning went to "
        "the app: three at least, each within 10 s of the one before",
        ("account", "model", "request_id", "calls", "seconds"),
    ),
    LogEvent(
        "responses_still_break_off",
        "warning",
        "they went on to do so since the last line about it; at most one a minute",
        ("account", "model", "request_id", "calls", "seconds"),
    ),
    LogEvent(
        "responses_are_whole_again",
        "info",
        "none has broken off for a while",
        ("account", "model", "calls", "seconds"),
    ),
    LogEvent(
        "router_fails",
        "warning",
        "the router model has begun to fail; calls are served without it",
        ("cause", "calls", "seconds"),
    ),
    LogEvent(
        "router_still_fails",
        "warning",
        "it went on to fail since the last line about it; at most one a minute",
        ("cause", "calls", "seconds"),
    ),
    LogEvent(
        "router_serves_again",
        "info",
        "it has answered, and has not failed for a while",
        ("calls", "seconds"),
    ),
    LogEvent(
        "router_breaker_opened", "warning", "the router model is not asked for a while, but probed"
    ),
    LogEvent(
        "router_breaker_closed",
        "info",
        "the router model is asked again, and has not failed for a while",
    ),
    LogEvent("redis_fails", "warning", "Redis cannot be used, and why", ("place", "cause")),
    LogEvent(
        "redis_gone",
        "warning",
        "its connection is gone: pins are kept in this process",
        ("place", "up_seconds", "untold"),
    ),
    LogEvent("redis_serves", "info", "it is connected: pins are shared", ("place", "away_seconds")),
    LogEvent(
        "redis_login_renewed",
        "info",
        "the files of its user or password hold another one, with which it is connected",
        ("place",),
    ),
    LogEvent(
        "tls_files_renewed",
        "info",
        "certificates or keys of a provider or of Redis have changed: new connections use them",
        ("files",),
    ),
    LogEvent(
        "tls_files_unusable",
        "warning",
        "they have changed and cannot be used: what was there before stays in use",
        ("files", "cause"),
    ),
    LogEvent("source_fails", "warning", "prices or latencies cannot be read", ("source", "cause")),
    LogEvent("source_serves_again", "info", "they are read again", ("source",)),
    LogEvent(
        "exporter_fails",
        "warning",
        "spans cannot be exported and are dropped; calls are not concerned",
        ("place", "cause", "spans"),
    ),
    LogEvent(
        "exporter_still_fails",
        "warning",
        "it went on to fail since the last line about it; at most one a minute",
        ("place", "cause", "spans"),
    ),
    LogEvent("exporter_works_again", "info", "spans are exported again", ("place",)),
    LogEvent(
        "connections_wait",
        "warning",
        "connections of a listener cannot be accepted, and wait; at most one line a minute",
        ("listener", "cause"),
    ),
    LogEvent(
        "connections_served",
        "info",
        "connections of that listener are accepted again",
        ("listener", "seconds"),
    ),
    LogEvent(
        "log_lines_dropped", "warning", "nothing had read stdout or stderr", ("lines", "stream")
    ),
)

LOG_FIELDS: Final = {
    "account": "name of an entry of `model_providers`",
    "admin_port": "TCP port",
    "away_seconds": "how long it was away",
    "awaits_restart": "what the config says and only a restart brings: `admin.port 9901 -> 9902`",
    "calls": "calls that failed since the last line about it; in `..._serves_again` all of them; "
    "in `calls_ended` those that were cut off",
    "cause": "a phrase: `connection refused`, `name not found`, `no TLS there`, ...",
    "changes": "what differs from the config before, as `check --diff` shows it; twenty at most",
    "code": "the provider's own code for its error, where it looks like one",
    "compiled": "whether the hot path is made of extension modules",
    "config": "path of the config file; `environment` without one",
    "config_hash": "first 12 hex digits of the file's SHA-256",
    "data_port": "TCP port",
    "entries": "how many entries of `model_providers` use it",
    "generation": "1 for the first config of the process, one more for each that replaced it",
    "files": "their paths, a list",
    "lines": "lines that were dropped",
    "listener": "`the data port`, `the admin port`, or that of operators' pages",
    "listener_path": "`fast` or `plain`",
    "loop": "module of the event loop",
    "method": "of the request for an operators' page",
    "model": "`prefix/model`, or `prefix/*` for a wildcard entry",
    "models": "names of all entries for apps",
    "operators": "where operators' pages are: `http://127.0.0.1:9902`, `unix:/path` or `off`",
    "page": "its path",
    "place": "`host:port` of the provider, of Redis, or of the collector of spans",
    "problems": "what is wrong, each with file, line and path of the key; twenty at most",
    "provider_request_id": "the provider's name for the last failed request",
    "python": "version of the interpreter",
    "reason": "what the failure means, as in `failovers_total`",
    "request_id": "`x-request-id` of the last failed call",
    "router": "name of the router model's entry",
    "routes": "names of all configured routes",
    "seconds": "time over which those calls failed; how long the drain took, or connections waited",
    "served": "those of the calls that another entry served",
    "served_by": "the entry that served the newest of them",
    "source": "`provider` of an entry of `model_metrics_sources`",
    "spans": "spans that were dropped since the last line about it",
    "status": "the provider's HTTP status",
    "store": "`memory`, or `redis at host:port`",
    "stream": "`stderr`, where the log goes, or `stdout`, where the access log goes",
    "to_do": "what a person has to do; such lines have level `error`",
    "untold": "times it went since the last such line: more than three a minute are counted",
    "up_seconds": "how long it had served",
    "version": "of the sidecar",
    "warning": "file, line, path of the key, and what about it; no value that came from elsewhere",
}  # fmt: skip
"""Field -> its meaning."""
