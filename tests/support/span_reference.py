"""Writes the reference of the spans' attributes, from spans that have all of them.

``python -m tests.support.span_reference`` puts it between the markers of sidecar/telemetry/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, RouterOutcome
from sidecar.telemetry import span_facts
from sidecar.telemetry.span_names import ATTRIBUTES
from tests.support.values import a_call

README: Final = Path(__file__).parents[2] / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- spans, written by tests/support/span_reference.py -->"
ENDS: Final = "<!-- /spans -->"


def attributes_of_spans() -> dict[str, frozenset[str]]:
    """What each span can say at most, made by the code that makes them: span -> attributes."""
    call = a_call(session_id="s1")
    model = Candidate("east", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
    decision = Decision(Source.ROUTED, (model,), "code", metric_route="code")
    server = span_facts.CalledServer("127.0.0.1", 443, "gpt-4o")
    attempt = Attempt(model, AttemptOutcome.CUT, 200, 0.1, 0.2, 1000.0, 1)
    way, lost = "chat>messages", "max_tokens"
    outcome = Outcome(CallOutcome.INCOMPLETE, 200, Timing(1.0), translated=way, lost=lost)
    tried = span_facts.attempt_span(call, attempt, 1, server)
    served = span_facts.served_attributes(Served(Usage(1, 1), "gpt-4o"))
    spans = {
        "call": span_facts.call_span(CallEnded(call, decision, outcome)),
        "`route`": span_facts.route_span(call, decision, 0.1),
        "`affinity get`": span_facts.pin_span((0.0, 1.0)),
        "`router`": span_facts.router_span(RouterOutcome.TIMEOUT, (0.0, 1.0), server),
    }
    made = {name: frozenset(span.attributes) for name, span in spans.items()}
    return made | {"attempt": frozenset(tried.attributes | served)}


def reference() -> str:
    """A table of attributes."""
    lines = ["## Attributes of spans", "", "| attribute | of | meaning |", "|---|---|---|"]
    spans = attributes_of_spans()
    for name, meaning in ATTRIBUTES.items():
        of = ", ".join(span for span, attributes in spans.items() if name in attributes)
        lines.append(f"| `{name}` | {of} | {meaning} |")
    return "\n".join(lines)


def with_reference(text: str) -> str:
    """The README's text with the reference as it should be now."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
