"""Alerts on what is broken, whether or not calls fail for it yet."""

from __future__ import annotations

from typing import Final

from deploy.prometheus.alert import BY, Alert, Runbook
from deploy.prometheus.objectives import OVERHEAD, ROUTER

_WHERE: Final = "{{ $labels.namespace }}/{{ $labels.app }}"
_ROUTER_FAILURES: Final = "unknown_route|unreadable|http_error|timeout|breaker_open|busy"


def _ejected(reason: str, by: str) -> str:
    return (
        f"count by ({BY}, {by})"
        f' (plano_sidecar_candidate_state{{state="ejected", reason="{reason}"}} == 1)'
    )


PROCESS: Final = (
    Alert(
        "PlanoSidecarDown",
        # A pod that never served, by a config that cannot be used, is known by others of its app.
        "up == 0\n"
        "and on (namespace, pod, instance)"
        " max by (namespace, pod, instance) (last_over_time(plano_sidecar_build_info[1d]))\n"
        'or up{app!=""} == 0\n'
        "and on (job, namespace, app)"
        " max by (job, namespace, app) (last_over_time(plano_sidecar_build_info[1d]))",
        "5m",
        "critical",
        "A sidecar does not answer on its admin port.",
        "The sidecar of {{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.instance }}) has not"
        " answered its scrapes for 5 minutes (up is {{ $value }}): its app cannot call any model.",
        Runbook(
            "Prometheus cannot read /metrics of a sidecar that it read within the last day, or of a"
            " new one beside those: the process is gone, does not start, hangs, or cannot be"
            " reached.",
            "kubectl describe pod: restarts, OOMKilled, failing probes, the node. kubectl logs -c"
            " plano-sidecar --previous: the last lines.",
            "OOMKilled: raise the memory limit, and lower limits.memory_bytes. A config error:"
            " the log's last line names key and line. It hangs: delete the pod, and keep its log."
            " Only scrapes fail: look for a NetworkPolicy on the admin port.",
        ),
    ),
    Alert(
        "PlanoSidecarAbsent",
        "absent(plano_sidecar_build_info)",
        "10m",
        "critical",
        "Prometheus scrapes no sidecar at all.",
        "No series of any sidecar has arrived for 10 minutes (absent is {{ $value }}). All other"
        " alerts on sidecars are blind.",
        Runbook(
            "There is no sidecar, or Prometheus does not find them.",
            "Prometheus' page of targets: is there a job for the sidecars, and does it drop them?"
            " kubectl get pods: do the apps' pods have a container plano-sidecar?",
            "Targets missing: the port must be named plano-admin, and Prometheus may have to be"
            " allowed to list pods in that namespace. Containers missing: go back to the deployment"
            " that had them.",
        ),
    ),
    Alert(
        "PlanoSidecarLoopLag",
        "histogram_quantile(\n"
        f"  0.99,\n"
        f"  sum by ({BY}, pod, le) (rate(plano_sidecar_event_loop_lag_seconds_bucket[10m]))\n"
        ") > 0.1",
        "5m",
        "warning",
        "A sidecar's event loop is late: every call of that pod waits.",
        "The event loop of {{ $labels.namespace }}/{{ $labels.pod }} woke up to"
        " {{ $value | humanizeDuration }} late (p99 over 10 minutes).",
        Runbook(
            "One thread serves all calls of the pod, and it did not get to run, or was busy with"
            " one thing, for over 100 ms.",
            "`CPU`: a plateau below 100 % of a core is a CPU limit; at 100 % it is the load."
            " The node: is it out of CPU? `In flight`, and how large the bodies are.",
            "Remove the sidecar's CPU limit and request what it needs. Add pods. If only one pod is"
            " late, move it to another node.",
        ),
    ),
    Alert(
        "PlanoSidecarOverheadHigh",
        f"histogram_quantile(0.99, sum by ({BY}, le) ({OVERHEAD.name})) > 0.01\n"
        f'and sum by ({BY}) ({OVERHEAD.name}{{le="+Inf"}}) * 300 >= 100',
        "10m",
        "warning",
        "The sidecar itself adds over 10 ms to one call in a hundred.",
        f"The sidecars of {_WHERE} add {{{{ $value | humanizeDuration }}}} to a call (p99 over 5"
        " minutes); the objective is 10ms.",
        Runbook(
            "What the sidecar itself did to calls, all waiting for Redis, the router model and"
            " providers left out, took over 10 ms for more than 1 % of them.",
            "`Event loop lag` and `CPU`; `Versions`: does every pod say compiled=true?",
            "Remove the sidecar's CPU limit, add pods. Where compiled is false, install the image"
            " that has the compiled hot path.",
        ),
    ),
    Alert(
        "PlanoSidecarConfigsDiffer",
        f"count by ({BY}) (count by ({BY}, hash) (plano_sidecar_config_info)) > 1",
        "1h",
        "warning",
        "Pods of one app serve by different configs.",
        f"The pods of {_WHERE} have served by {{{{ $value }}}} different configs for an hour.",
        Runbook(
            "Longer than a rollout takes, some pods serve by one config and some by another: they"
            " may choose different models for the same call.",
            "`Configs` names the hashes; max by (pod, hash) (plano_sidecar_config_info) says which"
            " pod has which.",
            "Let the rollout end, or restart the pods that were left out: kubectl rollout restart.",
        ),
    ),
    Alert(
        "PlanoSidecarReloadFailed",
        f"count by ({BY}) (plano_sidecar_config_last_reload_successful == 0) > 0",
        "1m",
        "warning",
        "A changed config was refused: sidecars serve by the old one.",
        f"{{{{ $value }}}} sidecars of {_WHERE} refused their changed config and serve by the one"
        " before.",
        Runbook(
            "The config file, or a file that it names, changed and cannot be used: calls go on by"
            " the config before. No call fails now; a pod that starts with the file does not come"
            " up, so that the next scale-up, eviction or rollout fails.",
            "The sidecar's log (config_refused) and its page /config_dump have every problem of the"
            " file, with its line.",
            "Mend the file, look at it with plano-sidecar check FILE, and apply it again. Sidecars"
            " take it within seconds of the volume's update, which takes a kubelet a minute.",
        ),
    ),
    Alert(
        "PlanoSidecarLogLinesDropped",
        f"sum by ({BY}, pod) (increase(plano_sidecar_log_lines_dropped_total[15m])) > 0",
        "0m",
        "warning",
        "A sidecar's log has gaps: nothing reads its output.",
        "{{ $labels.namespace }}/{{ $labels.pod }} dropped {{ $value | humanize }} log lines in the"
        " last 15 minutes.",
        Runbook(
            "stderr or stdout was not read fast enough: lines were dropped so that calls go on.",
            "The node's log driver or agent: its disk, its buffers, its rate limit.",
            "Mend the agent. Where access logs are many, lower access_log.sample.",
        ),
    ),
    Alert(
        "PlanoSidecarSpansDropped",
        f"sum by ({BY}) (increase(plano_sidecar_spans_dropped_total[15m])) > 0",
        "5m",
        "warning",
        "Traces have gaps: the collector does not take all spans.",
        f"The sidecars of {_WHERE} dropped {{{{ $value | humanize }}}} spans in the last 15"
        " minutes.",
        Runbook(
            "The collector is down, slow, or refuses spans. Calls go on.",
            "The sidecar's log has the exporter's cause; the collector's own metrics.",
            "Mend the collector or scale it, or lower tracing.random_sampling.",
        ),
    ),
)

