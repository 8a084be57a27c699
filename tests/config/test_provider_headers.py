"""Header lines of an entry that would break a request's head are found in the config."""

from __future__ import annotations

import pytest

from sidecar.config.families import FAMILIES
from sidecar.config.provider_headers import check_headers
from sidecar.config.report import Report
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.secret import Secret
from tests.config.loading import problems


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("model: openai/m, access_key: \"a\\nb\"",
         ["1: model_providers[0].access_key: holds a line break, a control character or blanks around it"]),
        ("model: openai/m, access_key: k, http_host: 'h/x'",
         ["1: model_providers[0].http_host: must be host or host:port"]),
        ("model: openai/m, access_key: k, headers: {'a b': v}",
         ["1: model_providers[0].headers.a b: is not a valid header name"]),
        ("model: openai/m, access_key: k, headers: {Content-Length: '0'}",
         [("1: model_providers[0].headers.Content-Length: cannot be set: it belongs to the connection "
          "(for Host use http_host)")]),
        ("model: openai/m, access_key: k, headers: {x-a: \"a\\r\\nb: c\"}",
         ["1: model_providers[0].headers.x-a: holds a line break, a control character or blanks around it"]),
        ("model: openai/m, access_key: k, headers: {Authorization: v}",
         ["1: model_providers[0].headers.Authorization: stands there already: by access_key, or in another case"]),
        ("model: anthropic/m, access_key: k, headers: {X-Api-Key: v}",
         ["1: model_providers[0].headers.X-Api-Key: stands there already: by access_key, or in another case"]),
        ("model: azure_openai/m, access_key: k, base_url: 'http://h', headers: {api-key: v, authorization: w}",
         ["1: model_providers[0].headers.api-key: stands there already: by access_key, or in another case"]),
        ("model: openai/m, passthrough_auth: true, headers: {x-a: v, X-A: w}",
         ["1: model_providers[0].headers.X-A: stands there already: by access_key, or in another case"]),
    ],
)  # fmt: skip
def test_header_problems(entry, expected):
    """At the line of the entry, without any value."""
    assert expected == problems(f"model_providers: [{{{entry}}}]")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("x-tier", None),
        ("session_id", None),
        ("x y", "is not a header name"),
        ("Cookie", "never leaves the pod"),
        ("X-Plano-Route", "never leaves the pod"),
        ("Authorization", "is a credential; use passthrough_auth of a provider"),
        ("X-Auth-Request-Access-Token", "is a credential, and goes to no provider"),
        ("Content-Length", "belongs to the connection and cannot be sent on"),
    ],
)
def test_what_an_entry_is_sent_beyond_others_is_checked_like_what_all_are(name, problem):
    """Its provider, too, gets no credential of another one's."""
    text = f"model_providers: [{{model: openai/m, access_key: k, propagate: [x-a, {name!r}]}}]"
    expected = f"1: model_providers[0].propagate[1]: {name!r} {problem}"

    assert ([] if problem is None else [expected]) == problems(text)


@pytest.mark.parametrize(
    ("passthrough_auth", "expected"),
    [
        (False, ["?:1: model_providers[0].headers.AUTHORIZATION: stands there already: by access_key, or in another case"]),
        (True, []),
    ],
)  # fmt: skip
def test_the_header_of_a_key_can_be_set_where_the_key_is_not_sent(passthrough_auth, expected):
    """The caller's own takes its place then."""
    entry = ModelProvider(
        model="openai/m",
        access_key=Secret("k"),
        passthrough_auth=passthrough_auth,
        headers={"AUTHORIZATION": Secret("v")},
    )
    report = Report("?")
    check_headers(entry, FAMILIES["openai"], ("model_providers", 0), report)

    assert expected == report.problems
