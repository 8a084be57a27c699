"""Decides what the replies of a provider mean for the calls that go to an entry. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.config.report import did_you_mean
from sidecar.doctor.advice import ENTRY, advice_on
from sidecar.doctor.entry_facts import (
    ACCEPTED,
    ExaminedEntry,
    credential_of,
    model_of,
    reach_of_entry,
)
from sidecar.doctor.findings import Finding, Kind, Verdict, with_renewal
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.hosts import host_port
from sidecar.upstream.entry_probe import ProbeReply

_WRONG_PATH: Final = (404, 405, 410)
_BAD_KEY: Final = "Put a valid key into access_key of this entry, or into the file that it names."
_TO_DO: Final = {
    FailureClass.OUR_CREDENTIAL: _BAD_KEY,
    FailureClass.QUOTA: "Add credit to this account, or raise its limit, at the provider.",
    FailureClass.BUSY: (
        "Nothing, if it passes; calls go on to the next candidate meanwhile. Else ask the provider "
        "for a higher limit."
    ),
    FailureClass.FAILING: "Look at the provider's status page, or at the log of your own server.",
    FailureClass.REFUSED: (
        "Ask whether a firewall keeps this machine out, and whether the account may use this API."
    ),
}


def finding_of(facts: ExaminedEntry, timeout_s: float, now_unix_s: float) -> Finding:
    """Return what an entry's facts come to. A router model's entry fails no call."""
    finding = _with_usage(_finding(facts, timeout_s, now_unix_s), facts)
    if facts.provider.is_router and finding.verdict is Verdict.FAILED:
        finding = msgspec.structs.replace(finding, verdict=Verdict.WARNING)
    return with_renewal(finding)


def _with_usage(finding: Finding, facts: ExaminedEntry) -> Finding:
    """Return the finding of an entry that serves with what becomes of its streams' usage."""
    is_well = finding.verdict is Verdict.OK and not finding.cause and not facts.provider.is_router
    is_refused = facts.generated is not None and facts.generated.failure is not None
    if not is_well or is_refused or not facts.may_ask_usage:
        return finding
    if facts.is_usage_told is False:
        return msgspec.structs.replace(
            finding,
            verdict=Verdict.WARNING,
            cause="it does not tell the usage of a stream, though it is asked to (usage: ask)",
            to_do="Write usage: leave into this entry; tokens of its streams are not counted.",
        )
    if facts.provider.asks_usage:
        return finding
    return msgspec.structs.replace(
        finding,
        cause="its chat streams tell no usage unless they are asked to",
        to_do=(
            "Write usage: ask into this entry, and tokens and cost of streams are counted whose "
            "app does not ask."
        ),
    )


def left_out(name: str) -> Finding:
    """Return the finding of an optional entry whose key is missing."""
    return Finding(
        Kind.PROVIDER,
        name,
        Verdict.SKIPPED,
        cause="left out: it is optional, and its key is missing",
        to_do="Set its key if you want it.",
    )


def _finding(facts: ExaminedEntry, timeout_s: float, now_unix_s: float) -> Finding:
    account, provider = facts.account, facts.provider
    server = provider.server
    finding = Finding(
        Kind.PROVIDER,
        provider.name,
        Verdict.OK,
        place=host_port(server.host, server.port),
        reach=reach_of_entry(facts, now_unix_s),
        credential=credential_of(facts),
        model=model_of(facts),
        took_ms=round(account.took_s * 1e3, 1),
    )
    if account.error is not None or facts.error is not None:
        return _unreached(finding, facts)
    if account.is_late or facts.is_late:
        return _late(finding, facts, timeout_s)
    if not facts.path:
        return msgspec.structs.replace(
            finding,
            verdict=Verdict.FAILED,
            cause="it speaks no dialect",
            to_do="Name one under dialects of this entry, such as chat.",
        )
    return _replied(finding, facts)


def _replied(finding: Finding, facts: ExaminedEntry) -> Finding:
    """Return what a reply tells."""
    reply = facts.generated
    if reply is not None:
        return _judged(finding, facts, reply) if reply.failure is not None else finding
    listing = facts.account.listing
    if facts.provider.passthrough_auth:
        return finding
    if listing is not None and listing.failure is not None:
        return _without_call(finding, facts, listing)
    if facts.provider.is_wildcard or facts.is_model_known or facts.is_model_in_path:
        return finding
    return _model_gone(finding, facts, Verdict.WARNING)


