"""The places that have to be written otherwise are found wherever they stand, and nothing else is
touched.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.call import BodyFacts
from sidecar.wire.body import AT_ONCE_BYTES, JsonBody
from sidecar.wire.changes import ALWAYS, EACH, SET, Action, Change, Plain, Where, named
from sidecar.wire.edits import with_changes
from sidecar.wire.patch import patch_body
from sidecar.wire.places import PLACES_AT_MOST
from tests.support.steps import counted

peek = JsonBody((), (b"messages", b"tools"), conversation=b"messages").peek


def found(body: bytes, *changes: Change, facts: BodyFacts | None = None) -> BodyFacts | None:
    """The body's facts with all edits.

    Args: ``facts`` are those of `peek`, where None.
    """
    work = with_changes(body, peek(body) if facts is None else facts, changes)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def written(body: bytes, *changes: Change) -> bytes:
    """The body as it is sent to the model `m`."""
    facts = found(body, *changes)
    assert facts is not None
    return b"".join(patch_body(body, facts, "m"))


def drop(path: str, where: Where = SET) -> Change:
    return Change(named(path), where=where)


def rename(old: str, new: str) -> Change:
    return Change(named(old), Action.RENAME, new.encode(), where=ALWAYS)


def at_most(path: str, most: int) -> Change:
    return Change(named(path), Action.AT_MOST, most=most)


def only(path: str, *values: Plain) -> Where:
    return Where(named(path) if path else (), only=values)


TOKENS = rename("max_tokens", "max_completion_tokens")


@pytest.mark.parametrize(
    ("change", "body", "expected"),
    [
        (TOKENS, b'{"model":"m","max_tokens" : 9}', b'{"model":"m","max_completion_tokens" : 9}'),
        (TOKENS, b'{"max_\\u0074okens":9,"model":"m"}', b'{"max_completion_tokens":9,"model":"m"}'),
        (TOKENS, b'{"model":"m","max_tokens":9, "max_completion_tokens":5}', b'{"model":"m", "max_completion_tokens":5}'),
        (TOKENS, b'{"model":"m","max_tokens":1,"max_tokens":2}', b'{"model":"m","max_completion_tokens":2}'),
        (drop("temperature"), b'{"temperature":0.5, "model":"m"}', b'{"model":"m"}'),
        (drop("temperature"), b'{"model":"m" ,\n"temperature":0.5}', b'{"model":"m"}'),
        (drop("temperature"), b'{"model":"m","temperature":1,"temperature":0.5}', b'{"model":"m"}'),
        (drop("temperature"), b'{"temperature":0.5}', b'{"model":"m"}'),
        (drop("temperature"), b'{"routing_preferences":[],"temperature":0.5,"a":1}', b'{"model":"m","a":1}'),
        (drop("temperature"), b'{"a":1,"routing_preferences":[],"temperature":0.5}', b'{"model":"m","a":1}'),
        (at_most("max_tokens", 4096), b'{"model":"m","max_tokens": 5e3 }', b'{"model":"m","max_tokens": 4096 }'),
        (drop("output_config.effort"), b'{"model":"m","output_config":{"effort":"low","f":{}}}', b'{"model":"m","output_config":{"f":{}}}'),
        (drop("output_config.effort"), b'{"output_config":{"effort":"low"},"model":"m"}', b'{"model":"m"}'),
        (drop("include.*", only("", "b")), b'{"model":"m","include":["a", "b","c","b"]}', b'{"model":"m","include":["a","c"]}'),
        (
            Change(named("messages.*.role"), Action.REPLACE, b'"system"', where=only("", "developer")),
            b'{"model":"m","messages":[{"role":"developer","content":"developer"},{"role": "user"}]}',
            b'{"model":"m","messages":[{"role":"system","content":"developer"},{"role": "user"}]}',
        ),
        (
            Change(named("thinking"), Action.REPLACE, b'{"type":"adaptive"}', where=only("thinking.type", "enabled")),
            b'{"model":"m","thinking":{"type":"enabled","budget_tokens":2048}}',
            b'{"model":"m","thinking":{"type":"adaptive"}}',
        ),
        (Change((b"key",), Action.ADD, b'"v"'), b'{"model":"m", "a":1 }', b'{"model":"m", "a":1,"key":"v" }'),
        (Change((b"key",), Action.ADD, b'"v"'), b'{"a":1}', b'{"model":"m","a":1,"key":"v"}'),
    ],
)  # fmt: skip
def test_only_what_a_change_names_is_written_otherwise(change, body, expected):
    """Whatever the layout, and with the sidecar's own members left out as ever."""
    assert expected == written(body, change)


