"""What the state of Redis means. No server."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.affinity.examination import StoreExamination
from sidecar.doctor.findings import Credential, Finding, StepState, Verdict
from sidecar.doctor.store_findings import in_memory, not_served, store_finding
from sidecar.http1.certificate import TlsFacts


def found(*, is_tenant_known: bool = True, **more: Any) -> Finding:
    fields = {
        "place": "redis:6379", "is_tls": False, "version": "7.2.4", "reply_ms": 0.4, "slowest_ms": 1.0,
        "tried_key": "plano:affinity:acme:doctor-1", "eviction_policy": "volatile-ttl",
    }  # fmt: skip
    examination = StoreExamination(**{**fields, **more})
    return store_finding(examination, 20, 0.0, is_tenant_known=is_tenant_known)


@pytest.mark.parametrize(
    ("facts", "cause", "advice"),
    [
        ({"version": "6.0.16"}, "version 6.0.16", "6.2 or newer"),
        (
            {"missing_rights": ("set", "script|load")},
            "the user lacks +set +script|load",
            "ACL SETUSER",
        ),
        ({"is_key_forbidden": True}, "the user may not touch this tenant's keys", "doctor-1"),
        ({"write_cause": "ReadOnlyError: x"}, "it takes no writes (ReadOnlyError: x)", "master"),
        ({"tracking_cause": "it speaks no RESP3"}, "no tracking: it speaks no RESP3", "proxy"),
        ({"reply_ms": 12.5}, "it replies in 12.5 ms; a call waits 20 ms in all", "call_budget_ms"),
        (
            {"eviction_policy": "allkeys-lru", "max_memory_bytes": 1 << 20},
            "maxmemory-policy allkeys-lru drops pins that are in use",
            "volatile-ttl",
        ),
    ],
)
def test_each_fault_has_its_phrase_and_what_to_do(facts, cause, advice):
    """None fails a call: pins are kept by each pod then."""
    finding = found(**facts)

    assert (Verdict.WARNING, cause) == (finding.verdict, finding.cause)
    assert advice in finding.to_do


def test_several_faults_are_told_together():
    """Nobody should have to ask twice."""
    finding = found(version="5.0.1", missing_rights=("eval",))

    assert "version 5.0.1; the user lacks +eval" == finding.cause


def test_a_server_that_will_do_is_praised():
    """With its version, as far as it is known."""
    assert (Verdict.OK, "version 7.2.4, all rights") == (found().verdict, found().cause)
    assert "all rights" == found(version=None).cause
    assert "all rights" in found(version="valkey").cause


def test_a_policy_without_a_limit_drops_nothing():
    """Memory is never full then."""
    assert Verdict.OK is found(eviction_policy="allkeys-lru", max_memory_bytes=0).verdict


def test_keys_of_a_tenant_that_comes_with_the_call_are_not_tried():
    """A user who may touch one tenant's keys only is as it should be."""
    finding = found(is_key_forbidden=True, is_tenant_known=False)

    assert Verdict.OK is finding.verdict
    assert "could not be tried" in finding.cause


@pytest.mark.parametrize(
    ("facts", "advice", "credential", "steps"),
    [
        (
            {"error": ConnectionRefusedError(111, "x"), "cause": "connection refused"},
            "session_cache.url",
            Credential.UNKNOWN,
            (StepState.OK, StepState.FAILED, None),
        ),
        (
            {"error": ValueError(), "cause": "wrong password", "is_login_refused": True, "has_login": True},
            "Correct username and password",
            Credential.REFUSED,
            (StepState.OK, StepState.OK, StepState.OK),
        ),
        (
            {"error": ValueError(), "cause": "it asks for a password", "is_login_refused": True},
            "Set password",
            Credential.REFUSED,
            (StepState.OK, StepState.OK, StepState.OK),
        ),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_used_is_told_why(facts, advice, credential, steps):
    """And what happens until then."""
    finding = found(**facts)

    assert advice in finding.to_do
    assert "Until then pins are kept by each pod for itself." in finding.to_do
    assert credential is finding.credential
    assert steps == (finding.reach.dns, finding.reach.tcp, finding.reach.http)


def test_tls_is_shown_with_its_days():
    """And warned of before it ends."""
    finding = found(is_tls=True, has_login=True, tls=TlsFacts("TLSv1.3", 3 * 86_400.0))

    assert ("TLSv1.3", 3) == (finding.reach.tls_version, finding.reach.certificate_days)
    assert (Verdict.WARNING, Credential.OK) == (finding.verdict, finding.credential)


def test_what_is_no_server_is_not_asked():
    """Memory is well; what is not served yet is said."""
    assert (Verdict.OK, Verdict.WARNING) == (in_memory().verdict, not_served().verdict)
