"""What a span says: names of the conventions, cut texts, and never what was said."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from sidecar.config.families import FAMILIES
from sidecar.domain.call import CHAT, BodyFacts, Endpoint, Operation
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.ids import AFFINITY_SPAN, ROUTE_SPAN, ROUTER_SPAN, shown_hash
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, RouterOutcome
from sidecar.telemetry import span_names as names
from sidecar.telemetry.span_facts import (
    CalledServer,
    SpanKind,
    attempt_span,
    call_span,
    pin_span,
    route_span,
    router_span,
    served_attributes,
)
from tests.support.span_reference import README, attributes_of_spans, with_reference
from tests.support.values import a_call

GPT = Candidate("east", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
ROUTED = Decision(Source.ROUTED, (GPT,), "own", metric_route="other")
HERE = CalledServer("api.openai.com", 443)


def ended(result: CallOutcome = CallOutcome.OK, **more: Any) -> CallEnded:
    call = more.pop("call", a_call())
    decision = more.pop("decision", ROUTED)
    return CallEnded(call, decision, Outcome(result, more.pop("status", 200), Timing(2.5), **more))


def test_a_calls_span_says_what_was_asked_for_and_why_a_model_was_chosen():
    """A route that a body brought is not named: its name is the app's."""
    span = call_span(ended(call=a_call(session_id="s1", tenant="acme")))

    assert ("POST /v1/chat/completions", SpanKind.SERVER, 0, (1000.0, 1002.5), False) == (
        span.name,
        span.kind,
        span.number,
        span.times,
        span.is_error,
    )
    assert {
        "http.request.method": "POST",
        "url.path": "/v1/chat/completions",
        "gen_ai.conversation.id": shown_hash("s1"),
        "gen_ai.request.model": "gpt-4o",
        "plano.source": "routed",
        "plano.pinned": False,
        "plano.route": "other",
        "http.response.status_code": 200,
    } == span.attributes


@pytest.mark.parametrize(
    ("result", "code", "error_type", "is_error"),
    [
        (CallOutcome.OK, None, None, False),
        (CallOutcome.CLIENT_ERROR, "model_not_found", "model_not_found", False),
        (CallOutcome.CLIENT_ERROR, None, "client_error", False),
        (CallOutcome.UPSTREAM_ERROR, None, "upstream_error", True),
        (CallOutcome.SIDECAR_ERROR, "internal", "internal", True),
        (CallOutcome.INCOMPLETE, None, "incomplete", True),
        (CallOutcome.CANCELLED, None, "cancelled", False),
        (CallOutcome.DOWNSTREAM_IDLE, "downstream_idle", "downstream_idle", False),
    ],
)
def test_a_call_is_an_error_where_that_is_not_the_apps_doing(result, code, error_type, is_error):
    """Its type is the error's code, or else how the call ended."""
    span = call_span(ended(result, error_code=code))

    assert (error_type, is_error) == (span.attributes.get("error.type"), span.is_error)


@pytest.mark.parametrize(("lost", "expected"), [("", None), ("max_tokens", "max_tokens")])
def test_what_was_sent_otherwise_than_the_app_wrote_it_is_told(lost, expected):
    """As the app was told."""
    attributes = call_span(ended(lost=lost)).attributes

    assert expected == attributes.get("plano.lost")


def test_a_call_that_ended_early_says_what_is_known():
    """No decision, no status, no model."""
    span = call_span(
        ended(CallOutcome.CANCELLED, call=a_call(facts=BodyFacts()), decision=None, status=0)
    )

    assert {"http.request.method", "url.path", "error.type"} == span.attributes.keys()


def test_names_that_others_made_up_are_cut_and_can_be_encoded():
    """A lone surrogate would cost the whole batch."""
    call = a_call(
        endpoint=Endpoint("/v1/" + "x" * 1000, CHAT, Operation.PASSTHROUGH),
        facts=BodyFacts(requested_model="\ud800" + "m" * 1000),
    )
    span = call_span(ended(call=call))

    assert [256, 256, 256] == [
        len(span.name),
        len(str(span.attributes["url.path"])),
        len(str(span.attributes["gen_ai.request.model"])),
    ]
    assert str(span.attributes["gen_ai.request.model"]).encode().startswith(b"?mm")


def test_the_decision_and_the_look_into_the_store_are_spans():
    """A pinned call has no route where its pin names none."""
    route = route_span(a_call(), Decision(Source.PINNED, (GPT,)), 0.25)
    pin = pin_span((1.0, 2.0))

    assert ("route", ROUTE_SPAN, (1000.0, 1000.25)) == (route.name, route.number, route.times)
    assert {"plano.source": "pinned", "plano.pinned": True} == route.attributes
    assert ("affinity get", AFFINITY_SPAN, (1.0, 2.0)) == (pin.name, pin.number, pin.times)