AFFINITY: Final = (
    Alert(
        "PlanoSidecarAffinityStoreDown",
        f"count by ({BY}) (plano_sidecar_affinity_store_up == 0) > 0",
        "5m",
        "warning",
        "Sidecars cannot use Redis: pods do not share pins.",
        f"{{{{ $value }}}} sidecars of {_WHERE} have left Redis alone for 5 minutes, since it"
        " fails.",
        Runbook(
            "Redis fails, so each pod keeps its pins to itself. Calls are served; a session that"
            " comes to another pod may get another model, and loses the provider's prompt cache.",
            "The log's redis_fails has address and cause. `Pods without Redis, without tracking`:"
            " all pods, or some? Redis itself: memory, persistence, maxmemory-policy, the rights of"
            " its user.",
            "All pods: mend Redis. Some pods: the way there, a NetworkPolicy, a node. A wrong"
            " password: the Secret. Pins made meanwhile are written back by themselves.",
        ),
    ),
    Alert(
        "PlanoSidecarTrackingDown",
        f"count by ({BY}) (\n"
        "  plano_sidecar_affinity_tracking_up == 0\n"
        "  unless on (instance) plano_sidecar_affinity_store_up == 0\n"
        ") > 0",
        "10m",
        "warning",
        "Redis does not tell sidecars of changed pins: memory is not coherent.",
        f"{{{{ $value }}}} sidecars of {_WHERE} use Redis without CLIENT TRACKING: what they keep"
        " in memory may be a second old.",
        Runbook(
            "Redis answers, and does not tell these sidecars when others change pins. They believe"
            " a pin for a second and then ask again: more round trips, slower pinned decisions.",
            "The log's redis_fails. Is there a proxy before Redis, or a server without RESP3? May"
            " its user run CLIENT TRACKING?",
            "Allow +client|tracking, +client|id and RESP3 (hello), or connect without the proxy.",
        ),
    ),
)

