"""The room's README names all that no other API has a place for."""

from __future__ import annotations

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.losses import Weight
from tests.support.translation_reference import README, names_lost, with_reference


def test_the_readme_holds_the_reference():
    """To the letter; ``python -m tests.support.translation_reference`` writes it anew."""
    text = README.read_text(encoding="utf-8")

    assert with_reference(text) == text


@pytest.mark.parametrize(
    ("source", "weight", "name"),
    [
        (CHAT, Weight.DECISIVE, "logprobs"),
        (RESPONSES, Weight.DECISIVE, "previous_response_id"),
        (RESPONSES, Weight.AVOIDABLE, "tools.web_search"),
        (MESSAGES, Weight.AVOIDABLE, "tools.bash_*"),
        (MESSAGES, Weight.HARMLESS, "messages.content.thinking"),
    ],
)
def test_a_name_stands_beside_its_weight(source, weight, name):
    """And beside no other; what is carried stands nowhere."""
    found = [each for each in Weight if name in names_lost(source, each)]

    assert [weight] == found
    assert not {"model", "tools", "messages"} & set(names_lost(source, weight))
