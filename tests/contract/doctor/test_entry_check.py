"""What is asked for one entry, and what of an account is known when its time is over."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.dialects.registry import DIALECTS
from sidecar.doctor.account_check import AccountCheck, AccountFacts
from sidecar.doctor.entry_check import check_entry
from sidecar.domain.errors import UpstreamReset
from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.entry_probe import EntryProbe
from tests.support.faults import Fault
from tests.support.providers import a_provider
from tests.support.scripted_provider import ScriptedProvider


@pytest_asyncio.fixture
async def probe(scripted_provider: ScriptedProvider) -> AsyncIterator[EntryProbe]:
    pool = Pool(Origin("http", "127.0.0.1", int(scripted_provider.url.rpartition(":")[2])))
    client = ProviderClient(a_provider("openai/unlisted"), pool, DIALECTS.by_name)
    yield EntryProbe(client, time.monotonic, time.time)
    await pool.aclose()


@pytest_asyncio.fixture
async def asking_probe(scripted_provider: ScriptedProvider) -> AsyncIterator[EntryProbe]:
    """Of an entry with `usage: ask`, whose model the server lists."""
    pool = Pool(Origin("http", "127.0.0.1", int(scripted_provider.url.rpartition(":")[2])))
    asking = a_provider("openai/gpt-4o", asks_usage=True)
    yield EntryProbe(ProviderClient(asking, pool, DIALECTS.by_name), time.monotonic, time.time)
    await pool.aclose()


async def test_what_was_learnt_before_the_time_ended_is_kept(scripted_provider, probe):
    """The connection was made; only the reply is late."""
    scripted_provider.script.always("hang")
    facts = await AccountCheck(probe, time.monotonic).run(0.2)

    assert (True, True, None) == (facts.is_connected, facts.is_late, facts.listing)
    assert facts.spent_s >= facts.took_s > 0


async def test_a_list_that_anybody_may_read_proves_no_key(probe):
    """It is served without the key too."""
    facts = await AccountCheck(probe, time.monotonic).run(10.0)

    assert (True, False) == ("gpt-4o" in (facts.listed or ()), facts.is_list_guarded)


async def test_a_connection_that_breaks_is_the_accounts_failure(scripted_provider, probe):
    """No more is asked for any of its entries."""
    scripted_provider.script.always("cut")
    account = await AccountCheck(probe, time.monotonic).run(10.0)
    facts = await check_entry(probe, account, 10.0, time.monotonic, may_spend=True)

    assert isinstance(account.error, UpstreamReset)
    assert facts.report is not None
    assert 1 == scripted_provider.seen


@pytest.mark.parametrize("fault", ["hang", "cut"])
async def test_an_entry_has_the_time_that_its_account_left(scripted_provider, probe, fault):
    """So that a provider that hangs costs the timeout once."""
    scripted_provider.script.always(fault)
    account = AccountFacts(is_connected=True, spent_s=9.9)
    facts = await check_entry(probe, account, 10.0, time.monotonic, may_spend=True)

    assert (fault == "hang", fault == "cut") == (facts.is_late, facts.error is not None)


async def test_nothing_is_spent_that_need_not_be(scripted_provider, probe):
    """The model is asked for by itself first, and not called where that is not allowed."""
    account = await AccountCheck(probe, time.monotonic).run(10.0)
    facts = await check_entry(probe, account, 10.0, time.monotonic, may_spend=False)

    assert (True, None) == (facts.is_shown is not None, facts.generated)
    assert {"GET"} == {each.method for each in scripted_provider.requests}


@pytest.mark.parametrize(
    ("fault", "is_told"),
    [
        ("proper", True),
        (Fault(status=422, body=b'{"loc":["stream_options"]}'), False),
        (Fault(status=400, body=b'{"error":"max_tokens is too small"}'), None),
        (Fault(status=200, body=b'data: {"choices":[{}],"usage":{}}\n\n'), False),
        ("cut", None),
        ("hang", None),
    ],
    ids=["told", "refused", "refused for another reason", "told with a choice", "cut", "late"],
)
async def test_where_usage_is_asked_for_a_stream_shows_whether_it_is_told(
    scripted_provider, asking_probe, fault, is_told
):
    """As calls ask it; what does not show it does not make the entry fail."""
    account = AccountFacts(is_connected=True, listed=("gpt-4o",), is_list_guarded=True)
    scripted_provider.script.always(fault)
    facts = await check_entry(asking_probe, account, 1.0, time.monotonic, may_spend=True)
    unspent = await check_entry(asking_probe, account, 1.0, time.monotonic, may_spend=False)
    (asked,) = [each.json() for each in scripted_provider.requests if each.method == "POST"]

    assert (is_told, None) == (facts.is_usage_told, unspent.is_usage_told)
    assert (None, False) == (facts.error, facts.is_late)
    assert (True, {"include_usage": True}, "gpt-4o") == (
        asked["stream"],
        asked["stream_options"],
        asked["model"],
    )


async def test_where_it_is_not_asked_for_no_stream_is_made(scripted_provider, probe):
    """It would cost a token."""
    account = await AccountCheck(probe, time.monotonic).run(10.0)
    facts = await check_entry(probe, account, 10.0, time.monotonic, may_spend=True)

    assert (True, None) == (facts.may_ask_usage, facts.is_usage_told)
    assert not any(b'"stream"' in each.body for each in scripted_provider.requests)
