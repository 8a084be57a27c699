"""Session keys: plano's own where ids are plain, and never shared by two sessions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.affinity import session as session_module
from sidecar.affinity.session import (
    MAX_PART_BYTES,
    KeyParts,
    escape_part,
    key_of_shown,
    lane_suffix,
    make_session,
    owning_key,
    parse_key,
    pattern_of,
    session_key,
    session_of,
)
from sidecar.dialects.registry import DIALECTS
from tests.support.values import a_call

README = Path(session_module.__file__).parent / "README.md"
OTHER_PREFIX = "staging[1]:"


@pytest.mark.parametrize(
    ("tenant", "session", "agent", "key"),
    [
        (None, "s1", None, "plano:affinity:s1"),
        ("acme", "s1", None, "plano:affinity:acme:s1"),
        ("a:b", "c", None, "plano:affinity:a%3Ab:c"),
        (None, "acme:1", None, "plano:affinity:acme%3A1"),
        ("acme", "s1", "a7", "plano:affinity:acme:s1~a7"),
        ("acme", "é", "~", "plano:affinity:acme:%C3%A9~%7E"),
        (None, "a b~{c}%", None, "plano:affinity:a%20b%7E%7Bc%7D%25"),
        (None, "\x00\x1f\x7f", None, "plano:affinity:%00%1F%7F"),
        (None, "!\"#$&'()*+,-./;<=>?@[]^_`|", None, "plano:affinity:!\"#$&'()*+,-./;<=>?@[]^_`|"),
    ],
)
def test_keys_are_those_that_are_documented(tenant, session, agent, key):
    """The documented examples, and the edges of the escaped range."""
    made = make_session(session, tenant, agent=agent)

    assert (tenant, session, agent, key) == (made.tenant, made.session_id, made.agent, made.key)


def test_the_readmes_keys_are_those_that_are_made():
    """Whoever fences a tenant's keys reads them there."""
    table = README.read_text("utf-8").partition("<!-- keys -->\n")[2].partition("<!-- /keys")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
    ]

    assert len(rows) == 5
    assert [row[3] for row in rows] == [
        make_session(session, tenant or None, agent=agent or None).key
        for tenant, session, agent, _ in rows
    ]


_ordinary = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, blacklist_characters="%:~{}"),
    min_size=1,
    max_size=MAX_PART_BYTES,
)


@given(st.none() | _ordinary, _ordinary)
def test_ordinary_ids_give_the_very_keys_that_plano_writes(tenant, session):
    """So pins can be shared with it."""
    expected = (
        f"plano:affinity:{session}" if tenant is None else f"plano:affinity:{tenant}:{session}"
    )

    assert expected == make_session(session, tenant).key


def test_all_lanes_of_a_session_share_its_key():
    """One read covers a session."""
    main, side = (
        make_session("s1", "acme", "openai/gpt-4o"),
        make_session("s1", "acme", "openai/o3"),
    )

    assert main.key == side.key


def test_the_key_that_a_lane_had_before_escapes_the_slash_of_its_model():
    """It was the session's key, a tilde, and the model with its slash escaped."""
    key = session_key("acme", "s1") + lane_suffix("openai/gpt-4o-mini")

    assert "plano:affinity:acme:s1~openai%2Fgpt-4o-mini" == key
    assert KeyParts("acme", "s1", None, "openai/gpt-4o-mini") == parse_key(key)


@pytest.mark.parametrize("length", [MAX_PART_BYTES, MAX_PART_BYTES + 1])
def test_long_parts_become_a_hash_of_32_digits(length):
    """128 bytes stay as they are, one more becomes %h and a digest."""
    escaped = escape_part("x" * length)

    assert (128 if length == MAX_PART_BYTES else 34) == len(escaped)
    assert (length > MAX_PART_BYTES) == escaped.startswith("%h")


_part = st.text(max_size=200)
_name = st.tuples(st.none() | _part, _part, st.none() | _part)
_near = st.sampled_from(["", "a", "a:b", "b", "%3A", "~", "a~b", "%h", "%", "/", "%2F", "x" * 129])
_near_name = st.tuples(st.none() | _near, _near, st.none() | _near)
"""Names made of what keys are made of, which random texts hardly ever are."""


def _key(name: tuple[str | None, str, str | None], prefix: str = "plano:affinity:") -> str:
    tenant, session_id, agent = name
    return make_session(session_id, tenant, "", agent, prefix).key


@given(_name | _near_name, _name | _near_name)
def test_two_sessions_never_share_a_key(one, other):
    """Neither two tenants', nor a session and an agent of another."""
    assert (one == other) == (_key(one) == _key(other))