@pytest.mark.parametrize(
    ("change", "body"),
    [
        (drop("temperature", Where(keeps=(None, 1))), b'{"model":"m","temperature":1.0}'),
        (drop("temperature"), b'{"model":"m","temperature":null}'),
        (drop("temperature"), b'{"model":"m","tools":[{"temperature":1}],"a":"\\"temperature\\":1"}'),
        (at_most("max_tokens", 4096), b'{"model":"m","max_tokens":4096}'),
        (at_most("max_tokens", 4096), b'{"model":"m","max_tokens":"9999"}'),
        (at_most("max_tokens", 4096), b'{"model":"m","max_tokens":{"a":9999}}'),
        (drop("temperature", Where(named("effort"), keeps=(None, "none"))), b'{"model":"m","temperature":0}'),
        (drop("a", only("a", "x" * 2000)), b'{"model":"m","a":"%b"}' % (b"x" * 2000)),
        (drop("a", only("a", "?")), b'{"model":"m","a":"\\ud83d"}'),
        (drop("a.b"), b'{"model":"m","a":[1]}'),
        (drop("a.b"), b'{"model":"m","a":{}}'),
        (drop("a.*.b"), b'{"model":"m","a":"\\"b\\""}'),
        (drop("a.*.b"), b'{"model":"m","a":{"b":1}}'),
        (drop("a.*", only("", "b")), b'{"model":"m","a":[["b"]]}'),
        (drop("a"), b'{"model":"m","\\ud83d":1}'),
        (Change((b"key",), Action.ADD, b'"v"'), b'{"model":"m","k\\u0065y":1}'),
        (Change((b"key",), Action.ADD, b'"v"'), b"{}"),
    ],
)  # fmt: skip
def test_where_there_is_nothing_to_change_the_body_goes_as_it_came(change, body):
    """Values that are kept, numbers that are small enough, and the same names in other places."""
    assert found(body, change) is None


def test_what_was_changed_is_told_once_and_in_order():
    """What was told before stands first."""
    body = b'{"top_p":1,"max_tokens":9999,"model":"m"}'
    facts = found(
        body,
        TOKENS,
        at_most("max_tokens", 4096),
        drop("temperature"),
        drop("top_p"),
        facts=BodyFacts(model_span=(0, 0), lost="thinking"),
    )

    assert facts is not None
    assert "thinking, max_tokens, top_p" == facts.lost


def test_a_member_gets_a_new_name_and_a_new_value():
    """Two changes of one member, of which neither undoes the other."""
    body = b'{"max_tokens":9999,"model":"m"}'

    assert b'{"max_completion_tokens":4096,"model":"m"}' == written(
        body, TOKENS, at_most("max_tokens", 4096), at_most("max_tokens", 5000)
    )


def test_of_two_changes_the_one_that_leaves_a_member_out_counts():
    """What is cut out is not written otherwise as well."""
    body = b'{"max_tokens":9999,"max_completion_tokens":9,"model":"m","a":{"b":1,"c":2}}'
    changes = TOKENS, at_most("max_tokens", 4096), drop("a.b"), drop("a")

    assert b'{"max_completion_tokens":9,"model":"m"}' == written(body, *changes)


TTL = tuple(
    Change(named(path), name="cache_control.ttl")
    for path in (
        "cache_control.ttl",
        "system.*.cache_control.ttl",
        "messages.*.content.*.cache_control.ttl",
        "messages.*.content.*.content.*.cache_control.ttl",
    )
)


