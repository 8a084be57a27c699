"""Decides what was learnt of the affinity store means. No call fails by it. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from sidecar.affinity.examination import StoreExamination
from sidecar.doctor.advice import STORE, advice_on
from sidecar.doctor.findings import (
    Credential,
    Finding,
    Kind,
    Reach,
    StepState,
    Verdict,
    days_left,
    with_renewal,
)
from sidecar.doctor.stages import reach_of, reached

_NAME: Final = "redis"
_LEAST_VERSION: Final = (6, 2)
_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})")
_SHARE: Final = 0.5
"""Of what a call waits for Redis: replies that take more leave too little for a slow moment."""
_PINS_STAY: Final = "Until then pins are kept by each pod for itself."
_NEARER: Final = "Take a server nearer by, or raise routing.session_cache.call_budget_ms."
_OLD_FIRST: Final = "Set maxmemory-policy volatile-ttl, which lets old pins go first."
_HARMLESS_POLICIES: Final = ("noeviction", "volatile-ttl")


def in_memory() -> Finding:
    """Return the finding of a store that is no server."""
    return Finding(Kind.STORE, "memory", Verdict.OK, cause="pins are this process's own")


def not_served() -> Finding:
    """Return the finding of a Sentinel or a Cluster."""
    return Finding(
        Kind.STORE,
        _NAME,
        Verdict.WARNING,
        cause="Sentinel and Cluster are not served yet: pins are this process's own",
        to_do="Name one server in routing.session_cache.url.",
    )


def store_finding(
    found: StoreExamination, budget_ms: int, now_unix_s: float, *, is_tenant_known: bool
) -> Finding:
    """Return what the state of a Redis server means.

    Args: ``budget_ms`` is what a call waits for it; ``is_tenant_known`` says that the key that was
        tried is one of the tenant's own.
    """
    finding = Finding(
        Kind.STORE,
        _NAME,
        Verdict.OK,
        place=found.place,
        reach=_reach(found, now_unix_s),
        credential=_credential(found),
        took_ms=found.reply_ms,
        facts=_facts(found),
    )
    if found.error is not None:
        return msgspec.structs.replace(
            finding, verdict=Verdict.WARNING, cause=found.cause, to_do=_to_do(found)
        )
    faults = _faults(found, budget_ms, is_tenant_known=is_tenant_known)
    if not faults:
        return with_renewal(msgspec.structs.replace(finding, cause=_praise(found)))
    return msgspec.structs.replace(
        finding,
        verdict=Verdict.WARNING,
        cause="; ".join(cause for cause, _ in faults),
        to_do=" ".join(to_do for _, to_do in faults),
    )


def _faults(
    found: StoreExamination, budget_ms: int, *, is_tenant_known: bool
) -> list[tuple[str, str]]:
    """Return what is wrong, each with what to do."""
    faults = []
    version = _VERSION.match(found.version or "")
    if version is not None and (int(version[1]), int(version[2])) < _LEAST_VERSION:
        faults.append((f"version {found.version}", "Redis has to be 6.2 or newer."))
    if found.missing_rights:
        rights = " ".join(f"+{right}" for right in found.missing_rights)
        faults.append(
            (f"the user lacks {rights}", f"Give it these rights: ACL SETUSER ... {rights}")
        )
    if found.is_key_forbidden and is_tenant_known:
        faults.append(
            ("the user may not touch this tenant's keys", f"Allow it keys like {found.tried_key}.")
        )
    if found.write_cause:
        faults.append(
            (
                f"it takes no writes ({found.write_cause})",
                f"Name the master in {STORE.address}, or mend the server. {_PINS_STAY}",
            )
        )
    if found.tracking_cause:
        faults.append(
            (
                f"no tracking: {found.tracking_cause}",
                (
                    "Pins are believed for a second at a time; give the user +client|tracking, or "
                    "connect to Redis itself instead of a proxy."
                ),
            )
        )
    faults += _weak_spots(found, budget_ms)
    return faults


def _weak_spots(found: StoreExamination, budget_ms: int) -> list[tuple[str, str]]:
    spots = []
    if found.reply_ms is not None and found.reply_ms > budget_ms * _SHARE:
        cause = f"it replies in {found.reply_ms:g} ms; a call waits {budget_ms} ms in all"
        spots.append((cause, _NEARER))
    policy = found.eviction_policy
    if found.max_memory_bytes and policy is not None and policy not in _HARMLESS_POLICIES:
        spots.append((f"maxmemory-policy {policy} drops pins that are in use", _OLD_FIRST))
    return spots


def _to_do(found: StoreExamination) -> str:
    if found.is_login_refused:
        if found.has_login:
            return (
                "Correct username and password of routing.session_cache, or in its url. "
                + _PINS_STAY
            )
        return f"Set password of routing.session_cache, from a file. {_PINS_STAY}"
    return f"{advice_on(found.cause, found.place, STORE)} {_PINS_STAY}"


def _praise(found: StoreExamination) -> str:
    said = [] if found.version is None else [f"version {found.version}"]
    said.append("all rights")
    if found.is_key_forbidden:
        said[-1] = "its commands are allowed; the tenant's keys could not be tried"
    return ", ".join(said)


def _reach(found: StoreExamination, now_unix_s: float) -> Reach:
    if found.error is not None:
        if found.is_login_refused:
            reach = msgspec.structs.replace(reached(is_tls=found.is_tls), http=StepState.OK)
        else:
            reach = reach_of(found.error, is_tls=found.is_tls)
    else:
        reach = reached(is_tls=found.is_tls)
    if found.tls is None:
        return reach
    days = days_left(found.tls, now_unix_s)
    return msgspec.structs.replace(reach, tls_version=found.tls.version, certificate_days=days)


def _credential(found: StoreExamination) -> Credential:
    if found.is_login_refused:
        return Credential.REFUSED
    if found.error is not None:
        return Credential.UNKNOWN
    return Credential.OK if found.has_login else Credential.NONE


def _facts(found: StoreExamination) -> dict[str, str | int | float | bool | None]:
    if found.error is not None:
        return {}
    return {
        "version": found.version,
        "slowest_ms": found.slowest_ms,
        "tracking": not found.tracking_cause,
        "missing_rights": " ".join(found.missing_rights),
        "eviction_policy": found.eviction_policy,
        "max_memory_bytes": found.max_memory_bytes,
    }
