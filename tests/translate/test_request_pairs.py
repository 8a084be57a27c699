"""What becomes of a request in another API, to the last member, and what is lost."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.call import MESSAGES
from sidecar.translate.fields import TABLES
from sidecar.translate.requests import losses_of
from tests.translate.request_cases import PLAINEST, body_of, pairs, read, written
from tests.translate.sdk_params import ROOTS, fits

SAMPLING = {"temperature", "top_p", "top_k"}
"""The types of Anthropic's SDK no longer name what older models take."""


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_a_request_becomes_what_its_pair_says(pair):
    """To the last member; what is lost is named, and what is written fits the target's types as the
    installed SDK has them.
    """
    conversation = read(body_of(pair.given, pair.source), pair.source)

    body = json.loads(written(conversation, pair.target))
    losses = losses_of(conversation, pair.source, pair.target)

    assert pair.body == body
    assert pair.lost == {loss.field: loss.weight.name.lower() for loss in losses}
    assert fits_an_sdk(body, pair.target.dialect)


def fits_an_sdk(body, api):
    unnamed = SAMPLING if api == MESSAGES else ()
    typed = {name: value for name, value in body.items() if name not in unnamed}
    return any(fits(typed, root) for root in ROOTS[api])


def test_there_are_enough_pairs():
    """Of each API to each other."""
    count: dict[tuple[str, str], int] = {}
    for pair in pairs():
        way = pair.source, pair.target.dialect
        count[way] = count.get(way, 0) + 1

    assert (6, True) == (len(count), min(count.values()) >= 50)


def test_every_field_that_is_carried_or_lost_at_the_top_is_in_a_pair():
    """What a table says of a field is shown by one that has it."""
    for source, table in TABLES.items():
        sent = set(PLAINEST[source]).union(
            *(pair.given for pair in pairs() if pair.source == source)
        )
        rows = {name for name in table.kinds[""].fates if "[" not in name}

        assert set() == rows - sent - UNSHOWN


UNSHOWN = {
    *("routing_preferences", "client_metadata", "anthropic_version"),
    *("access_programs", "background_options", "image"),
    *("billing_policy", "fallback_credit_token", "user_profile_id", "workspace_id"),
}
"""Fields whose loss no pair shows, since the table says all that there is to say."""
