"""A check-up for a person: a table of at most 80 columns, and under each row what to do. Pure."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from sidecar.doctor.findings import Finding, Kind, StepState, Verdict, worst

COLUMNS: Final = 80
_NAME_CHARS: Final = 30
_INDENT: Final = " " * 6
_LABELS: Final = {
    Verdict.OK: "ok",
    Verdict.WARNING: "warn",
    Verdict.FAILED: "FAIL",
    Verdict.SKIPPED: "-",
}
_COLOURS: Final = {
    Verdict.OK: "32",
    Verdict.WARNING: "33",
    Verdict.FAILED: "1;31",
    Verdict.SKIPPED: "2",
}
"""As ANSI has them: green, yellow, bold red, faint."""
_PREFIXES: Final = {
    Kind.PROVIDER: "",
    Kind.ROUTER: "router ",
    Kind.STORE: "sessions in ",
    Kind.SOURCE: "",
    Kind.TRACING: "trace ",
}
_HEAD: Final = ("", "WHAT", "REACHED", "TLS", "CREDENTIAL", "MS")
_Row = tuple[str, str, str, str, str, str]


def describe(findings: Sequence[Finding], *, is_coloured: bool) -> list[str]:
    """Return the lines of a check-up: a row for each finding, and under each, or under each run of
    rows that say the same, what was found and what to do; at the end a sentence.
    """
    rows = [_row(each) for each in findings]
    widths = _widths(rows)
    lines = [_line(_HEAD, widths)]
    for _, run in itertools.groupby(zip(findings, rows, strict=True), lambda pair: _note(pair[0])):
        pairs = list(run)
        for finding, row in pairs:
            lines += _row_lines(finding, row, widths, is_coloured=is_coloured)
        lines += _notes(pairs[0][0])
    return [*lines, "", _sentence(findings)]


def _row(finding: Finding) -> _Row:
    reach = finding.reach
    is_reached = reach.is_reached
    took = "-" if finding.took_ms is None else _ms(finding.took_ms)
    return (
        _LABELS[finding.verdict],
        f"{_PREFIXES[finding.kind]}{finding.name}",
        "-" if is_reached is None else ("yes" if is_reached else "no"),
        _tls(finding),
        "-" if finding.credential is None else str(finding.credential),
        took,
    )


def _tls(finding: Finding) -> str:
    reach = finding.reach
    if reach.tls is StepState.FAILED:
        return "no"
    if reach.tls_version is None:
        return "-"
    version = reach.tls_version.removeprefix("TLSv")
    days = reach.certificate_days
    return version if days is None else f"{version}, {days} d"


def _ms(took_ms: float) -> str:
    return f"{took_ms:.1f}" if took_ms < 10 else f"{took_ms:.0f}"


def _widths(rows: Sequence[_Row]) -> list[int]:
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    widths[0] = max(map(len, _LABELS.values()))
    widths[1] = min(widths[1], _NAME_CHARS)
    return widths


def _row_lines(
    finding: Finding, row: _Row, widths: Sequence[int], *, is_coloured: bool
) -> Iterator[str]:
    label, name, *rest = row
    if len(name) > widths[1]:  # it has a line of its own
        yield _paint(_line((label, name, "", "", "", ""), widths), finding, is_coloured=is_coloured)
        label = name = ""
    line = _line((label, name, *rest), widths)
    yield _paint(line, finding, is_coloured=is_coloured and bool(label))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    shown[-1] = cells[-1].rjust(widths[-1])
    return "  ".join(shown).rstrip()


def _paint(line: str, finding: Finding, *, is_coloured: bool) -> str:
    label = _LABELS[finding.verdict]
    if not is_coloured or not line.startswith(label):
        return line
    return f"\x1b[{_COLOURS[finding.verdict]}m{label}\x1b[0m{line[len(label) :]}"


def _note(finding: Finding) -> tuple[str, ...]:
    """What stands under a row; that of rows that are well is told of each."""
    return (finding.verdict, finding.cause, finding.to_do, finding.place or "")


def _notes(finding: Finding) -> list[str]:
    lines = []
    if finding.cause:
        where = f"{finding.place}: " if finding.place else ""
        lines += _wrapped(f"{where}{finding.cause}", _INDENT)
    if finding.to_do:
        lines += _wrapped(finding.to_do, f"{_INDENT}> ")
    return lines


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sentence(findings: Sequence[Finding]) -> str:
    verdict = worst(findings)
    failed = sum(each.verdict is Verdict.FAILED for each in findings)
    warned = sum(each.verdict is Verdict.WARNING for each in findings)
    if verdict is Verdict.OK:
        return "All is well."
    parts = [f"{failed} would fail calls"] if failed else ["No call would fail"]
    parts += [f"{warned} should be looked at"] if warned else []
    return f"{', '.join(parts)}."
