"""What a provider's replies mean for an entry. No socket."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.doctor.account_check import AccountFacts
from sidecar.doctor.entry_facts import (
    ExaminedEntry,
    credential_of,
    has_to_show_usage,
    is_settled,
    model_of,
    needs_look,
    reach_of_entry,
)
from sidecar.doctor.entry_findings import finding_of, left_out
from sidecar.doctor.findings import Credential, Finding, ModelState, StepState, Verdict
from sidecar.domain.errors import ConnectFailed, ResponseTimeout
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import FailureClass
from sidecar.http1.certificate import TlsFacts
from sidecar.upstream.entry_probe import ProbeReply
from tests.support.providers import a_provider

LISTED = ProbeReply(200)


def refused(reason: FailureClass, status: int = 400) -> ProbeReply:
    return ProbeReply(
        status, failure=reason, report=FailureReport("a:1", "a cause", status, "code")
    )


def account(**more: Any) -> AccountFacts:
    facts = {"is_connected": True, "listing": LISTED, "listed": ("gpt-4o",), "took_s": 0.01}
    return AccountFacts(**{**facts, **more})


def facts(
    model: str = "openai/gpt-4o", asked: AccountFacts | None = None, **more: Any
) -> ExaminedEntry:
    provider_changes = {
        name: more.pop(name)
        for name in ("passthrough_auth", "is_router", "scheme", "asks_usage")
        if name in more
    }
    fields = {"has_credential": True, "is_model_in_path": False, "path": "/v1/chat/completions"}
    provider = a_provider(model, **provider_changes)
    return ExaminedEntry(provider=provider, account=asked or account(), **{**fields, **more})


def found(given: ExaminedEntry) -> Finding:
    return finding_of(given, 10.0, 0.0)


GUARDED = account(is_list_guarded=True)
NO_LIST = account(listing=refused(FailureClass.CALLERS_FAULT, 404), listed=None)


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        (facts(), False),
        (facts("openai/other"), True),
        (facts("openai/*"), False),
        (facts("openai/other", is_model_in_path=True), False),
        (facts("openai/other", passthrough_auth=True), False),
        (facts("openai/other", NO_LIST), False),
    ],
)
def test_a_model_is_asked_for_where_a_list_lacks_it(given, needed):
    """Deployments are on no list, and without a list nothing is lacking."""
    assert needed is needs_look(given)


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (facts(asked=GUARDED), True),
        (facts(), False),
        (facts("openai/*", GUARDED), True),
        (facts("openai/other", GUARDED), False),
        (facts("openai/other", GUARDED, is_shown=True), True),
        (facts("openai/gpt-4o", GUARDED, is_model_in_path=True), False),
        (facts(passthrough_auth=True), True),
        (facts(asked=account(error=ConnectFailed("x"))), True),
        (facts(asked=account(is_late=True)), True),
        (facts(path=""), True),
    ],
)
def test_a_call_is_made_only_where_it_can_tell_more(given, settled):
    """Each costs a token."""
    assert settled is is_settled(given)


@pytest.mark.parametrize(
    ("given", "credential"),
    [
        (facts(passthrough_auth=True), Credential.CALLERS),
        (facts(asked=GUARDED), Credential.OK),
        (facts(), Credential.UNKNOWN),
        (facts(generated=LISTED), Credential.OK),
        (facts(generated=LISTED, has_credential=False), Credential.NONE),
        (facts(generated=refused(FailureClass.OUR_CREDENTIAL)), Credential.REFUSED),
        (facts(asked=account(listing=refused(FailureClass.OUR_CREDENTIAL))), Credential.REFUSED),
        (facts(generated=refused(FailureClass.BUSY)), Credential.UNKNOWN),
        (facts(asked=GUARDED, generated=refused(FailureClass.BUSY)), Credential.OK),
        (facts(generated=refused(FailureClass.MODEL_GONE)), Credential.OK),
        (facts(asked=account(listing=None, error=ConnectFailed("x"))), Credential.UNKNOWN),
    ],
)
def test_a_key_is_good_only_where_something_depends_on_it(given, credential):
    """A list that everybody may read proves nothing, and a server that is busy has not looked."""
    assert credential is credential_of(given)


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (facts(), ModelState.KNOWN),
        (facts("openai/*"), ModelState.UNCHECKED),
        (facts("openai/other"), ModelState.UNCHECKED),
        (facts("openai/other", is_shown=True), ModelState.KNOWN),
        (facts("openai/other", generated=LISTED), ModelState.KNOWN),
        (facts(generated=refused(FailureClass.MODEL_GONE)), ModelState.NOT_KNOWN),
        (facts(generated=refused(FailureClass.BUSY), is_model_in_path=True), ModelState.UNCHECKED),
    ],
)
def test_what_served_a_call_is_known(given, state):
    """Whatever a list says."""
    assert state is model_of(given)


def test_how_far_the_way_was_gone():
    """To the reply; to the silence behind a connection; or not to the server at all."""
    tls = TlsFacts("TLSv1.3", 10 * 86_400.0)
    whole = reach_of_entry(facts(asked=account(tls=tls), scheme="https"), 0.0)
    silent = reach_of_entry(facts(asked=account(is_late=True, listing=None)), 0.0)
    halfway = reach_of_entry(facts(is_late=True), 0.0)
    nowhere = reach_of_entry(facts(asked=AccountFacts(is_late=True)), 0.0)
    refusing = reach_of_entry(facts(error=ResponseTimeout("x")), 0.0)

    assert ("TLSv1.3", 10, StepState.OK) == (whole.tls_version, whole.certificate_days, whole.http)
    assert [StepState.FAILED] * 3 == [silent.http, halfway.http, refusing.http]
    assert (StepState.FAILED, None) == (nowhere.tcp, nowhere.http)


@pytest.mark.parametrize(
    ("given", "verdict", "cause"),
    [
        (facts(asked=GUARDED), "ok", ""),
        (facts(generated=LISTED), "ok", ""),
        (facts(passthrough_auth=True), "ok", ""),
        (facts(path=""), "failed", "it speaks no dialect"),
        (facts("openai/other"), "warning", "'other' is not on its list of models"),
        (facts("openai/x", is_model_in_path=True), "ok", ""),
        (facts(is_late=True), "failed", "no reply within 10 s (--timeout)"),
        (
            facts(asked=AccountFacts(is_late=True)),
            "failed",
            "no connection within 10 s (--timeout)",
        ),
        (facts(error=ConnectFailed("x")), "failed", "it could not be reached"),
        (facts(asked=NO_LIST), "ok", "it lists no models; nothing else was asked (--no-spend)"),
        (
            facts(asked=account(listing=refused(FailureClass.OUR_CREDENTIAL, 401), listed=None)),
            "failed",
            "a cause (401, code)",
        ),
        (
            facts(asked=account(listing=refused(FailureClass.REFUSED, 403), listed=None)),
            "warning",
            "a cause (403, code)",
        ),
        (
            facts(generated=refused(FailureClass.CALLERS_FAULT, 404)),
            "failed",
            "nothing serves /v1/chat/completions there (404)",
        ),
        (facts(generated=refused(FailureClass.TOO_LONG)), "ok", ""),
        (facts(generated=refused(FailureClass.BUSY, 429)), "warning", "a cause (429, code)"),
        (facts(generated=refused(FailureClass.FAILING, 500)), "failed", "a cause (500, code)"),
        (
            facts(generated=refused(FailureClass.MODEL_GONE, 404)),
            "failed",
            "no model 'gpt-4o' there (404)",
        ),
        (facts("openai/*", generated=refused(FailureClass.MODEL_GONE, 404)), "ok", ""),
        (facts("openai/*", generated=refused(FailureClass.CALLERS_FAULT, 404)), "ok", ""),
        (
            facts("openai/*", NO_LIST, generated=refused(FailureClass.CALLERS_FAULT, 404)),
            "failed",
            "nothing serves /v1/chat/completions there (404)",
        ),
        (
            facts(generated=refused(FailureClass.OUR_CREDENTIAL, 401), has_credential=False),
            "failed",
            "it asks for a key, and none is configured (401, code)",
        ),
        (
            facts(generated=refused(FailureClass.SIGNED_STATE)),
            "failed",
            "a cause (400, code)",
        ),
    ],
)
def test_what_is_found_is_said_in_a_phrase(given, verdict, cause):
    """And where something is wrong, with a sentence of what to do."""
    finding = found(given)

    assert (verdict, cause) == (finding.verdict, finding.cause)
    assert (verdict == "ok") is not bool(finding.to_do)


def test_a_router_models_entry_fails_no_call():
    """Calls go on without it."""
    given = facts(is_router=True, generated=refused(FailureClass.FAILING, 500))

    assert Verdict.WARNING is found(given).verdict


def test_where_no_list_helps_the_base_url_may_be_wrong_as_well():
    """A 404 can mean either."""
    given = facts(asked=NO_LIST, generated=refused(FailureClass.MODEL_GONE, 404))

    assert "base_url" in found(given).to_do


def test_an_ipv6_address_is_shown_in_brackets():
    """As URLs have it."""
    provider = a_provider("openai/gpt-4o", host="::1", port=80)
    given = ExaminedEntry(provider, GUARDED, True, False, "/v1/chat/completions")

    assert "[::1]:80" == found(given).place


def test_what_is_learnt_later_is_added():
    """The facts before it stay as they were."""
    before = facts()

    assert (True, None) == (before.learn(is_shown=True).is_shown, before.is_shown)


def test_an_entry_that_was_left_out_is_no_failure():
    """It was not asked."""
    assert Verdict.SKIPPED is left_out("groq/*").verdict


UNTOLD = "its chat streams tell no usage unless they are asked to"
DEAF = "it does not tell the usage of a stream, though it is asked to (usage: ask)"


@pytest.mark.parametrize(
    ("more", "verdict", "cause"),
    [
        ({}, Verdict.OK, ""),
        ({"may_ask_usage": True}, Verdict.OK, UNTOLD),
        ({"may_ask_usage": True, "generated": ProbeReply(200)}, Verdict.OK, UNTOLD),
        (
            {"may_ask_usage": True, "generated": refused(FailureClass.CALLERS_FAULT)},
            Verdict.OK,
            "",
        ),
        ({"may_ask_usage": True, "is_router": True}, Verdict.OK, ""),
        ({"may_ask_usage": True, "asks_usage": True}, Verdict.OK, ""),
        ({"may_ask_usage": True, "asks_usage": True, "is_usage_told": True}, Verdict.OK, ""),
        (
            {"may_ask_usage": True, "asks_usage": True, "is_usage_told": False},
            Verdict.WARNING,
            DEAF,
        ),
    ],
)
def test_usage_is_recommended_to_be_asked_for_where_that_works(more, verdict, cause):
    """And to be left where it does not. Nobody is told of it who has another thing to mend."""
    finding = found(facts(asked=GUARDED, **more))

    assert (verdict, cause) == (finding.verdict, finding.cause)
    assert bool(cause) == ("usage: " in finding.to_do)


def test_an_entry_that_fails_is_told_of_its_failure_first():
    """Usage is a thing of entries that serve."""
    given = facts(generated=refused(FailureClass.QUOTA), may_ask_usage=True)

    assert "usage: ask" not in found(given).to_do
    assert not has_to_show_usage(given)
