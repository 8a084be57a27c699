"""Session keys: plano's own where ids are plain, and never shared by two pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.affinity.session import (
    MAX_PART_BYTES,
    escape_part,
    make_session,
    parse_key,
    pattern_of,
    session_of,
)
from sidecar.dialects.registry import DIALECTS
from tests.support.values import a_call


@pytest.mark.parametrize(
    ("tenant", "session", "key"),
    [
        (None, "s1", "plano:affinity:s1"),
        ("acme", "s1", "plano:affinity:acme:s1"),
        ("a:b", "c", "plano:affinity:a%3Ab:c"),
        (None, "acme:1", "plano:affinity:acme%3A1"),
        ("acme", "é", "plano:affinity:acme:%C3%A9"),
        (None, "a b~{c}%", "plano:affinity:a%20b%7E%7Bc%7D%25"),
        (None, "\x00\x1f\x7f", "plano:affinity:%00%1F%7F"),
        (None, "!\"#$&'()*+,-./;<=>?@[]^_`|", "plano:affinity:!\"#$&'()*+,-./;<=>?@[]^_`|"),
    ],
)
def test_plain_keys_are_the_contracts(tenant, session, key):
    """The design's examples, and the edges of the escaped range."""
    assert key == make_session(session, tenant).key


def test_a_lane_escapes_the_slash_of_its_model():
    """A second lane's key is the plain one, a tilde, and the model with its slash escaped."""
    session = make_session("s1", "acme", "openai/gpt-4o-mini")

    assert "plano:affinity:acme:s1~openai%2Fgpt-4o-mini" == session.lane_key


@pytest.mark.parametrize("length", [MAX_PART_BYTES, MAX_PART_BYTES + 1])
def test_long_parts_become_a_hash_of_32_digits(length):
    """128 bytes stay as they are, one more becomes %h and a digest."""
    escaped = escape_part("x" * length)

    assert (128 if length == MAX_PART_BYTES else 34) == len(escaped)
    assert (length > MAX_PART_BYTES) == escaped.startswith("%h")


_part = st.text(max_size=200)
_pair = st.tuples(st.none() | _part, _part, st.sampled_from(["", "a/b", "a", "~"]))


def _keys(pair: tuple[str | None, str, str]) -> tuple[str, str]:
    session = make_session(pair[1], pair[0], pair[2])
    return session.key, session.lane_key


@given(_pair, _pair)
def test_two_sessions_never_share_a_key(one, other):
    """Different (tenant, session) pairs have different keys, and no plain key is another's lane
    key.
    """
    if (one[0], one[1]) != (other[0], other[1]):
        assert set(_keys(one)).isdisjoint(_keys(other))


@given(_pair)
def test_keys_are_short_printable_ascii_without_hash_tags(pair):
    """No key can carry a control byte, aim at a slot of a Redis Cluster, or grow without bound."""
    for key in _keys(pair):
        assert key.isascii()
        assert key.isprintable()
        assert set("{} ").isdisjoint(key)
        assert len(key) <= 15 + 3 * MAX_PART_BYTES + 2


def test_lone_surrogates_are_escaped_too():
    """Header bytes that were no UTF-8 still make a key."""
    assert "plano:affinity:%FF" == make_session("\udcff").key


@given(_pair, st.text(max_size=40))
def test_every_key_round_trips(pair, model):
    """Tenant, session and lane come back from the key, but for parts that were too long: those stay
    a hash.
    """
    tenant, session_id, _ = pair
    session = make_session(session_id, tenant, model)
    for key, lane in ((session.key, None), (session.lane_key, model)):
        parts = parse_key(key)
        assert parts is not None
        for part, given_part in zip(parts, (tenant, session_id, lane), strict=True):
            is_hash = part is not None and part.startswith("%h") and len(part) == 34
            assert is_hash or part == given_part


def test_a_part_that_was_too_long_stays_a_hash():
    """What it was cannot be told."""
    parts = parse_key(make_session("é" * 200, "acme").key)

    assert parts is not None
    assert ("acme", True, 34) == (
        parts.tenant,
        parts.session_id.startswith("%h"),
        len(parts.session_id),
    )


@pytest.mark.parametrize("key", ["", "other:affinity:s", "plano:affinity:a:b:c"])
def test_a_foreign_key_is_none_of_ours(key):
    """Somebody else's keys are no pins."""
    assert parse_key(key) is None


@pytest.mark.parametrize(
    ("tenant", "session", "pattern"),
    [
        (None, None, "plano:affinity:*"),
        ("acme", None, "plano:affinity:acme:*"),
        ("a*c", "s?[1]", r"plano:affinity:a\*c:s\?\[1\]*"),
    ],
)
def test_patterns_find_what_is_asked_for_and_no_glob_of_a_name(tenant, session, pattern):
    """A name of stars is a name."""
    assert pattern == pattern_of(tenant, session)


@pytest.mark.parametrize(
    ("path", "session_id", "expected"),
    [
        ("/v1/chat/completions", "s", make_session("s", "acme", "openai/gpt-4o")),
        ("/v1/messages", "s", make_session("s", "acme", "openai/gpt-4o")),
        ("/v1/messages/count_tokens", "s", make_session("s", "acme", "openai/gpt-4o")),
        ("/v1/embeddings", "s", None),
        ("/v1/chat/completions", None, None),
    ],
)
def test_sessions_belong_to_generation_and_token_counts(path, session_id, expected):
    """Embeddings never touch a pin, and a call without a session id stands alone."""
    call = a_call(endpoint=DIALECTS.endpoints[path], session_id=session_id, tenant="acme")

    assert expected == session_of(call, "openai/gpt-4o")
