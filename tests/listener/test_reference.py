"""sidecar/listener/README.md says of paths, headers and errors what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sidecar.build.foundation import build_foundation
from sidecar.build.operator_pages import build_operator_pages
from sidecar.config.families import FAMILIES
from sidecar.config.load import load_config
from sidecar.dialects.registry import DIALECTS
from sidecar.domain import errors
from sidecar.domain.api_paths import ApiPath
from sidecar.domain.decision import Decision, Source
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.listener import paths
from sidecar.listener.paths import Paths
from sidecar.wire import headers, own_headers
from sidecar.wire.headers import HeaderPolicy
from sidecar.wire.request_headers import read_headers
from sidecar.wire.response_headers import response_lines
from tests.listener.test_handlers import _House, _parts
from tests.proxy.fakes import a_candidate
from tests.support.values import a_call

README = Path(paths.__file__).parent / "README.md"


def rows(section: str) -> list[list[str]]:
    """The cells of a table's rows, head left out."""
    text = README.read_text("utf-8")
    assert [1, 1] == [text.count(f"<!-- {section} -->"), text.count(f"<!-- /{section} -->")]
    table = text.partition(f"<!-- {section} -->\n")[2].partition(f"<!-- /{section} -->")[0]
    return [
        [cell.strip() for cell in line.strip("|").split(" |")] for line in table.splitlines()[2:]
    ]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _classes(base: type[errors.SidecarError]) -> list[type[errors.SidecarError]]:
    return [base, *(each for sub in base.__subclasses__() for each in _classes(sub))]


def test_the_errors_are_those_of_domain_errors():
    """Status and code of each, sorted; base classes have no code of their own."""
    known = {
        (str(each.status), each.code)
        for each in _classes(errors.SidecarError)
        if each.code != errors.SidecarError.code or each is errors.InternalFault
    }

    assert sorted(known) == [(status, code.strip("`")) for status, code, _ in rows("errors")]


def test_the_paths_are_those_that_are_served():
    """Calls, decisions, models and probes; passthrough is the config's."""
    served = Paths(DIALECTS.endpoints, ())

    assert {
        *served.calls,
        *served.decisions,
        *paths.PROBES,
        paths.MODELS,
        paths.MODELS + "/{id}",
    } == {names(path)[0] for path, *_ in rows("paths")}


def test_the_paths_that_need_no_config_are_those_of_the_families():
    """Each with who is known to serve it; `{id}` stands where the path itself is a call."""
    families = {
        api_path: sorted(name for name, row in FAMILIES.items() if api_path in row.api_paths)
        for api_path in ApiPath
    }

    assert {str(path): serving for path, serving in families.items()} == {
        names(path)[0].removesuffix("/{id}"): names(serving)
        for path, _, serving in rows("api-paths")
    }


@pytest.mark.parametrize(("path", "methods"), [row[:2] for row in rows("paths")])
async def test_a_path_takes_the_methods_that_the_table_has(path, methods):
    """As `allow` says of any other."""
    status, headers, _ = _parts(await _House().ask("DELETE", names(path)[0].format(id="fast")))

    assert (405, methods.lower()) == (status, headers["allow"])


REQUEST_HEADERS = [
    (name, bool(goes_to), bool(read_for))
    for listed, goes_to, read_for in rows("request-headers")
    for name in names(listed)
]
ON_THIS_HOP = {"connection", "upgrade", "transfer-encoding"}
MADE_HERE = {"x-request-id", "traceparent", "tracestate", "via"}
"""Sent to providers in the sidecar's own words."""


def test_the_request_headers_are_those_that_are_known():
    """By name or by prefix; a name that its prefix covers needs no row."""
    known = {
        *headers._GROUPS,
        *(f"{prefix}*" for prefix in headers._GROUPS_BY_PREFIX),
        *headers._FACTS,
        headers.AFFINITY_HEADER,
        "baggage",
    }

    assert known - ON_THIS_HOP - {"anthropic-version"} == {name for name, *_ in REQUEST_HEADERS}


@pytest.mark.parametrize(("name", "is_sent", "is_read"), REQUEST_HEADERS)
def test_a_request_header_is_forwarded_and_read_as_the_table_says(name, is_sent, is_read):
    """An empty cell is a promise too."""
    spelled = name.replace("*", "x").encode()
    policy = HeaderPolicy(propagate=frozenset({"baggage"}))
    headers = read_headers([(spelled, b"x")], policy)

    assert is_sent == bool(headers.lines or name in MADE_HERE)
    assert is_read == bool(policy[spelled][1]) or name.startswith("content-")


def test_the_response_headers_are_those_that_are_written():
    """By any of the functions of `wire.own_headers`, or in a provider's stead."""
    candidate = a_candidate("openai/gpt-4o")
    facts = RoutingFacts(RouterOutcome.MATCHED, confidence=0.9)
    decision = Decision(Source.ROUTED, (candidate,), "code", routing=facts)
    failures = [
        errors.MethodNotAllowed("x", allow="POST"),
        errors.UpgradeNotServed("x"),
        errors.Overloaded("x", retry_after_s=1),
        errors.ConnectFailed("x"),
    ]
    written = [
        own_headers.served_lines(a_call(), decision, candidate, 1, 0.0, 0.0),
        own_headers.lost_line("thinking"),
        own_headers.translated_line("chat>messages"),
        *(line for error in failures for line in own_headers.refused_lines(error, "r")),
        *own_headers.probe_lines("r"),
        *own_headers.models_lines("r"),
        *own_headers.decision_lines("r"),
        *response_lines([(b"x-request-id", b"theirs")]),
    ]

    assert {line.partition(b":")[0].decode() for line in b"".join(written).splitlines()} == {
        names(header)[0] for header, *_ in rows("response-headers")
    }


async def test_the_pages_for_operators_are_those_that_are_served(tmp_path):
    """Path, methods, help and what wants the config's leave, in the order of the list of pages."""
    file = tmp_path / "sidecar.yaml"
    file.write_text('{"model_providers": [{"model": "openai/gpt-4o", "access_key": "k"}]}')
    foundation = build_foundation(load_config(file, {}), {}, DIALECTS, lambda: None)
    served = [
        [
            f"`{page.path}`",
            ", ".join(page.methods),
            page.help,
            ", ".join(set(page.methods) - {"GET"}) if page.changes else "",
        ]
        for page in build_operator_pages(foundation)
    ]

    assert served == rows("pages")
