"""Session keys: plano's own where ids are plain, and never shared by two pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.affinity.key import MAX_PART_BYTES, escape_part, lane_key, plain_key
from sidecar.domain.ids import SessionKey


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
    assert key == plain_key(SessionKey(session, tenant))


def test_a_lane_escapes_the_slash_of_its_model():
    """A second lane's key is the plain one, a tilde, and the model with its slash escaped."""
    session = SessionKey("s1", "acme", "openai/gpt-4o-mini")

    assert "plano:affinity:acme:s1~openai%2Fgpt-4o-mini" == lane_key(session)


@pytest.mark.parametrize("length", [MAX_PART_BYTES, MAX_PART_BYTES + 1])
def test_long_parts_become_a_hash_of_32_digits(length):
    """128 bytes stay as they are, one more becomes %h and a digest."""
    escaped = escape_part("x" * length)

    assert (128 if length == MAX_PART_BYTES else 34) == len(escaped)
    assert (length > MAX_PART_BYTES) == escaped.startswith("%h")


_part = st.text(max_size=200)
_pair = st.tuples(st.none() | _part, _part, st.sampled_from(["", "a/b", "a", "~"]))


def _keys(pair: tuple[str | None, str, str]) -> tuple[str, str]:
    session = SessionKey(pair[1], pair[0], pair[2])
    return plain_key(session), lane_key(session)


@given(_pair, _pair)
def test_two_sessions_never_share_a_key(one, other):
    """Different (tenant, session) pairs have different keys, and no plain key is another's lane key."""
    if (one[0], one[1]) != (other[0], other[1]):
        assert set(_keys(one)).isdisjoint(_keys(other))


@given(_pair)
def test_keys_are_short_printable_ascii_without_hash_tags(pair):
    """No key can carry a control byte, aim at a Cluster slot, or grow without bound."""
    for key in _keys(pair):
        assert key.isascii()
        assert key.isprintable()
        assert set("{} ").isdisjoint(key)
        assert len(key) <= 15 + 3 * MAX_PART_BYTES + 2


def test_lone_surrogates_are_escaped_too():
    """Header bytes that were no UTF-8 still make a key."""
    assert "plano:affinity:%FF" == plain_key(SessionKey("\udcff"))