ROUTING: Final = (
    Alert(
        "PlanoSidecarRouterFailing",
        f'sum by ({BY}) ({ROUTER.name}{{outcome=~"{_ROUTER_FAILURES}"}})\n'
        f"/ sum by ({BY}) ({ROUTER.name}) > 0.2\n"
        f"and sum by ({BY}) ({ROUTER.name}) * 300 >= 10",
        "5m",
        "warning",
        "The router model fails: new sessions are not routed.",
        f"{{{{ $value | humanizePercentage }}}} of the questions of {_WHERE} to the router model"
        " came to nothing in the last 5 minutes.",
        Runbook(
            "The router model does not answer, or not so that it can be understood. New sessions"
            " are served by the model that they ask for; pinned ones notice nothing.",
            "`Router model by outcome`. http_error, timeout, breaker_open, busy: its server; the"
            " log's router_fails has the cause. unreadable, unknown_route: its answers.",
            "Restart or scale its server. Answers that cannot be read: is it the model that"
            " overrides.llm_routing_model names, and does routing.prompt_template fit it?",
        ),
    ),
    Alert(
        "PlanoSidecarRouteDown",
        f"max by ({BY}, route) (avg_over_time(plano_sidecar_route_candidates_serving[5m])) < 0.5",
        "2m",
        "critical",
        "All candidates of a route fail.",
        f"On the route {{{{ $labels.route }}}} of {_WHERE} there were {{{{ $value | humanize }}}}"
        " candidates that serve, on average over 5 minutes, in the pod that has the most.",
        Runbook(
            "In every pod all models of the route cool down or are ejected. Calls still try the two"
            " that are due soonest, and mostly fail.",
            "`State of candidates`: each with its reason. The log's provider_fails has the causes.",
            "our_credential: renew the key. quota: pay, or raise the limit. model_gone: correct the"
            " model's name. busy or failing: the provider's status page. At once: add a candidate"
            " of another provider to the route.",
        ),
    ),
    Alert(
        "PlanoSidecarCredentialRefused",
        _ejected("our_credential", "account"),
        "1m",
        "warning",
        "A provider refuses a configured key.",
        f"The key of account {{{{ $labels.account }}}} is refused in {{{{ $value }}}} sidecars of"
        f" {_WHERE}; its models go last.",
        Runbook(
            "The provider answered that the key is wrong, expired or not allowed. Other candidates"
            " serve, where there are any. It is tried again every 5 minutes.",
            "The log's provider_fails has status, the provider's code and its request id.",
            "Make a new key at the provider and put it into the Secret: a key from a file is read"
            " again by itself. A key from the environment needs a restart.",
        ),
        keeps="10m",
    ),
    Alert(
        "PlanoSidecarQuotaSpent",
        _ejected("quota", "account"),
        "1m",
        "warning",
        "An account at a provider has nothing left to spend.",
        f"Account {{{{ $labels.account }}}} has no quota left, say {{{{ $value }}}} sidecars of"
        f" {_WHERE}; its models go last.",
        Runbook(
            "The provider answered that the account's credit or monthly limit is spent. Other"
            " candidates serve, where there are any.",
            "The provider's page of billing and limits. `USD per hour by account`: is it more than"
            " usual?",
            "Pay, or raise the limit. Until then other candidates serve, at their prices.",
        ),
        keeps="10m",
    ),
    Alert(
        "PlanoSidecarModelGone",
        _ejected("model_gone", "account, model"),
        "1m",
        "warning",
        "A provider does not know a configured model.",
        f"{{{{ $labels.model }}}} is unknown at account {{{{ $labels.account }}}}, say"
        f" {{{{ $value }}}} sidecars of {_WHERE}; it goes last.",
        Runbook(
            "The provider answered that there is no such model: it was retired or renamed, its name"
            " is misspelt, or the account may not use it.",
            "The provider's list of models and of deprecations, asked with this account's key.",
            "Correct the model's name in the config, or replace it by the one that follows it.",
        ),
        keeps="10m",
    ),
)

SYMPTOMS: Final = (*PROCESS, *AFFINITY, *ROUTING)
