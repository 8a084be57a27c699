"""The lines that the sidecar itself writes to the app."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import errors
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.wire.own_headers import (
    decision_lines,
    header_text,
    lost_line,
    lost_text,
    models_lines,
    probe_lines,
    refused_lines,
    served_lines,
    translated_line,
    walked_headers,
)
from tests.support.values import a_call

CANDIDATE = Candidate("openai-eu", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())


@pytest.mark.parametrize(
    ("route", "expected"), [(None, []), ("caf\u00e9", ["x-plano-route: caf%C3%A9"])]
)
def test_a_served_response_says_who_answered_why_and_how_long_it_took(route, expected):
    """The route's line is there only where a route was chosen; times are milliseconds."""
    decision = Decision(Source.ROUTED, (CANDIDATE,), route, affinity_s=0.0000204)

    lines = served_lines(a_call(), decision, CANDIDATE, 2, 0.0123456, 1.5).decode()

    assert lines.endswith("\r\n")
    assert [
        "x-plano-model: openai/gpt-4o",
        "x-plano-provider: openai-eu",
        *expected,
        "x-plano-source: routed",
        "x-request-id: req-1",
        "x-plano-attempts: 2",
        "server-timing: affinity;dur=0.020, routing;dur=12.346, upstream;dur=1500.000",
    ] == lines.split("\r\n")[:-1]


JSON = b"content-type: application/json\r\n"
ID = b"x-request-id: r\r\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidBody("x"), [b"x-should-retry: false\r\n"]),
        (errors.Overloaded("x", retry_after_s=1), [b"retry-after: 1\r\n"]),
        (errors.Draining("x", retry_after_s=900), [b"retry-after: 60\r\n"]),
        (
            errors.MethodNotAllowed("x", allow="GET, HEAD"),
            [b"x-should-retry: false\r\n", b"allow: GET, HEAD\r\n"],
        ),
        (
            errors.UpgradeNotServed("x"),
            [b"x-should-retry: false\r\n", b"upgrade: HTTP/1.1\r\n"],
        ),
        (
            errors.ConnectFailed("x"),
            [b"x-should-retry: true\r\n", b"x-plano-attempts: 1\r\n"],
        ),
    ],
)
def test_a_refusal_says_its_code_and_whether_a_retry_can_help(error, expected):
    """SDKs retry unless they are told not to; a longer Retry-After than 60 s they ignore."""
    code = b"x-plano-error: %b\r\n" % error.code.encode()

    assert [JSON, ID, code, *expected] == refused_lines(error, "r")


def test_what_was_tried_at_several_providers_is_not_retried_by_the_sdk():
    """Its retries would multiply the sidecar's own."""
    error = errors.ConnectFailed("x")
    error.attempts = error.candidates = 3

    assert [b"x-should-retry: false\r\n", b"x-plano-attempts: 3\r\n"] == refused_lines(error, "r")[
        3:
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.UpstreamReset, [b"x-should-retry: true\r\n"]),
        (errors.Stale, [b"x-should-retry: true\r\n"]),
        (errors.ConnectFailed, [b"x-should-retry: true\r\n"]),
        (errors.UpstreamMalformed, []),
    ],
)
def test_what_may_have_reached_a_provider_is_the_apps_to_repeat(kind, expected):
    """The sidecar does not send it twice to one provider; several sendings on connections that were
    dead are no several providers.
    """
    error = kind("x")
    error.attempts = 2

    assert [*expected, b"x-plano-attempts: 2\r\n"] == refused_lines(error, "r")[3:]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([(b"retry-after", b"9"), (b"x-should-relax", b"x")],) * 2,
        ([(b"X-Should-Retry", b"true"), (b"a", b"b"), (b"x-should-retry", b"1")], [(b"a", b"b")]),
    ],
)
def test_a_providers_error_after_several_attempts_is_not_retried_by_the_sdk(headers, expected):
    """Also where the provider asks for a retry: it knows of its own attempt only."""
    assert [*expected, (b"x-should-retry", b"false")] == walked_headers(headers)


def test_replies_of_the_sidecars_own_carry_the_request_id():
    """A probe has no body, the others have JSON."""
    assert [[ID], [JSON, ID], [JSON, ID]] == [
        probe_lines("r"),
        models_lines("r"),
        decision_lines("r"),
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("code generation", "code generation"),
        ('a/b: c, "d" <e>', 'a/b: c, "d" <e>'),
        ("r\u00e9sum\u00e9", "r%C3%A9sum%C3%A9"),
        ("\u7ffb\u8bd1", "%E7%BF%BB%E8%AF%91"),
        ("50 % off", "50 %25 off"),
        ("x\r\nset-cookie: a=b", "x%0D%0Aset-cookie: a=b"),
        ("\x00\x7f\t", "%00%7F%09"),
        ("\ud800", "?"),
    ],
)
def test_a_name_is_one_line_of_ascii(name, shown):
    """Whoever decodes the percent signs has the name back; what is no character is a question
    mark.
    """
    assert shown == header_text(name).replace("%3F", "?")


@given(st.text(st.characters(codec="utf-8")))
def test_any_name_comes_back(name):
    """And none holds more than printable ASCII."""
    shown = header_text(name)

    assert (True, True, name) == (shown.isascii(), shown.isprintable() or not shown, unquote(shown))


def test_a_response_says_what_its_request_was_sent_without():
    """So that the app can tell why a model has forgotten its thoughts."""
    assert lost_line("thinking") == b"x-plano-lost: thinking\r\n"


def test_each_name_of_what_was_lost_is_said_once():
    """In one list."""
    assert ("", "a, b.c") == (lost_text([]), lost_text(["a", "b.c", "a"]))


def test_names_of_what_was_lost_are_bounded_and_end_no_line():
    """Those of unknown fields are the app's to invent."""
    many = [f"field{number}" for number in range(17)]

    assert lost_text(many) == f"{', '.join(many[:16])}, ..."
    assert lost_text(["a\r\nset-cookie: x" + "y" * 200]) == ("a%0D%0Aset-cookie: x" + "y" * 112)


def test_a_response_says_that_it_was_translated():
    """From the app's API to the provider's."""
    assert translated_line("chat>messages") == b"x-plano-translated: chat>messages\r\n"


def test_a_response_says_how_probable_its_route_is():
    """With two digits: models are no better calibrated."""
    facts = RoutingFacts(RouterOutcome.MATCHED, confidence=0.876)
    decision = Decision(Source.ROUTED, (CANDIDATE,), "code", routing=facts)

    lines = served_lines(a_call(), decision, CANDIDATE, 1, 0.0, 0.0)
    assert lines.endswith(b"\r\nx-plano-confidence: 0.88\r\n")