def _judged(finding: Finding, facts: ExaminedEntry, reply: ProbeReply) -> Finding:
    """Return what the failure of the smallest call means."""
    reason, report = reply.failure, reply.report
    assert reason is not None
    assert report is not None
    is_path = reason is FailureClass.CALLERS_FAULT and reply.status in _WRONG_PATH
    if facts.provider.is_wildcard and reason in (
        FailureClass.MODEL_GONE,
        FailureClass.CALLERS_FAULT,
    ):
        is_path = is_path and facts.account.listed is None
        if not is_path:
            return finding  # no model of this name was to be expected
    if is_path:
        return msgspec.structs.replace(
            finding,
            verdict=Verdict.FAILED,
            cause=f"nothing serves {facts.path} there ({reply.status})",
            to_do=(
                "Look at base_url of this entry: its path takes the place of /v1, and what follows "
                "that, such as /chat/completions, is left out."
            ),
        )
    if reason in ACCEPTED:
        return finding
    if reason is FailureClass.MODEL_GONE:
        return _model_gone(finding, facts, Verdict.FAILED, report)
    verdict = Verdict.WARNING if reason is FailureClass.BUSY else Verdict.FAILED
    return _reported(finding, facts, verdict, reason, report)


def _without_call(finding: Finding, facts: ExaminedEntry, listing: ProbeReply) -> Finding:
    """Return what a list that is refused means where no call may be made: it alone proves little,
    since not every provider has one.
    """
    reason, report = listing.failure, listing.report
    assert reason is not None
    assert report is not None
    if listing.status in _WRONG_PATH:
        return msgspec.structs.replace(
            finding,
            cause="it lists no models; nothing else was asked (--no-spend)",
        )
    is_certain = reason in (FailureClass.OUR_CREDENTIAL, FailureClass.QUOTA, FailureClass.FAILING)
    verdict = Verdict.FAILED if is_certain else Verdict.WARNING
    return _reported(finding, facts, verdict, reason, report)


def _reported(
    finding: Finding,
    facts: ExaminedEntry,
    verdict: Verdict,
    reason: FailureClass,
    report: FailureReport,
) -> Finding:
    to_do = _TO_DO.get(reason, "Look at what the provider says of this error.")
    cause = report.cause
    if reason is FailureClass.OUR_CREDENTIAL and not facts.has_credential:
        cause, to_do = "it asks for a key, and none is configured", "Set access_key of this entry."
    return msgspec.structs.replace(
        finding, verdict=verdict, cause=_with_code(cause, report), to_do=to_do
    )


def _with_code(cause: str, report: FailureReport) -> str:
    """Return a cause with the reply's status and the provider's code behind it, each once."""
    plain = cause.removesuffix(f" ({report.status})")
    status = None if str(report.status) in plain else report.status
    said = [str(each) for each in (status, report.code) if each]
    return f"{plain} ({', '.join(said)})" if said else plain


def _model_gone(
    finding: Finding, facts: ExaminedEntry, verdict: Verdict, report: FailureReport | None = None
) -> Finding:
    model = facts.provider.model_id
    listed = facts.account.listed or ()
    hint = did_you_mean(model, listed).removeprefix("; ")
    is_sure = report is not None
    check = "Check the model's name and the account's access to it"
    if facts.account.listed is None:
        check += ", and the path of base_url"
    code = f" ({report.status})" if report is not None and report.status else ""
    return msgspec.structs.replace(
        finding,
        verdict=verdict,
        cause=(
            f"no model {model!r} there{code}"
            if is_sure
            else f"{model!r} is not on its list of models"
        ),
        to_do=f"{check}{f'; {hint}' if hint else '.'}",
    )


def _unreached(finding: Finding, facts: ExaminedEntry) -> Finding:
    cause = "it could not be reached" if facts.report is None else facts.report.cause
    return msgspec.structs.replace(
        finding,
        verdict=Verdict.FAILED,
        cause=cause,
        to_do=advice_on(cause, finding.place or "", ENTRY),
    )


def _late(finding: Finding, facts: ExaminedEntry, timeout_s: float) -> Finding:
    is_connected = facts.account.is_connected
    what = "reply" if is_connected else "connection"
    cause = f"no {what} within {timeout_s:g} s (--timeout)"
    to_do = (
        "Look whether the server is overloaded or still loads its model; a longer --timeout waits "
        "longer."
    )
    return msgspec.structs.replace(
        finding,
        verdict=Verdict.FAILED,
        cause=cause,
        to_do=to_do if is_connected else advice_on(cause, finding.place or "", ENTRY),
    )
