"""What `patch_body` changes, and that it changes nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.call import BodyFacts
from sidecar.wire.body import JsonBody
from sidecar.wire.patch import patch_body

peek_body = JsonBody(
    (b"previous_response_id", b"conversation"), (b"messages", b"input", b"tools")
).peek


def patched(body: bytes, model: str = "m2") -> bytes:
    pieces = patch_body(body, peek_body(body), model)
    joined = b"".join(pieces)
    assert len(joined) == sum(map(len, pieces))
    return joined


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", b'{"model":"m2"}'),
        (b" { } ", b' {"model":"m2" } '),
        (b'{"a":1}', b'{"model":"m2","a":1}'),
        (b'{ "a":1}', b'{"model":"m2", "a":1}'),
        (b'{"model":"m1"}', b'{"model":"m2"}'),
        (b'{"model":null,"a":1}', b'{"model":"m2","a":1}'),
        (b'{"a":1 , "mod\\u0065l" : "m1" }', b'{"a":1 , "mod\\u0065l" : "m2" }'),
        (b'{"a":1,"a":2,"model":"m1","a":3}', b'{"a":1,"a":2,"model":"m2","a":3}'),
        (b'{"routing_preferences":[]}', b'{"model":"m2"}'),
        (b'{ "routing_preferences" : [ ] }', b'{"model":"m2"  }'),
        (b'{"routing_preferences":[],"a":1}', b'{"model":"m2","a":1}'),
        (b'{"routing_preferences":[] , "model":"m1"}', b'{ "model":"m2"}'),
        (b'{"model":"m1" , "routing_preferences":[] , "a":1}', b'{"model":"m2"  , "a":1}'),
        (b'{"model":"m1","routing_preferences":[]}', b'{"model":"m2"}'),
        (b'{"a":1,"routing_preferences":[{"b":[","]}],"model":"m1"}', b'{"a":1,"model":"m2"}'),
        (b'{"a":1,"routing_preferences":null}', b'{"model":"m2","a":1}'),
    ],
)
def test_only_the_model_and_our_own_fields_change(body, expected):
    """The model's value is replaced or inserted, our fields go with one comma, every other byte
    stays.
    """
    assert expected == patched(body)


@pytest.mark.parametrize("body", [b'{"model":"m2"}', b'{"a":1, "model":"m\\u0032"}'])
def test_a_body_that_is_right_already_is_sent_as_it_is(body):
    """The very object, no copy, whatever the spelling of the model."""
    pieces = patch_body(body, peek_body(body), "m2")
    assert len(pieces) == 1
    assert pieces[0] is body


def test_our_own_field_goes_and_a_model_that_is_right_keeps_its_spelling():
    """Only what must change does."""
    assert b'{"model":"m\\u0032" }' == patched(
        b'{"model":"m\\u0032","routing_preferences":[] }', "m2"
    )


def test_the_new_model_is_json():
    """Quotes, backslashes and any script."""
    assert json.loads(patched(b'{"model":"x"}', 'm"\\\n\u20ac'))["model"] == 'm"\\\n\u20ac'


def test_a_large_body_is_not_copied():
    """Its unchanged parts are views of it; only the new value is new."""
    body = b'{"messages":["' + b"x" * 100_000 + b'"],"model":"m1","a":1}'
    pieces = patch_body(body, peek_body(body), "m2")
    assert [body, None, body] == [
        piece.obj if isinstance(piece, memoryview) else None for piece in pieces
    ]
    assert body.replace(b"m1", b"m2") == b"".join(pieces)


def test_the_same_facts_serve_every_attempt():
    """A body is patched from its original for each candidate."""
    body = b'{"model":"m1"}'
    facts = peek_body(body)
    assert [b"".join(patch_body(body, facts, model)) for model in ("a", "b")] == [
        b'{"model":"a"}',
        b'{"model":"b"}',
    ]


blanks = st.text(" \t\r\n", max_size=3)
texts = st.text(max_size=8) | st.sampled_from(
    ['"', "\\", '{"model":"x"}', ",", "}]", "\u20ac", "\U0001f600", "\ud800"]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
unread = st.tuples(
    st.sampled_from(["a", "b", "message", "Model", "model ", "", "\u20ac", "x\\y", 'q"']) | texts,
    values,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "model": st.none() | st.text(st.characters(codec="utf-8"), max_size=6),
        "stream": st.none() | st.booleans(),
        "routing_preferences": st.lists(values, max_size=2),
        "conversation": values,
        "messages": values,
        "tools": values,
    },
)


@st.composite
def members(draw: st.DrawFn) -> list[tuple[str, str, str, object]]:
    """(leading blanks, name as JSON, blanks + colon + value as JSON + blanks, value) of each
    member, in some order.
    """
    pairs = draw(st.lists(unread, max_size=5)) + list(draw(fields).items())
    pairs = draw(st.permutations(pairs))
    found = []
    for name, value in pairs:
        text = json.dumps(name, ensure_ascii=draw(st.booleans()) or not name.isprintable())
        if draw(st.booleans()) and name:
            text = (
                f'"\\u{ord(name[0]):04x}' + json.dumps(name[1:])[1:]
                if ord(name[0]) < 0x10000
                else text
            )
        body = json.dumps(value, indent=draw(st.sampled_from([None, 1])))
        found.append(
            (draw(blanks), text, draw(blanks) + ":" + draw(blanks) + body + draw(blanks), value)
        )
    return found


def expected_after_patch(parts, model: str) -> str:
    """The patched body, put together from its parts."""
    names = [json.loads(name) for _, name, _, _ in parts]
    encoded = json.dumps(model, ensure_ascii=False)
    kept_names = [name for name in names if name != "routing_preferences"]
    text = "{"
    if "model" not in names:
        text += '"model":' + encoded + ("," if kept_names else "")
    for position, (name, (lead, spelled, rest, value)) in enumerate(zip(names, parts, strict=True)):
        after_colon = rest.partition(":")[2]
        colon = rest[: len(rest) - len(after_colon.lstrip(" \t\r\n"))]
        trail = rest[len(rest.rstrip(" \t\r\n")) :]
        if name == "routing_preferences":
            only = len(parts) == 1
            text += lead + trail if only else lead if position == 0 else trail
        else:
            comma = (
                ","
                if position and not (position == 1 and names[0] == "routing_preferences")
                else ""
            )
            changes = name == "model" and value != model
            text += comma + lead + spelled + (colon + encoded + trail if changes else rest)
    return text + "}"


@given(members(), st.sampled_from(["m2", 'new "name"', "\u20ac"]), st.booleans())
def test_any_body_keeps_every_other_byte(parts, model, is_large):
    """Whatever the blanks, escapes, order, repeated names and nesting: the rest is byte for byte
    what came, in order.
    """
    if is_large:
        parts = [("", '"pad"', ': "' + "x" * 70_000 + '"', None), *parts]
    body = ("{" + ",".join(lead + name + rest for lead, name, rest, _ in parts) + "}").encode()
    result = patched(body, model)
    assert expected_after_patch(parts, model).encode() == result
    assert (
        dict(json.loads(body), model=model)
        == {
            "routing_preferences": json.loads(body)["routing_preferences"],
            **json.loads(result),
        }
        if "routing_preferences" in json.loads(body)
        else json.loads(result)
    )


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_facts_or_refused(data):
    """No input ends in another error than ours."""
    from sidecar.domain.errors import InvalidBody

    for body in (data, b'{"model":' + data + b"}", b'{"' + data + b'":1}'):
        try:
            facts = peek_body(body)
        except InvalidBody:
            continue
        assert isinstance(json.loads(b"".join(patch_body(body, facts, "m2")))["model"], str)


@pytest.mark.parametrize(("places", "pieces"), [(30, 63), (31, 1)])
def test_a_large_body_that_is_in_many_pieces_is_sent_as_one(places, pieces):
    """A system call takes so many at once."""
    filling = b"x" * 20_000
    body = b'{"model":"m","a":"%b"%b}' % (filling, b',"b":1' * places)
    starts = [body.index(b',"b"') + 6 * at for at in range(places)]
    facts = BodyFacts(model_span=(9, 12), edits=tuple((at, at, b" ") for at in starts))

    sent = patch_body(body, facts, "m2")

    assert pieces == len(sent)
    assert body.replace(b',"b"', b' ,"b"').replace(b'"m"', b'"m2"') == b"".join(sent)
