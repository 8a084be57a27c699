"""What providers do: attempts, failovers, and candidates that go last."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Panel, Query, Row, quantile, rate, series, share

_NOT_SERVING: Final = series("candidate_state", 'state!="serving"')
_ATTEMPT_COLORS: Final = (
    ("ok", "green"), ("client_error", "blue"), ("rate_limited", "yellow"),
    ("credential_refused", "light-red"),
    ("server_error", "orange"), ("connect_failed", "red"), ("timeout", "purple"),
    ("cut", "dark-red"), ("error_body", "dark-orange"), ("malformed", "dark-purple"),
    ("cancelled", "text"),
)  # fmt: skip
_REASON_COLORS: Final = (
    ("our_credential", "red"), ("quota", "dark-red"), ("model_gone", "purple"),
    ("busy", "yellow"), ("failing", "orange"), ("refused", "dark-orange"),
)  # fmt: skip

UPSTREAMS: Final = Row(
    "Upstreams",
    (
        Panel(
            "Attempts by outcome",
            "Every request to a provider. rate_limited: raise the limit or add an account."
            " server_error, timeout, cut: its status page. connect_failed and malformed: network,"
            " DNS, TLS or a proxy; the log's provider_fails has the cause.",
            "ops",
            (Query(rate("upstream_attempts_total", by="outcome"), "{{outcome}}"),),
            stacked=True,
            colors=_ATTEMPT_COLORS,
        ),
        Panel(
            "Failed attempts by account",
            "Share of attempts that the provider failed, by entry of model_providers. One alone:"
            " its key, quota, limit or model. All of one provider: it, or the way there.",
            "percentunit",
            (
                Query(
                    share(
                        rate(
                            "upstream_attempts_total",
                            'outcome!~"ok|cancelled|client_error"',
                            "account",
                        ),
                        rate("upstream_attempts_total", by="account"),
                    ),
                    "{{account}}",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "First byte by account, p95",
            "How long 95 of 100 attempts waited for the first byte, at most. One model slower than"
            " usual: let `prefer: fastest` rank its route, or set timeouts.first_byte_s so that"
            " calls go on to the next candidate.",
            "s",
            (
                Query(
                    quantile(0.95, "upstream_first_byte_seconds", "account"),
                    "{{account}}",
                ),
            ),
            logarithmic=True,
        ),
        Panel(
            "Failovers by reason",
            "Calls that went on to another candidate. our_credential, quota and model_gone need a"
            " person: key, bill or config. busy and failing pass by themselves; if they last, the"
            " provider's status page.",
            "ops",
            (Query(rate("failovers_total", by="reason"), "{{reason}}"),),
            stacked=True,
            colors=_REASON_COLORS,
        ),
        Panel(
            "Failovers, from and to",
            "Which model took over from which, and how often in a second. Where the second one is"
            " dearer or weaker, this is what the outage costs.",
            "ops",
            (
                Query(
                    rate("failovers_total", by="from_model, to_model"),
                    "{{from_model}} to {{to_model}}",
                ),
            ),
        ),
        Panel(
            "Candidates that do not serve",
            "Number of pods that put an account's model last: cooling for seconds since it failed,"
            " ejected for minutes since a person has to mend something. The table says why.",
            "short",
            (
                Query(
                    f"sum by (account, state) ({_NOT_SERVING})",
                    "{{account}} {{state}}",
                ),
            ),
        ),
        Panel(
            "State of candidates",
            "How every account's model stands now, and in how many pods. ejected with"
            " our_credential: renew the key (a file is read again by itself). quota: pay, or raise"
            " the limit. model_gone: correct the model's name in the config. cooling: wait.",
            "short",
            (
                Query(
                    f"sum by (account, model, state, reason) ({series('candidate_state')}) > 0",
                    "{{account}} {{model}} {{state}} {{reason}}",
                ),
            ),
            kind="table",
            width=12,
            columns=("account", "model", "state", "reason"),
            value="pods",
            colors=(("serving", "green"), ("cooling", "orange"), ("ejected", "red")),
        ),
        Panel(
            "Candidates that serve each route",
            "How many of a route's candidates neither cool nor are ejected, in the worst pod. At 1"
            " there is nothing left to fail over to; at 0 all of them fail: the table says why.",
            "short",
            (
                Query(
                    f"min by (route) ({series('route_candidates_serving')})",
                    "{{route}}",
                ),
            ),
            width=6,
        ),
        Panel(
            "Connections",
            "Connections to providers. active is calls under way, idle is kept for the next ones."
            " Many idle ones that go at once: a proxy or the provider closes them.",
            "short",
            (
                Query(
                    f"sum by (provider, state) ({series('upstream_connections')})",
                    "{{provider}} {{state}}",
                ),
            ),
            width=6,
        ),
    ),
)
