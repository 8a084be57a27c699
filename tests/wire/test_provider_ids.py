"""How providers name their requests."""

from __future__ import annotations

import pytest

from sidecar.wire.provider_ids import provider_request_id


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"Content-Type", b"x"), (b"X-Request-ID", b"req_1")], "req_1"),
        ([(b"request-id", b"req_2"), (b"cf-ray", b"r")], "req_2"),
        ([(b"apim-request-id", b"a-b")], "a-b"),
        ([(b"x-request-id", b"a b"), (b"cf-ray", b"9-FRA")], "9-FRA"),
        ([(b"x-request-id", b"x" * 65)], None),
        ([], None),
    ],
)
def test_a_providers_request_id_is_read_where_it_looks_like_one(headers, expected):
    """Anything else in those headers may be somebody's text."""
    assert expected == provider_request_id(headers)


@pytest.mark.parametrize(
    "key",
    [b"sk-proj-abc_DEF", b"sk-ant-api03-x", b"gsk_abc", b"AIzaSyA-abc", b"key-1", b"xai-abc"],
)
def test_what_begins_as_keys_do_is_no_request_id(key):
    """A server may send back what it was sent."""
    assert provider_request_id([(b"x-request-id", key)]) is None
