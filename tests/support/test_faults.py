"""How a request, or a test, asks a demo provider for a failure."""

from __future__ import annotations

import pytest

from tests.support.faults import Act, Fault, parse_fault, wished_fault


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("429", Fault(status=429)),
        ("429 retry-after=7", Fault(status=429, retry_after="7")),
        ("insufficient_quota", Fault(status=429, code="insufficient_quota")),
        ("context_length_exceeded", Fault(status=400, code="context_length_exceeded")),
        ("cut-stream after=3", Fault(act=Act.CUT_STREAM, after_events=3)),
        ("slow delay=0.5", Fault(act=Act.SLOW, delay_s=0.5)),
    ],
)
def test_a_wish_is_read(spec: str, fault: Fault) -> None:
    """A wish is a status, a code or an act, with what it needs."""
    assert parse_fault(spec) == fault


@pytest.mark.parametrize("spec", ["", "200", "explode", "429 retry=7", "cut-stream after=x"])
def test_an_unreadable_wish_is_an_error(spec: str) -> None:
    """A wish that means nothing is not silently ignored."""
    with pytest.raises(ValueError, match=r".+"):
        parse_fault(spec)


@pytest.mark.parametrize(
    ("model", "prompt", "header"),
    [
        ("error-429", "Hello", None),
        ("gpt-4o", "Hello [[fail:429]]", None),
        ("gpt-4o", "[[fail:500]] and then [[fail:429]]", None),
        ("error-500", "[[fail:500]]", "429"),
    ],
)
def test_a_request_carries_its_wish(model: str, prompt: str, header: str | None) -> None:
    """A header beats the prompt's last directive, which beats the model's name."""
    assert wished_fault(model=model, prompt=prompt, header=header) == Fault(status=429)


def test_a_directive_for_another_is_none_of_ours() -> None:
    """What is meant for the router model does not fail the provider."""
    assert wished_fault(model="gpt-4o", prompt="[[fail-router:500]]", header=None) == Fault()
