"""Clock, endpoints, timing and errors: small facts that everything else stands on."""

import inspect
import time

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain import errors
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Operation
from sidecar.domain.clock import SystemClock
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.outcome import Timing
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.vocabulary import CallOutcome, RouterOutcome
from tests.support.values import a_call

CONTRACT = {
    "InvalidBody": (400, "invalid_body"),
    "InvalidRoutingPreferences": (400, "invalid_routing_preferences"),
    "InvalidHeader": (400, "invalid_header"),
    "DialectNotServed": (400, "dialect_not_served"),
    "BodyTooLarge": (413, "body_too_large"),
    "UnsupportedEncoding": (415, "unsupported_encoding"),
    "HeadersTooLarge": (431, "headers_too_large"),
    "RequestTimeout": (408, "request_timeout"),
    "ModelNotFound": (404, "model_not_found"),
    "Overloaded": (503, "overloaded"),
    "Draining": (503, "draining"),
    "ConnectFailed": (503, "upstream_connect_failed"),
    "ConnectTimeout": (503, "upstream_connect_failed"),
    "UpstreamReset": (503, "upstream_connect_failed"),
    "FirstByteTimeout": (504, "upstream_timeout"),
    "ResponseTimeout": (504, "upstream_timeout"),
    "UpstreamMalformed": (502, "upstream_malformed"),
    "InternalFault": (500, "internal"),
}


@pytest.mark.parametrize("name", CONTRACT)
def test_an_error_has_the_contracts_status_and_code(name):
    """The table that apps are promised."""
    error = getattr(errors, name)

    assert CONTRACT[name] == (error.status, error.code)


def test_errors_know_their_side():
    """4xx are the app's, upstream ones the provider's, and each message is what the app reads."""
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.DownstreamError):
            assert errors.Side.DOWNSTREAM is kind.side
            assert 400 <= kind.status < 500
        elif issubclass(kind, errors.UpstreamError):
            assert errors.Side.UPSTREAM is kind.side
            assert kind.status >= 500


def test_an_error_carries_its_coordinates():
    """Message, place in the body, and when to come back."""
    error = errors.Overloaded("full", param="p", retry_after_s=3)

    assert ("full", "full", "p", 3) == (str(error), error.message, error.param, error.retry_after_s)
    assert "GET, HEAD" == errors.MethodNotAllowed("no", allow="GET, HEAD").allow


def test_a_config_error_lists_every_problem():
    """One line each."""
    error = errors.ConfigError(["a: 1", "b: 2"])

    assert (["a: 1", "b: 2"], "a: 1\nb: 2") == (error.problems, str(error))


@pytest.mark.parametrize(
    ("path", "dialect", "operation"),
    [
        ("/v1/chat/completions", CHAT, Operation.GENERATE),
        ("/v1/responses", RESPONSES, Operation.GENERATE),
        ("/v1/messages", MESSAGES, Operation.GENERATE),
        ("/v1/embeddings", EMBEDDINGS, Operation.EMBED),
        ("/v1/messages/count_tokens", MESSAGES, Operation.COUNT_TOKENS),
    ],
)
def test_paths_speak_their_dialect(path, dialect, operation):
    """What the app calls decides what it reads in an error."""
    assert (dialect, operation) == (
        DIALECTS.endpoints[path].dialect,
        DIALECTS.endpoints[path].operation,
    )
    assert dialect is a_call(endpoint=DIALECTS.endpoints[path]).endpoint.dialect


def test_enums_of_labels_hash_as_their_text():
    """So that a dict keyed by one is found by either."""
    assert hash("chat") == hash(CHAT)
    assert hash("ok") == hash(CallOutcome.OK)


def test_the_facts_of_a_routed_decision_are_frozen_and_may_be_few():
    """Without a route there is nothing to rank."""
    facts = RoutingFacts(RouterOutcome.OTHER)

    assert ("", (), (), False) == (
        facts.prefer,
        facts.candidates,
        facts.numbers,
        facts.is_exploring,
    )
    with pytest.raises(AttributeError):
        facts.prefer = "cheapest"  # type: ignore[misc]


@pytest.mark.parametrize(("waits", "overhead_s"), [((0.1, 0.2, 0.3), 0.4), ((1, 1, 1), 0.0)])
def test_overhead_is_what_nobody_else_took(waits, overhead_s):
    """The total less Redis, router model and providers, and never less than nothing."""
    affinity_s, router_s, upstream_s = waits
    timing = Timing(total_s=1.0, affinity_s=affinity_s, router_s=router_s, upstream_s=upstream_s)

    assert overhead_s == pytest.approx(timing.overhead_s)


def test_the_systems_clocks_are_the_machines():
    """Monotonic for durations, unix time for others to read."""
    clock = SystemClock()

    assert time.monotonic() - 60 < clock.monotonic_s() <= time.monotonic()
    assert time.time() - 60 < clock.unix_s() <= time.time()


def test_what_has_come_of_an_upload_counts_as_its_body():
    """Nothing of it is held."""

    class _Upload:
        length = None
        received_bytes = 7
        is_begun = True

        async def read(self) -> bytes:
            return b""

    assert (32, 7) == (a_call(body=b"x" * 32).bytes_in, a_call(body=b"", upload=_Upload()).bytes_in)


@pytest.mark.parametrize(
    ("requested", "asked", "expected"),
    [((), None, ""), (("openai/a",), None, "openai/a"), ((), "openai/a", "openai/a")],
)
def test_a_plan_knows_the_model_that_the_call_was_written_for(requested, asked, expected):
    """By its candidates, where nobody says so."""
    names = [Candidate(name, name, "a", name, frozenset()) for name in requested]

    assert expected == Plan((), 1, tuple(names), asked=asked).asked
