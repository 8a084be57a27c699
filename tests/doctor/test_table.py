"""The table, as a person reads it."""

from __future__ import annotations

import json

import msgspec
import pytest

from sidecar.doctor.findings import Credential, Finding, Kind, ModelState, Reach, StepState, Verdict
from sidecar.doctor.report import json_report
from sidecar.doctor.table import COLUMNS, describe
from tests.architecture.tree import ROOT

REACHED = Reach(StepState.OK, StepState.OK, StepState.OK, StepState.OK, "TLSv1.3", 89)
GOOD = Finding(
    Kind.PROVIDER, "openai/gpt-4o", Verdict.OK, "api.openai.com:443", REACHED,
    Credential.OK, ModelState.KNOWN, 123.4,
)  # fmt: skip
EXAMPLE = [
    msgspec.structs.replace(GOOD, name="openai/gpt-4o-mini"),
    msgspec.structs.replace(
        GOOD,
        name="openai/gpt-4o-minni",
        verdict=Verdict.FAILED,
        cause="no model 'gpt-4o-minni' there (404)",
        to_do=(
            "Check the model's name and the account's access to it; did you mean 'gpt-4o-mini'?"
        ),
    ),
    msgspec.structs.replace(
        GOOD,
        name="anthropic/claude-sonnet-5",
        verdict=Verdict.FAILED,
        place="api.anthropic.com:443",
        credential=Credential.REFUSED,
        took_ms=98.0,
        cause="credential refused (401, authentication_error)",
        to_do="Put a valid key into access_key of this entry, or into the file that it names.",
    ),
    Finding(
        Kind.PROVIDER,
        "vllm/qwen3-4b",
        Verdict.FAILED,
        "llm.example.com:443",
        Reach(StepState.OK, StepState.OK, StepState.FAILED),
        Credential.UNKNOWN,
        took_ms=8.25,
        cause="certificate expired on 2026-11-27",
        to_do="Have the certificate of llm.example.com:443 renewed.",
    ),
    Finding(Kind.ROUTER, "vllm/router", Verdict.OK, took_ms=61.0, cause="says 'code generation'"),
    Finding(
        Kind.STORE,
        "redis",
        Verdict.WARNING,
        "redis.llm.svc:6379",
        Reach(StepState.OK, StepState.OK, StepState.OK, None, "TLSv1.2", 300),
        Credential.OK,
        took_ms=0.6,
        cause="the user lacks +pexpire",
        to_do="Give it these rights: ACL SETUSER ... +pexpire",
    ),
]
BAD = Finding(
    Kind.PROVIDER,
    "anthropic/claude-sonnet-5",
    Verdict.FAILED,
    "api.anthropic.com:443",
    Reach(StepState.OK, StepState.OK, StepState.FAILED),
    Credential.UNKNOWN,
    took_ms=8.25,
    cause="certificate expired on 2026-11-27",
    to_do="Have the certificate of api.anthropic.com:443 renewed: calls fail once it has ended.",
)
STORE = Finding(Kind.STORE, "redis", Verdict.WARNING, cause="no tracking", to_do="Mend it.")


def test_the_table_reads_as_the_readme_shows_it():
    """A row each, aligned; under it what was found and what to do, and a sentence at the end."""
    page = (ROOT / "sidecar" / "doctor" / "README.md").read_text()
    shown = page.partition("<!-- example -->\n```\n")[2].partition("\n```\n")[0]

    assert shown.splitlines() == describe(EXAMPLE, is_coloured=False)


def test_rows_that_say_the_same_say_it_once():
    """Sixty entries with one wrong key are sixty rows, and one sentence."""
    lines = describe([BAD] * 60, is_coloured=False)

    assert 60 == sum(line.startswith("FAIL") for line in lines)
    assert 1 == sum("expired" in line for line in lines)


def test_no_line_is_longer_than_a_terminal():
    """A long name has a line of its own; what has no blank to break at stays whole."""
    long = Finding(
        Kind.PROVIDER,
        "fireworks/accounts/fireworks/models/llama-v4-maverick-instruct",
        Verdict.OK,
        "host.example.com:443",
        REACHED,
        Credential.CALLERS,
        took_ms=10_000.0,
        cause="word " * 40,
        to_do="word " * 40,
    )
    lines = describe([long, GOOD], is_coloured=False)

    assert max(map(len, lines)) <= COLUMNS
    assert f"ok    {long.name}" == lines[1]


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        ([GOOD], "All is well."),
        ([GOOD, STORE], "No call would fail, 1 should be looked at."),
        ([BAD], "1 would fail calls."),
    ],
)
def test_the_last_line_says_what_it_comes_to(findings, sentence):
    """For who reads no more."""
    assert sentence == describe(findings, is_coloured=False)[-1]


def test_only_the_verdict_is_coloured():
    """And the table is the same without."""
    coloured = describe([GOOD, BAD, STORE], is_coloured=True)
    plain = describe([GOOD, BAD, STORE], is_coloured=False)

    assert "\x1b[1;31mFAIL\x1b[0m  anthropic" in coloured[2]
    stripped = "\n".join(coloured)
    for code in ("\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[0m"):
        stripped = stripped.replace(code, "")
    assert stripped == "\n".join(plain)


def test_machines_read_the_same_facts():
    """In one object with a number that says of what form it is."""
    report = json.loads(json_report("config.yaml", [GOOD, BAD]))

    assert (1, "config.yaml", "failed") == (report["schema"], report["config"], report["verdict"])
    good, bad = report["findings"]
    assert ("ok", True, 89, "known") == (
        good["verdict"], good["reachable"], good["reach"]["certificate_days"], good["model"],
    )  # fmt: skip
    assert ("failed", False, "failed") == (bad["verdict"], bad["reachable"], bad["reach"]["tls"])
