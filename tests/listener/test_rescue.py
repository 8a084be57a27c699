"""From errors to replies."""

import json
import logging

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain import errors
from sidecar.domain.call import CHAT, MESSAGES
from sidecar.domain.observers import Observers
from sidecar.listener.rescue import Rescue


@pytest.fixture
def rescue() -> Rescue:
    return Rescue(DIALECTS, Observers())


@pytest.mark.parametrize(
    ("error", "status", "code", "lines"),
    [
        (
            errors.InvalidBody("bad", param="model"),
            400,
            "invalid_body",
            [b"x-should-retry: false\r\n"],
        ),
        (errors.Overloaded("full", retry_after_s=1), 503, "overloaded", [b"retry-after: 1\r\n"]),
        (errors.Draining("bye", retry_after_s=900), 503, "draining", [b"retry-after: 60\r\n"]),
        (
            errors.MethodNotAllowed("no", allow="POST"),
            405,
            "method_not_allowed",
            [b"allow: POST\r\n"],
        ),
        (errors.UpgradeNotServed("no"), 426, "upgrade_not_served", [b"upgrade: HTTP/1.1\r\n"]),
        (errors.ConnectFailed("no"), 503, "upstream_connect_failed", [b"x-plano-attempts: 1\r\n"]),
    ],
)
def test_a_known_error_becomes_its_own_reply(rescue, error, status, code, lines):
    """Status and code are the class's; the lines tell SDKs whether a retry can help."""
    refusal = rescue.refuse(error, CHAT, "req-1")

    assert (status, code) == (refusal.status, refusal.code)
    assert set(lines) <= set(refusal.lines)
    assert b"x-request-id: req-1\r\n" in refusal.lines
    assert b"x-plano-error: %s\r\n" % code.encode() in refusal.lines
    assert code == json.loads(refusal.body)["error"]["code"]


def test_the_body_is_in_the_callers_dialect(rescue):
    """An Anthropic SDK reads Anthropic's shape."""
    body = json.loads(rescue.refuse(errors.ModelNotFound("no"), MESSAGES, "req-1").body)

    assert ("error", "not_found_error", "req-1") == (
        body["type"],
        body["error"]["type"],
        body["request_id"],
    )


def test_a_bug_is_logged_and_tells_the_app_nothing(rescue, caplog):
    """The app gets the request id to ask with; the cause stands in the log only."""
    with caplog.at_level(logging.ERROR):
        refusal = rescue.refuse(KeyError("secret-detail"), CHAT, "req-9")

    assert (500, "internal") == (refusal.status, refusal.code)
    assert b"secret-detail" not in refusal.body
    assert "req-9" in caplog.text
    assert "secret-detail" in caplog.text


@pytest.mark.parametrize(
    ("error", "closes"), [(errors.BodyTooLarge("x"), True), (errors.InvalidBody("x"), False)]
)
def test_the_connection_closes_where_the_request_was_not_read(rescue, error, closes):
    """Behind an unread body nothing else can be parsed."""
    assert closes == rescue.refuse(error, CHAT, "r").closes
