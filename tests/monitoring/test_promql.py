"""The reader of PromQL that holds dashboard and rules against the code finds what is wrong."""

from __future__ import annotations

import pytest

from tests.support.promql import catalogue, names_in, problems

EXPORTED = catalogue()
REQUESTS = "plano_sidecar_requests_total"


@pytest.mark.parametrize(
    "expr",
    [
        f'sum by (outcome) (rate({REQUESTS}{{pod=~"$pod", outcome=~"ok|incomplete"}}[$__rate_interval]))',
        f'rate({REQUESTS}{{dialect="chat"}}[5m])',
        'plano_sidecar_candidate_state{account="eu", reason=""}',
        'rate(plano_sidecar_routing_duration_seconds_bucket{le="1.0"}[5m])',
        "up == 0 and on (pod) plano_sidecar_build_info",
    ],
)
def test_what_is_exported_may_be_asked_for(expr):
    """Names, the values of closed vocabularies, those that the config decides, and macros."""
    assert [] == problems(expr, EXPORTED)


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ("rate(plano_sidecar_request_total[5m])", "plano_sidecar_request_total is not exported"),
        ("sum(rate(plano_sidecar_spans_lost_total[5m]))", "plano_sidecar_spans_lost_total is not exported"),
        (f'{REQUESTS}{{status="500"}}', f"{REQUESTS} has no label status"),
        (f'{REQUESTS}{{outcome="fine"}}', f"{REQUESTS}{{outcome}} is never 'fine'"),
        (f'{REQUESTS}{{outcome=~"ok|fine"}}', f"{REQUESTS}{{outcome}} is never 'ok|fine'"),
        (f'{REQUESTS}{{outcome!~"cancel.*"}}', f"{REQUESTS}{{outcome}} is never 'cancel.*'"),
        ('plano_sidecar_routing_duration_seconds_bucket{le="1"}', "plano_sidecar_routing_duration_seconds_bucket{le} is never '1'"),
        ("rate(plano_sidecar_in_flight[5m])", "rate of plano_sidecar_in_flight, which is a gauge"),
        (f"sum by (route) (rate({REQUESTS}[5m]))", "grouped by route, which no metric of the expression has"),
        (f"{REQUESTS} / on (source) {REQUESTS}", "grouped by source, which no metric of the expression has"),
        (f"{REQUESTS} / ignoring (outcome) group_left (route) {REQUESTS}", "grouped by route, which no metric of the expression has"),
    ],
)  # fmt: skip
def test_what_is_not_exported_is_found(expr, problem):
    """A panel of it would stay empty, and an alert silent."""
    assert [problem] == problems(expr, EXPORTED)


def test_what_is_no_promql_is_found():
    """Grafana would show an error in the place of the panel."""
    with pytest.raises(ValueError, match="unclosed"):
        problems("sum(rate(plano_sidecar_requests_total[5m])", EXPORTED)


def test_names_are_found_in_ranges_and_on_both_sides():
    """None is missed."""
    assert {"a", "b", "c"} == names_in("rate(a[5m]) / sum(b) and c offset 1h")
