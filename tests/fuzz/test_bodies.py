"""Request bodies: facts that Python's own JSON agrees with, and nothing but InvalidBody."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage import read_event, read_response, read_tail
from sidecar.domain.errors import InvalidBody
from sidecar.wire.body_sessions import BodySessions
from tests.fuzz.properties import damaged, holds_for
from tests.support.steps import without_signed_state

SAMPLES = [
    b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}',
    b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"\\ud83d\\ude00"}]}],"n":1.5e3}',
    b' {\r\n"mod\\u0065l" : "openai/gpt-4o" , "routing_preferences":[], "stream":false }\n',
    b'{"input":[{"role":"user","content":"x"}],"previous_response_id":"r","model":null,"tools":[{"a":{"b":[1,[2]]}}]}',
    b'{"model":"claude","max_tokens":1,"system":"s","metadata":{"user_id":"user_0_account__session_x"},"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c"},{"type":"tool_use","id":"i","name":"n","input":{}}]}]}',
    '{"model":"m\u00e9","prompt_cache_key":"\u65e5\u672c \U0001f600"}'.encode(),
]
PIECES = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"1e9", b"-"),
    *(b"null", b"true", b'"model":"x",', b'"stream":true,', b'"messages":[],', b"\\u0000", b"\\ud83d", b"[" * 3000, b'{"a":' * 1200),
]  # fmt: skip
DIALECT = st.sampled_from(sorted(DIALECTS.by_name.values(), key=lambda each: each.name))
SESSIONS = BodySessions(["known_clients", "metadata.user_id", "prompt_cache_key"])


@holds_for(DIALECT, damaged(SAMPLES, PIECES))
def test_what_is_read_of_a_body_is_what_json_says(dialect, body):
    """A body is refused, or its model, its stream flag and every other member are those that any
    reader of JSON sees.
    """
    try:
        facts = dialect.peek(body, SESSIONS.members)
    except InvalidBody:
        return
    document = json.loads(body)
    model = document.get("model")
    assert facts.requested_model == (None if model in (None, "", "none") else model)
    assert facts.wants_stream == bool(document.get("stream"))
    changed = json.loads(b"".join(dialect.patch(body, facts, "m2")))
    assert changed.pop("model") == "m2"
    document.pop("model", None)
    document.pop("routing_preferences", None)
    assert repr(changed) == repr(document)


@holds_for(DIALECT, damaged(SAMPLES, PIECES))
def test_nothing_that_reads_a_body_raises(dialect, body):
    """Turns, signed state and sessions are read of whatever passed as JSON."""
    try:
        facts = dialect.peek(body, SESSIONS.members)
        session_id = SESSIONS.session_id_of(body, facts) if facts.session_spans else None
    except InvalidBody:  # also for a session whose name is too long
        return
    assert session_id is None or isinstance(session_id, str)
    assert all(isinstance(turn.text, str) for turn in dialect.turns(body, facts, 3000))
    assert dialect.is_newest_turn_signed(body, facts) in (True, False)
    stripped = without_signed_state(dialect, body, b'{"error":{"message":"signature"}}')
    assert stripped is None or isinstance(json.loads(stripped), dict)


@holds_for(DIALECT, damaged([*SAMPLES, b'{"id":"c","model":"m","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}', b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', b'{"status":"failed","error":{"code":"x"}}'], PIECES))  # fmt: skip
def test_nothing_that_reads_a_response_raises(dialect, body):
    """Usage, model and errors of whatever a provider said."""
    served = read_response(dialect, body)
    assert served.served_model is None or isinstance(served.served_model, str)
    assert dialect.is_error_response(body) in (True, False)
    assert read_event(dialect, body).usage is None or read_tail(dialect, body) is not None
    dialect.stream.kind_of_event(b"error", body)
    dialect.stream.kind_of_event(b"", body)
