"""deploy/CLIENTS.md tells what was tried, of every client, with the very versions that were tried."""

from __future__ import annotations

import re

import pytest

from tests.clients.page import PAGE, page
from tests.clients.results import read_results
from tests.clients.table import ADDRESS, Client, read_table

TRIED = [each for each in read_table().client if not each.untried]


def _texts(client: Client) -> str:
    """All that the page shows of how it is set up."""
    shown = [*client.env.values(), *client.files.values(), *client.before]
    shown += [*client.pin_env.values(), *client.pin_files.values()]
    return "\n".join([*shown, client.example if client.program else ""])


def test_the_page_is_made_of_the_table_and_the_results():
    """``python -m tests.clients.page`` writes it."""
    assert page() == PAGE.read_text()


def test_the_results_are_those_of_the_tables_versions():
    """Whoever raises one runs ``make clients``."""
    versions = {name: came.version for name, came in read_results().items()}
    assert {each.name: each.version for each in TRIED} == versions


def test_no_client_is_worse_off_through_the_sidecar():
    """And each does something directly, or the table would say that it was not tried."""
    results = read_results()
    assert [] == [name for name, came in results.items() if came.is_worse]
    assert [] == [name for name, came in results.items() if "ok" not in came.direct.values()]


@pytest.mark.parametrize("client", TRIED, ids=lambda each: each.name)
def test_an_example_leads_to_the_sidecar(client):
    """To the address that a config of `init` has, with OpenAI's ending or without, and nowhere
    else.
    """
    urls = set(re.findall(r"https?://[^\s\"'},]+", _texts(client)))
    assert urls
    assert urls <= {ADDRESS, f"{ADDRESS}/v1"}


@pytest.mark.parametrize("client", TRIED, ids=lambda each: each.name)
def test_a_client_is_pinned_or_can_be(client):
    """By itself, or as its example shows; else the page says why it cannot be."""
    came = read_results()[client.name]
    assert came.is_pinned or came.is_told or client.unpinned
    if came.is_told:
        assert "x-model-affinity" in _texts(client)
    if came.is_pinned:
        assert came.session


def test_thirty_clients_were_tried():
    """The commonest SDKs, frameworks and agents among them."""
    assert 30 <= len(TRIED)
    groups = {each.group for each in TRIED}
    assert {"SDKs", "Frameworks", "Agents"} == groups
