"""What was learnt of one provider entry, and what of its calls that proves. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.config.providers import Provider
from sidecar.doctor.account_check import AccountFacts
from sidecar.doctor.findings import Credential, ModelState, Reach, StepState, days_left
from sidecar.doctor.model_list import is_listed
from sidecar.doctor.stages import reach_of, reached
from sidecar.domain.errors import UpstreamError
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.entry_probe import ProbeReply

ACCEPTED: Final = (
    FailureClass.CALLERS_FAULT,
    FailureClass.CONTENT_POLICY,
    FailureClass.TOO_LONG,
)
"""What a provider refuses of the smallest call once it has accepted key and model: some models want
other parameters.
"""
_TELLS_NOTHING: Final = (FailureClass.BUSY, FailureClass.FAILING, FailureClass.REFUSED)
"""Refusals that may come before anybody has looked at the key."""


class ExaminedEntry(msgspec.Struct, frozen=True):
    """What was learnt of one entry."""

    provider: Provider
    account: AccountFacts
    has_credential: bool
    is_model_in_path: bool
    path: str
    """Where calls go; empty where the entry speaks no dialect."""
    is_shown: bool | None = None
    """Whether the provider shows the model by itself; None where it was not asked."""
    generated: ProbeReply | None = None
    """The reply to the smallest call; None where none was made."""
    error: UpstreamError | None = None
    report: FailureReport | None = None
    """What is told of ``error``."""
    is_late: bool = False
    took_s: float = 0.0
    may_ask_usage: bool = False
    """Whether its streams tell their usage only where they are asked to, as its maker says."""
    is_usage_told: bool | None = None
    """Whether a stream that was asked told it; None where none was, or it could not be seen."""

    def learn(self, **facts: object) -> ExaminedEntry:
        """Return the facts with others added."""
        return msgspec.structs.replace(self, **facts)

    @property
    def is_model_known(self) -> bool:
        """Whether the list, or the provider itself, shows the model."""
        listed = self.account.listed or ()
        is_told = is_listed(self.provider.model_id, listed) and not self.is_model_in_path
        return is_told or bool(self.is_shown)


def needs_look(facts: ExaminedEntry) -> bool:
    """Return whether the model is to be asked for by itself: there is a list, and it is not on
    it.
    """
    if facts.provider.is_wildcard or facts.is_model_in_path or facts.provider.passthrough_auth:
        return False
    return facts.account.listed is not None and not facts.is_model_known


def is_settled(facts: ExaminedEntry) -> bool:
    """Return whether no call has to be made: nothing can be learnt by one, or all is known."""
    account = facts.account
    if account.error is not None or account.is_late or not facts.path:
        return True
    if facts.provider.passthrough_auth:
        return True  # only a caller's credential could tell
    is_model_settled = facts.provider.is_wildcard or facts.is_model_known
    return account.is_list_guarded and is_model_settled


def has_to_show_usage(facts: ExaminedEntry) -> bool:
    """Return whether a stream is to show that asking for usage works, as calls will: the config
    says so, and the entry serves.
    """
    provider, generated = facts.provider, facts.generated
    if not provider.asks_usage or not facts.may_ask_usage:
        return False
    if provider.is_wildcard or provider.passthrough_auth or provider.is_router:
        return False
    is_well = facts.error is None and not facts.is_late
    return is_well and (facts.is_model_known if generated is None else generated.failure is None)


def reach_of_entry(facts: ExaminedEntry, now_unix_s: float) -> Reach:
    """Return how far the way to the entry's provider was gone."""
    account = facts.account
    is_tls = facts.provider.server.scheme == "https"
    error = account.error or facts.error
    if error is not None:
        reach = reach_of(error, is_tls=is_tls)
    elif account.is_connected:
        is_silent = facts.is_late or (account.is_late and account.listing is None)
        http = StepState.FAILED if is_silent else StepState.OK
        reach = msgspec.structs.replace(reached(is_tls=is_tls), http=http)
    else:
        reach = Reach(dns=StepState.UNKNOWN, tcp=StepState.FAILED)
    if account.tls is None:
        return reach
    days = days_left(account.tls, now_unix_s)
    return msgspec.structs.replace(reach, tls_version=account.tls.version, certificate_days=days)


def credential_of(facts: ExaminedEntry) -> Credential:
    """Return what became of the entry's credential."""
    if facts.provider.passthrough_auth:
        return Credential.CALLERS
    last = facts.generated or facts.account.listing
    reason = None if last is None else last.failure
    if reason is FailureClass.OUR_CREDENTIAL:
        return Credential.REFUSED
    if facts.account.is_list_guarded:
        return Credential.OK
    if facts.generated is None or reason in _TELLS_NOTHING:
        return Credential.UNKNOWN
    return Credential.OK if facts.has_credential else Credential.NONE


def model_of(facts: ExaminedEntry) -> ModelState:
    """Return whether the entry's model is known at its provider."""
    if facts.provider.is_wildcard:
        return ModelState.UNCHECKED
    generated = facts.generated
    if generated is not None and generated.failure is FailureClass.MODEL_GONE:
        return ModelState.NOT_KNOWN
    is_served = generated is not None and generated.failure in (None, *ACCEPTED)
    return ModelState.KNOWN if is_served or facts.is_model_known else ModelState.UNCHECKED