def test_a_member_is_found_in_long_conversations_too():
    """Beyond what is read at once, in an array, in an object of it, and at the top."""
    filling = "x" * (AT_ONCE_BYTES // 2)
    marked = {"type": "text", "text": filling, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    other = {"type": "tool_use", "input": {"cache_control": {"ttl": "1h"}, "text": filling}}
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [marked, marked, marked]},
            {"role": "assistant", "content": [other]},
            {"role": "user", "content": [{"type": "tool_result", "content": [marked]}]},
        ],
    }
    text = json.dumps(body)

    facts = found(text.encode(), *TTL)

    assert facts is not None
    assert "cache_control.ttl" == facts.lost
    assert 5 == len(facts.edits) + 1  # the first of the four is cut with its neighbour's comma
    sent = b"".join(patch_body(text.encode(), facts, "m"))
    assert text.replace('"ephemeral", "ttl": "1h"', '"ephemeral"').encode() == sent


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","a":[%b{"b":1}]}' % (b"{}," * PLACES_AT_MOST),
        b'{"model":"m","a":[%b{"b":1}]}' % (b'{"b":1},' * 400_000),
        b'{"model":"m","a":{%b"b":1}}' % (b'"c":1,' * 400_000),
    ],
)
def test_more_than_can_be_looked_through_is_left_as_it_came(body):
    """A refusal is better than a sidecar that is busy with one body."""
    assert found(body, drop("a.*.b"), drop("a.b")) is None


def test_nothing_is_found_where_the_outline_of_a_long_body_cannot_be_read():
    """Such a body was let pass only in its outline."""
    body = b'{"model":"m","a":[%b}]}' % (b'{"b":1},' * 200_000)

    assert found(body, drop("a.*.b"), facts=BodyFacts(model_span=(9, 12))) is None


class Pairs(list[tuple[str, Any]]):
    """An object with its members in order, repeated names too."""


NAMES = st.sampled_from(
    ["max_tokens", "max_completion_tokens", "temperature", "thinking", "system", "messages", "x"]
)
PLAINS = (
    st.none()
    | st.integers(-9, 9000)
    | st.sampled_from(["developer", "low", 'a"ttl"b', "\u20ac", "type"])
)
HINTS = st.lists(st.tuples(st.sampled_from(["type", "ttl", "x"]), PLAINS), max_size=3).map(Pairs)
ANY = st.recursive(
    PLAINS,
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(st.tuples(NAMES | st.sampled_from(["ttl", "role", "cache_control"]), inner), max_size=3).map(Pairs),
    max_leaves=6,
)  # fmt: skip
BLOCKS = st.lists(
    st.lists(
        st.tuples(st.just("cache_control"), HINTS)
        | st.tuples(st.just("input"), ANY)
        | st.tuples(st.just("content"), ANY),
        max_size=3,
    ).map(Pairs),
    max_size=3,
)
MESSAGES = st.lists(
    st.tuples(st.just("role"), PLAINS).flatmap(
        lambda role: st.tuples(st.just(role), st.tuples(st.just("content"), BLOCKS | PLAINS))
    ).map(Pairs),
    max_size=3,
)  # fmt: skip
BODIES = st.lists(
    st.tuples(NAMES, PLAINS)
    | st.tuples(st.just("thinking"), HINTS)
    | st.tuples(st.just("system"), BLOCKS)
    | st.tuples(st.sampled_from(["x", "tool"]), ANY),
    max_size=6,
).flatmap(
    lambda members: MESSAGES.map(
        lambda said: Pairs([*(each for each in members if each[0] != "messages"), ("messages", said)])
    )
)  # fmt: skip
CHANGES: tuple[Change, ...] = (
    TOKENS,
    at_most("max_tokens", 4096),
    at_most("max_completion_tokens", 4096),
    drop("temperature", Where(keeps=(None, 1))),
    drop("thinking", only("thinking.type", "low")),
    drop("thinking.ttl"),
    Change(named("messages.*.role"), Action.REPLACE, b'"system"', where=only("", "developer")),
    *TTL,
)


def _write(value: Any, dice: random.Random) -> str:
    """JSON with blanks anywhere, and with escapes in any name and text."""

    def blank() -> str:
        return dice.choice(["", "", " ", "\n\t "])

    def text(said: str) -> str:
        escaped = (
            f"\\u{ord(each):04x}"
            if dice.random() < 0.1
            else json.dumps(each, ensure_ascii=False)[1:-1]
            for each in said
        )
        return f'"{"".join(escaped)}"'  # fmt: skip

    if isinstance(value, Pairs):
        inner = ",".join(
            f"{blank()}{text(name)}{blank()}:{blank()}{_write(each, dice)}{blank()}"
            for name, each in value
        )
        return f"{{{inner or blank()}}}"  # fmt: skip
    if isinstance(value, list):
        inner = ",".join(f"{blank()}{_write(each, dice)}{blank()}" for each in value)
        return f"[{inner or blank()}]"
    return text(value) if isinstance(value, str) else json.dumps(value)