@pytest.mark.parametrize(
    ("outcome", "error_type"),
    [
        (RouterOutcome.MATCHED, None),
        (RouterOutcome.OTHER, None),
        (RouterOutcome.TIMEOUT, "timeout"),
        (RouterOutcome.UNREADABLE, "unreadable"),
    ],
)
def test_the_question_to_the_router_model_is_a_span(outcome, error_type):
    """An error where nothing could be made of what it said."""
    span = router_span(outcome, (1.0, 2.0), CalledServer("router", 8000, "Arch-Router"))

    assert ("router Arch-Router", SpanKind.CLIENT, ROUTER_SPAN) == (
        span.name,
        span.kind,
        span.number,
    )
    assert (error_type, error_type is not None) == (
        span.attributes.get("error.type"),
        span.is_error,
    )
    assert ("Arch-Router", "router", 8000) == tuple(
        span.attributes[name] for name in ("gen_ai.request.model", "server.address", "server.port")
    )
    assert "router" == router_span(outcome, (1.0, 2.0), None).name


@pytest.mark.parametrize(
    ("outcome", "error_type", "is_error"),
    [
        (AttemptOutcome.OK, None, False),
        (AttemptOutcome.CANCELLED, "cancelled", False),
        (AttemptOutcome.RATE_LIMITED, "rate_limited", True),
        (AttemptOutcome.CONNECT_FAILED, "connect_failed", True),
    ],
)
def test_an_attempt_says_where_it_went_and_how_it_ended(outcome, error_type, is_error):
    """Its error's type is one of the metrics' own words."""
    attempt = Attempt(GPT, outcome, None, None, 0.5, 1001.0, 2)
    span = attempt_span(a_call(), attempt, 0, HERE)

    assert ("chat gpt-4o", SpanKind.CLIENT, 2, (1001.0, 1001.5), is_error) == (
        span.name,
        span.kind,
        span.number,
        span.times,
        span.is_error,
    )
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "plano.attempt": 2,
        "server.address": "api.openai.com",
        "server.port": 443,
        **({} if error_type is None else {"error.type": error_type}),
    } == span.attributes


def test_an_attempt_that_was_sent_again_says_so():
    """And where the entry is gone from the config, nothing of its server."""
    attempt = Attempt(GPT, AttemptOutcome.OK, 200, 0.1, 0.5, 1001.0, 1)
    span = attempt_span(a_call(session_id="s1"), attempt, 1, None)

    assert (1, 200, shown_hash("s1")) == tuple(
        span.attributes[name]
        for name in (
            "http.request.resend_count",
            "http.response.status_code",
            "gen_ai.conversation.id",
        )
    )
    assert "server.address" not in span.attributes


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (Served(), {}),
        (Served(Usage()), {}),
        (Served(Usage(3, 0), "gpt-4o-2024"), {names.INPUT_TOKENS: 3, names.OUTPUT_TOKENS: 0, names.RESPONSE_MODEL: "gpt-4o-2024"}),
    ],
)  # fmt: skip
def test_what_a_response_says_of_itself_is_told_as_far_as_it_does(served, expected):
    """Zero is a figure, None is none."""
    assert expected == served_attributes(served)


def test_every_operation_has_a_name():
    """Generation and embeddings by the conventions' own."""
    known = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}

    assert set(Operation) == names.OPERATION_NAMES.keys()
    assert {"chat", "embeddings"} == known & set(names.OPERATION_NAMES.values())


def test_families_that_the_conventions_know_have_their_names():
    """A typing error would show as a provider that no tool knows."""
    known = {each.value for each in gen_ai_attributes.GenAiProviderNameValues}
    named = {names.provider_name(family) for family in FAMILIES}

    assert {
        "anthropic", "azure.ai.openai", "deepseek", "gcp.gemini", "groq", "mistral_ai", "openai",
        "perplexity", "x_ai",
    } == named & known  # fmt: skip


def test_attributes_of_generative_ai_are_those_of_the_conventions():
    """As the library of the noted version spells them."""
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}

    assert {name for name in names.ATTRIBUTES if name.startswith("gen_ai.")} <= known


def test_every_attribute_that_is_told_of_is_made_and_the_other_way_round():
    """By the spans themselves: the README lists no other."""
    made = attributes_of_spans()

    assert frozenset(names.ATTRIBUTES) == frozenset().union(*made.values())
    assert frozenset() == made["`affinity get`"]


def test_the_readme_lists_every_attribute():
    """``python -m tests.support.span_reference`` writes it."""
    text = README.read_text(encoding="utf-8")

    assert with_reference(text) == text
