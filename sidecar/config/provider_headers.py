"""What a config says of the header lines of one provider entry, checked before it can break a
request. Pure.
"""

from __future__ import annotations

from sidecar.config.address import (
    MANAGED_HEADERS,
    fault_of_header_value,
    is_header_name,
    is_host_header,
)
from sidecar.config.conventions import Conventions
from sidecar.config.report import Path, Report
from sidecar.config.schema_providers import ModelProvider


def check_headers(entry: ModelProvider, conventions: Conventions, at: Path, report: Report) -> None:
    """Report what would break the head of a request, or add nothing to it. Values are never
    quoted.
    """
    taken: set[str] = set()
    if entry.access_key and not entry.passthrough_auth:
        taken.add(conventions.credential.header.lower())
    key = "" if entry.access_key is None else entry.access_key.reveal()
    if (fault := fault_of_header_value(key)) is not None:
        report.problem((*at, "access_key"), fault)
    if entry.http_host is not None and not is_host_header(entry.http_host):
        report.problem((*at, "http_host"), "must be host or host:port")
    _check_own_headers(entry, taken, (*at, "headers"), report)
    _check_cache_hint(entry, conventions, at, report)


def _check_own_headers(entry: ModelProvider, taken: set[str], at: Path, report: Report) -> None:
    """Args: ``taken`` are header names, in lower case, that the request has already."""
    for name, value in entry.headers.items():
        here = (*at, name)
        if not is_header_name(name):
            report.problem(here, "is not a valid header name")
        elif name.lower() in MANAGED_HEADERS:
            why = "it belongs to the connection (for Host use http_host)"
            report.problem(here, f"cannot be set: {why}")
        elif name.lower() in taken:
            report.problem(here, "stands there already: by access_key, or in another case")
        taken.add(name.lower())
        if (fault := fault_of_header_value(value.reveal())) is not None:
            report.problem(here, fault)


def _check_cache_hint(
    entry: ModelProvider, conventions: Conventions, at: Path, report: Report
) -> None:
    if entry.cache_hint != "body":
        return
    why = ""
    if not conventions.cache_hints.member_in:
        why = f"nothing is known of a prompt_cache_key at {entry.model!r}"
    elif not entry.access_key or entry.passthrough_auth:
        why = "a session's name is made with an access_key of the entry's own"
    if why:
        report.warn((*at, "cache_hint"), f"adds nothing to bodies: {why}")
