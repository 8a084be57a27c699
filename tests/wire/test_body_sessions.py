"""Which sessions are read from a body, and which values are left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import InvalidBody
from sidecar.wire.body import JsonBody
from sidecar.wire.body_sessions import KNOWN_CLIENTS, BodySessions

BODY = JsonBody((b"conversation",), (b"messages",))
DEVICE = "5dd07c33da27e6d2968d94ea20bf47a7b090b6b158b82328d54da2909a108e84"
ACCOUNT = "0f3ab1c2-94d5-4e6f-8a7b-1c2d3e4f5a6b"
SESSION = "d2e70091-3007-41a3-a916-cb8b0d3098de"
THREAD = "019a2c6e-7b3d-7f10-9c21-5e4a6b7c8d9e"


def session_in(body: bytes | dict[str, Any], *keys: str) -> str | None:
    """What is found in a body, by default of the agents that are known."""
    raw = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    sessions = BodySessions(keys or (KNOWN_CLIENTS,))
    return sessions.session_id_of(raw, BODY.peek(raw, sessions.members))


def claude(**ids: Any) -> dict[str, Any]:
    """The newer form of Claude Code's user."""
    known = {"device_id": DEVICE, "account_uuid": "", "session_id": SESSION}
    return {"metadata": {"user_id": json.dumps(known | ids)}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"metadata": {"user_id": f"user_{DEVICE}_account_{ACCOUNT}_session_{SESSION}"}}, SESSION),
        ({"metadata": {"user_id": f"user_{DEVICE}_account__session_{SESSION}"}}, SESSION),
        (claude(), SESSION),
        (claude(account_uuid=ACCOUNT, more=[1]), SESSION),
        ({"prompt_cache_key": THREAD}, THREAD),
        ({"prompt_cache_key": SESSION.upper()}, SESSION.upper()),
        ({"prompt_cache_key": f"{SESSION}:gpt-5.1-codex"}, SESSION),
        ({"prompt_cache_key": "ses_6f2a1c3b4dffeAbCdEfGhIjKlM"}, "ses_6f2a1c3b4dffeAbCdEfGhIjKlM"),
        ({"metadata": {"user_id": "u1"}, "prompt_cache_key": THREAD}, THREAD),
        ({**claude(), "prompt_cache_key": THREAD}, SESSION),
        (f'{{"m\\u0065tadata":{{"user_id":"user_{DEVICE}_account__session_{SESSION}"}}}}'.encode(), SESSION),
        (f'{{"prompt_cache_key":"x","prompt_cache_key":"{THREAD}"}}'.encode(), THREAD),
    ],
)  # fmt: skip
def test_an_agents_session_is_known_by_its_form(body, expected):
    """Claude Code old and new, Codex, Copilot's CLI and editor, opencode; of a member that stands
    twice the last counts, as with the providers.
    """
    assert expected == session_in(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt_cache_key": "my-app-v1"},
        {"prompt_cache_key": "system-prompt:v3"},
        {"prompt_cache_key": "user-42"},
        {"prompt_cache_key": ""},
        {"prompt_cache_key": None},
        {"prompt_cache_key": 7},
        {"prompt_cache_key": [THREAD]},
        {"prompt_cache_key": f"app-{THREAD}"},
        {"prompt_cache_key": f"{THREAD}:"},
        {"prompt_cache_key": f"{THREAD}:two words"},
        {"prompt_cache_key": f" {THREAD}"},
        {"prompt_cache_key": "00000000-0000-0000-0000-000000000000"},
        {"prompt_cache_key": "11111111-1111-1111-1111-111111111111"},
        {"prompt_cache_key": "ffffffff-ffff-ffff-ffff-ffffffffffff"},
        {"prompt_cache_key": "ses_short"},
        {"prompt_cache_key": f"{THREAD}\n"},
        {"metadata": {"user_id": "user-42"}},
        {"metadata": {"user_id": THREAD}},
        {"metadata": {"user_id": f"user_{DEVICE}_account__session_1"}},
        {"metadata": {"user_id": f"user_42_account__session_{SESSION}"}},
        {"metadata": {"user_id": None}},
        {"metadata": {}},
        {"metadata": "user_id"},
        {"metadata": [SESSION]},
        claude(session_id="s"),
        claude(session_id=7),
        claude(session_id=None),
        {"metadata": {"user_id": json.dumps({"session_id": SESSION})}},
        {"metadata": {"user_id": json.dumps([SESSION])}},
        {"metadata": {"user_id": "{"}},
        {"user": f"user_{DEVICE}_account__session_{SESSION}"},
        {"metadata": {"pad": "x" * 70_000, **claude()["metadata"]}},
        b'{"prompt_cache_key":"\\ud83d"}',
        b'{"metadata":{"user_id":"\\ud83d"}}',
    ],
)
def test_any_other_value_names_no_session(body):
    """Constants that group requests, users, half a form, and what is too long to look at."""
    assert session_in(body) is None


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("prompt_cache_key",), "my-app"),
        (("metadata.conversation",), "c 1"),
        (("metadata.none", "prompt_cache_key"), "my-app"),
        (("metadata.number", "metadata", "metadata.empty", "other", "model.x"), None),
        (("model",), "m"),
        (("conversation.id",), "conv_1"),
        ((KNOWN_CLIENTS,), None),
        ((KNOWN_CLIENTS, "metadata.conversation"), "c 1"),
    ],
)
def test_of_a_member_that_the_config_names_any_text_counts(keys, expected):
    """In the config's order; trimmed, and empty is absent, as with headers."""
    metadata = {"conversation": " c 1\t", "none": None, "number": 7, "empty": " "}
    body = {
        "prompt_cache_key": "my-app",
        "metadata": metadata,
        "conversation": {"id": "conv_1"},
    }

    assert expected == session_in(body, *keys)


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("prompt_cache_key", {"prompt_cache_key": "x" * 4097}),
        ("prompt_cache_key", {"prompt_cache_key": "é" * 2049}),
        ("metadata.id", {"metadata": {"id": "x" * 4097}}),
        ("metadata.id", {"metadata": {"id": "x", "pad": "x" * 70_000}}),
    ],
)
def test_a_text_that_is_too_long_for_a_name_is_refused_by_its_members_name(key, body):
    """As a header is: rather than served without its session."""
    with pytest.raises(InvalidBody, match=f"'{key}' .* longer than 4096 bytes") as caught:
        session_in(body, key)

    assert key == caught.value.param


def test_4096_bytes_are_a_name():
    """The bound of headers."""
    assert "x" * 4096 == session_in({"prompt_cache_key": "x" * 4096}, "prompt_cache_key")


def test_only_members_that_may_hold_a_session_are_looked_for():
    """A body is read for them in the one decode that it has anyway."""
    assert frozenset({b"metadata", b"prompt_cache_key"}) == BodySessions([KNOWN_CLIENTS]).members
    assert frozenset({b"a", b"b"}) == BodySessions(["a.x", "b", "a.y"]).members
    assert frozenset() == BodySessions([]).members
    assert session_in({"prompt_cache_key": THREAD}, "metadata.user_id") is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just(THREAD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)  # fmt: skip


@given(_json, _json, st.dictionaries(st.just("user_id"), _json))
def test_no_value_fails_a_call(metadata, cache_key, user):
    """Whatever an app puts there, it names a session or it does not."""
    for each in (metadata, user, {"user_id": json.dumps(metadata)}):
        found = session_in({"metadata": each, "prompt_cache_key": cache_key})
        assert found in (None, THREAD)