GONE = object()
Steps = Sequence[tuple[Change, tuple[bytes, ...]]]


def _last(pairs: Any, path: tuple[bytes, ...]) -> Any:
    for name in path:
        held = (
            [each for own, each in pairs if own == name.decode()]
            if isinstance(pairs, Pairs)
            else []
        )
        if not held:
            return GONE
        pairs = held[-1]
    return pairs


def _expected(value: Any, steps: Steps, whole: Pairs) -> Any:
    """What a value should be; written from the words of `Change`, on decoded values."""
    if isinstance(value, Pairs):
        return _expected_object(value, [each for each in steps if each[1][0] != EACH], whole)
    if isinstance(value, list):
        inner = [(change, path[1:]) for change, path in steps if path[0] == EACH]
        changed = [_expected(each, inner, whole) if inner else each for each in value]
        return [each for each in changed if each is not GONE]
    return value


def _expected_object(pairs: Pairs, steps: Steps, whole: Pairs) -> Any:
    names = {name for name, _ in pairs}
    left = Pairs()
    for at, (name, value) in enumerate(pairs):
        is_last = name not in {other for other, _ in pairs[at + 1 :]}
        leaves = [change for change, path in steps if path == (name.encode(),)]
        meant = [each for each in leaves if _is_meant(each, _last(pairs, (name.encode(),)), whole)]
        goes = any(
            each.action is Action.DROP
            or (each.action is Action.RENAME and (each.text.decode() in names or not is_last))
            for each in meant
        )
        if goes:
            continue
        new_name, new_value, is_replaced = name, value, False
        for each in meant if is_last else ():
            if each.action is Action.RENAME:
                new_name = each.text.decode()
            elif each.action in (Action.REPLACE, Action.AT_MOST):
                new_value = json.loads(each.text or b"%d" % each.most)
                is_replaced = True
        inner = [
            (change, path[1:])
            for change, path in steps
            if len(path) > 1 and path[0] == name.encode()
        ]
        if inner and not is_replaced:
            new_value = _expected(value, inner, whole)
        if new_value is not GONE:
            left.append((new_name, new_value))
    return GONE if pairs and not left and pairs is not whole else left


def _is_meant(change: Change, value: Any, whole: Pairs) -> bool:
    tested = _last(whole, change.where.path) if change.where.path else value
    if tested is GONE or not change.where.matches(
        tested if not isinstance(tested, list) else object()
    ):
        return False
    is_large = isinstance(value, int) and value > change.most
    return change.action is not Action.AT_MOST or is_large


@given(BODIES, st.randoms(use_true_random=False), st.sets(st.sampled_from(range(len(CHANGES)))))
def test_a_body_decodes_to_the_same_but_for_what_is_named(body, dice, chosen):
    """However it is laid out, with escapes and repeated names, and with the same names in a tool's
    arguments and in texts.
    """
    changes = [CHANGES[at] for at in sorted(chosen)]
    text = _write(body, dice).encode()
    expected = _expected_object(body, [(each, each.path) for each in changes], body)

    facts = found(text, *changes)

    sent = text if facts is None else b"".join(patch_body(text, facts, "m"))
    decoded = json.loads(sent, object_pairs_hook=Pairs)
    assert expected == Pairs(each for each in decoded if each != ("model", "m"))
    assert (facts is None) == (expected == body)


def test_others_go_on_while_the_elements_of_an_array_are_gone_into():
    """Each takes some microseconds, and there may be thousands."""
    turns = [{"role": "developer", "content": "x"}] * 500
    body = json.dumps({"model": "m", "messages": turns}).encode()
    change = Change((b"messages", EACH, b"role"), Action.REPLACE, b'"system"')
    facts, yields = counted(with_changes(body, peek(body), [change]))

    assert (500, True) == (yields, facts is not None and len(facts.edits) == 500)