@given(_near_name, _near, st.text(max_size=20))
def test_no_session_has_the_key_that_a_lane_had_before(name, session, model):
    """Such keys are read for one TTL after an upgrade."""
    assert _key(name) != session_key(None, session) + lane_suffix(f"openai/{model}")


@given(_name)
def test_keys_are_short_printable_ascii_without_hash_tags(name):
    """No key can carry a control byte, aim at a slot of a Redis Cluster, or grow without bound."""
    key = _key(name)

    assert key.isascii()
    assert key.isprintable()
    assert set("{} ").isdisjoint(key)
    assert len(key) <= len("plano:affinity:") + 3 * MAX_PART_BYTES + 2


def test_lone_surrogates_are_escaped_too():
    """Header bytes that were no UTF-8 still make a key."""
    assert "plano:affinity:%FF" == make_session("\udcff").key


@given(_name, st.sampled_from(["plano:affinity:", OTHER_PREFIX]))
def test_every_key_round_trips(name, prefix):
    """Tenant, session and agent come back from the key, but for parts that were too long: those
    stay a hash.
    """
    parts = parse_key(_key(name, prefix), prefix)

    assert parts is not None
    assert parts.lane is None
    for part, given_part in zip(parts, name, strict=False):
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


@pytest.mark.parametrize(
    "key", ["", "other:affinity:s", "plano:affinity:a:b:c", "plano:affinity:s~a~b"]
)
def test_a_foreign_key_is_none_of_ours(key):
    """Somebody else's keys are no pins."""
    assert parse_key(key) is None


def test_another_prefix_makes_other_keys():
    """Two installations on one server do not see each other's pins."""
    call = a_call(session_id="s1", agent="a7")
    session = session_of(call, "openai/gpt-4o", OTHER_PREFIX)

    assert session is not None
    assert "staging[1]:s1~a7" == session.key
    assert parse_key(session.key) is None


@pytest.mark.parametrize(
    ("tenant", "session", "prefix", "pattern"),
    [
        (None, None, "plano:affinity:", "plano:affinity:*"),
        ("acme", None, "plano:affinity:", "plano:affinity:acme:*"),
        ("a*c", "s?[1]\\^", "plano:affinity:", r"plano:affinity:a\*c:s\?\[1\]\\\^*"),
        (None, None, OTHER_PREFIX, r"staging\[1\]:*"),
    ],
)
def test_patterns_find_what_is_asked_for_and_no_glob_of_a_name(tenant, session, prefix, pattern):
    """A name of stars is a name."""
    assert pattern == pattern_of(tenant, session, prefix)


@pytest.mark.parametrize(
    ("path", "session_id", "expected"),
    [
        ("/v1/chat/completions", "s", make_session("s", "acme", "openai/gpt-4o", "a7")),
        ("/v1/messages", "s", make_session("s", "acme", "openai/gpt-4o", "a7")),
        ("/v1/messages/count_tokens", "s", make_session("s", "acme", "openai/gpt-4o", "a7")),
        ("/v1/embeddings", "s", None),
        ("/v1/chat/completions", None, None),
    ],
)
def test_sessions_belong_to_generation_and_token_counts(path, session_id, expected):
    """Embeddings never touch a pin, and a call without a session id stands alone."""
    endpoint = DIALECTS.endpoints[path]
    call = a_call(endpoint=endpoint, session_id=session_id, tenant="acme", agent="a7")

    assert expected == session_of(call, "openai/gpt-4o")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("plano:affinity:s", "plano:affinity:s"),
        ("plano:affinity:s~a7", "plano:affinity:s~a7"),
        ("plano:affinity:s~a/b", "plano:affinity:s~a/b"),
        ("plano:affinity:s~openai%2Fx", "plano:affinity:s"),
        ("plano:affinity:s~a7~openai%2Fx", "plano:affinity:s~a7"),
    ],
)
def test_a_lanes_key_of_the_form_before_tells_its_session(key, expected):
    """Any other key is a session's own."""
    assert expected == owning_key(key)


@pytest.mark.parametrize("agent", [None, "a" * 200, "a7"])
@pytest.mark.parametrize("tenant", [None, "t" * 200, "a:b"])
def test_an_operator_names_a_session_as_it_is_shown(tenant, agent):
    """Also where its names were too long for a key. What an app sends is never read so."""
    key = session_key(tenant, "s" * 200, agent)
    shown = parse_key(key)
    assert shown is not None

    assert key == key_of_shown(shown.tenant, shown.session_id, shown.agent)
    assert key != session_key(shown.tenant, shown.session_id, shown.agent)
    assert pattern_of(shown.tenant, shown.session_id) == f"{key.partition('~')[0]}*"
