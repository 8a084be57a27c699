"""Where a passed-through path is at its provider, and where the places that the provider names are
here.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.address import Server
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, BodyFacts, Endpoint, Operation
from sidecar.upstream.passthrough import (
    local_headers,
    local_path,
    local_reference,
    passed_body,
    upstream_path,
)
from sidecar.wire.headers import CHUNKED
from tests.support.values import a_call

SERVER = Server("https", "api.example", 443, "api.example")
BASE = "/openai/v1"


def _is_served(path: str) -> bool:
    return path.startswith(("/v1/files", "/v2/files", "/extra"))


def _local(value: bytes, server: Server = SERVER) -> bytes | None:
    return local_reference(value, "/openai/v1/files/f1/content", server, BASE, _is_served)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/v1/files/f1", "/openai/v1/files/f1"),
        ("/v2/files/f1", "/v2/files/f1"),
        ("/extra/x", "/extra/x"),
    ],
)
def test_a_path_is_found_again_as_it_was_sent(path, there):
    """There and back."""
    assert there == upstream_path(path, BASE)
    assert path == local_path(there, BASE, _is_served)


@pytest.mark.parametrize(
    "there", ["/openai/v1/models", "/openai/v10/files", "/other/v1/files", "/"]
)
def test_what_is_not_passed_through_to_this_provider_has_no_place_here(there):
    """Another prefix, or a path that the sidecar serves itself."""
    assert local_path(there, BASE, _is_served) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"/openai/v1/files/f2", b"/v1/files/f2"),
        (b" /openai/v1/files/f2?a=b&c=%2F#part\t", b"/v1/files/f2?a=b&c=%2F"),
        (b"https://api.example/openai/v1/files/f2?a", b"/v1/files/f2?a"),
        (b"HTTPS://API.example:443/openai/v1/files/f2", b"/v1/files/f2"),
        (b"other", b"/v1/files/f1/other"),
        (b"../f2", b"/v1/files/f2"),
        (b"?page=2", b"/v1/files/f1/content?page=2"),
        (b"//api.example/openai/v1/files/f2", b"/v1/files/f2"),
        (b"/v2/files/f2", b"/v2/files/f2"),
    ],
)
def test_a_place_at_the_provider_is_a_path_here(value, expected):
    """Relative to what was asked, or whole."""
    assert expected == _local(value)


@pytest.mark.parametrize(
    "value",
    [
        b"https://blob.example/f2?sig=x",
        b"//blob.example/openai/v1/files/f2",
        b"http://api.example/openai/v1/files/f2",
        b"https://api.example:8443/openai/v1/files/f2",
        b"https://api.example.evil/openai/v1/files/f2",
        b"https://user:word@api.example/openai/v1/files/f2",
        b"https://api.example@evil.example/openai/v1/files/f2",
        b"/\\evil.example/x",
        b"\\\\evil.example/x",
        b"/\t/evil.example/x",
        b"/openai/v1//evil.example/x",
        b"/openai/v1/chat/completions",
        b"javascript:alert(1)",
        b"data:,x",
        b"file:///etc/passwd",
        b"https://[::1/x",
        b"https://api.example:port/openai/v1/files/f2",
        b"/openai/v1/files/\xff",
        b"",
        b"/openai/v1/files/" + b"x" * 10_000,
    ],
)
def test_a_place_elsewhere_is_none(value):
    """An app would go there with its body, session, tenant and key. What browsers read as another
    host is one.
    """
    assert _local(value) is None


def test_a_provider_may_call_itself_by_the_name_that_it_is_called_by():
    """`http_host` of its entry, or an address with its port."""
    value = b"http://127.0.0.1:8000/openai/v1/files/f2"
    at_port = Server("http", "127.0.0.1", 8000, "llm.corp")
    named = Server("https", "10.0.0.1", 443, "llm.corp")

    assert b"/v1/files/f2" == _local(value, at_port)
    assert b"/v1/files/f2" == _local(b"https://llm.corp/openai/v1/files/f2", named)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_whatever_a_provider_says_leads_nowhere_else(value):
    """And raises nothing: what is passed on is one path below a prefix of its own."""
    local = _local(value)

    assert local is None or _is_served(local.decode().partition("?")[0])


@pytest.mark.parametrize(("length", "expected"), [(7, 7), (None, CHUNKED)])
def test_a_body_that_still_arrives_is_announced_as_the_app_does(length, expected):
    """By its length or in chunks; nothing of it is at hand."""
    upload = SimpleNamespace(length=length, use=lambda _: None)
    call = a_call(upload=upload, body=b"", facts=BodyFacts())

    assert ((), expected) == passed_body(call, "m", DIALECTS.by_name[CHAT].patch)


@pytest.mark.parametrize(
    ("model", "expected"), [("fast", b"<whisper-1>"), ("whisper-1", b"<whisper-1>"), (None, b"<>")]
)
def test_a_form_gets_the_providers_name_of_the_model(model, expected):
    """In the place of a name of the config's, as it stands there: without quotes."""
    endpoint = Endpoint("/v1/audio/x", CHAT, Operation.PASSTHROUGH, form_boundary=b"x")
    name = b"" if model is None else model.encode()
    facts = BodyFacts(requested_model=model, model_span=(1, 1 + len(name)))
    call = a_call(endpoint=endpoint, body=b"<" + name + b">", facts=facts)
    pieces, length = passed_body(call, "whisper-1", DIALECTS.by_name[CHAT].patch)
    edits: list[object] = []
    upload = SimpleNamespace(length=9, use=edits.append)
    passed_body(a_call(endpoint=endpoint, body=b"", facts=facts, upload=upload), "whisper-1", _fail)

    assert (expected, len(expected)) == (b"".join(pieces), length)
    assert [(1, 5, b"whisper-1") if model == "fast" else None] == edits


def _fail(*_: object) -> list[bytes | memoryview]:
    raise AssertionError


def test_of_a_response_only_places_are_changed():
    """Those that clients follow by themselves, each for itself."""
    headers = [
        (b"Location", b"here"),
        (b"X", b"elsewhere"),
        (b"operation-location", b"elsewhere"),
        (b"X-Goog-Upload-URL", b"elsewhere"),
        (b"x-goog-upload-control-url", b"here"),
        (b"LOCATION", b"elsewhere"),
        (b"location", b"elsewhere"),
    ]
    kept, lost = local_headers(headers, lambda value: b"/" + value if value == b"here" else None)

    assert [
        (b"Location", b"/here"),
        (b"X", b"elsewhere"),
        (b"x-goog-upload-control-url", b"/here"),
    ] == kept
    assert "operation-location, x-goog-upload-url, location" == lost
