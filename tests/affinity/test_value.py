"""What stands under a key: ours, plano's two generations, and anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.affinity.lanes import MAX_LANES, NO_LANES, Lanes
from sidecar.affinity.value import MAX_BYTES, as_written, decode, encode, fit
from sidecar.domain.decision import Binding

_names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40
)
_seconds = st.floats(0, 4e9)
_homes: st.SearchStrategy[dict[str, str | None]] = st.just({}) | st.fixed_dictionaries(
    {"home": _names, "home_provider": _names | st.none()}
)
_bindings = st.builds(
    lambda home, **fields: Binding(**fields, **home),
    home=_homes,
    provider=_names | st.none(),
    model_name=_names,
    route_name=_names | st.none(),
    requested_model=_names | st.none(),
    generation=st.integers(0, 10**6),
    bound_at_unix_s=_seconds,
    away_since_unix_s=_seconds | st.none(),
    failed_returns=st.integers(0, 3),
    provisional=st.booleans(),
)


def write(binding: Binding) -> bytes:
    """The value of a session with one lane."""
    return encode(Lanes((binding,)))


def read(raw: bytes) -> Binding | None:
    """The first lane's binding."""
    lanes = decode(raw)
    return None if lanes is None else lanes.bindings[0]


@given(_bindings)
def test_what_is_written_is_read_back(binding):
    """Every field; the same binding gives the same bytes."""
    assert binding == read(write(binding))
    assert write(binding) == write(binding)


def test_the_usual_value_is_what_the_contract_shows():
    """Readable by people: nothing that does not apply."""
    value = json.loads(
        write(Binding("openai/gpt-4o", "code", "openai/gpt-4o-mini", 1, 1763900000.123))
    )

    assert {
        "model_name": "openai/gpt-4o",
        "route_name": "code",
        "requested_model": "openai/gpt-4o-mini",
        "generation": 1,
        "bound_at": 1763900000.123,
    } == value


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"model_name": "openai/gpt-4o", "route_name": "code"}',
            Binding("openai/gpt-4o", "code"),
        ),
        (b'{"model_name": "openai/gpt-4o", "route_name": null}', Binding("openai/gpt-4o")),
        (
            (
                b'{"anchor_model": "openai/gpt-4o", "default_model": "x", "requested_model": "openai/x", "last_used": 1,'
                b' "history": [{"model": "y"}], "session_cost_usd": 0.1}'
            ),
            Binding("openai/gpt-4o", requested_model="openai/x"),
        ),
        (b'{"model_name": "m", "requested_model": ""}', Binding("m", requested_model="")),
        (b'{"model_name": "m", "requested_model": "a\\nb"}', Binding("m", requested_model="a\nb")),
        (b'{"model_name": "m", "requested_model": ["openai/x"]}', Binding("m")),
        (
            b'{"model_name": "m", "generation": "x", "bound_at": [], "home": 3, "provisional": 1}',
            Binding("m"),
        ),
        (
            b'{"model_name": "m", "generation": -1, "bound_at": 1e300, "failed_returns": true}',
            Binding("m"),
        ),
        (b'{"model_name": "m", "future": {"deep": [1, 2]}}', Binding("m")),
        (b'{"model_name": "m", "home": "h"}', Binding("m", home="h")),
        (b'{"model_name": "m", "provider": 1, "home": {"provider": "eu"}}', Binding("m")),
        (
            b'{"model_name": "m", "provider": "a\\nb", "home": {"model_name": "h", "provider": 1}}',
            Binding("m", home="h"),
        ),
    ],
)
def test_planos_own_values_and_later_ones_are_read(raw, expected):
    """Leniently: a field that cannot be used is as good as absent, unknown ones are skipped."""
    assert expected == read(raw)


def test_a_pin_names_its_entry_and_the_entry_that_it_left():
    """The home is an object: a model and the entry that served it."""
    pin = Binding("m", provider="us", home="m", home_provider="eu", away_since_unix_s=9.0)
    value = json.loads(write(pin))
    value.pop("bound_at", None)

    assert {
        "model_name": "m",
        "route_name": None,
        "home": {"model_name": "m", "provider": "eu"},
        "away_since": 9.0,
        "provider": "us",
    } == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b'"m"',
        b"{}",
        b'{"model_name": 3}',
        b'{"model_name": ""}',
        b'{"model_name": "a\\r\\nb"}',
        b'{"model_name": "a\\u0000"}',
        b'{"model_name": "' + b"x" * 600 + b'"}',
        b'{"model_name": "m"',
        b"\xff\xfe",
        b'{"model_name": "\xff"}',
        b"[" * 3000,
        b'{"model_name": "m", "x": "' + b"y" * MAX_BYTES + b'"}',
    ],
)
def test_what_is_no_pin_is_none(raw):
    """Never an error, and never a name that could not stand in a header line."""
    assert read(raw) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(raw):
    """A binding or none."""
    found = read(raw)
    assert found is None or isinstance(found, Binding)


@given(_bindings)
def test_a_pin_is_written_as_it_is(binding):
    """Where all its names can be told."""
    assert binding == as_written(binding)


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        (Binding("openai/m", requested_model="wild/" + "m" * 600), None),
        (Binding("wild/" + "m" * 600, requested_model="openai/m"), None),
        (Binding("openai/m", requested_model="a\u00a0b"), None),
        (
            Binding(
                "m" * 500,
                "\U0001f600" * 500,
                "\U0001f600" * 500,
                home="\U0001f600" * 500,
                provider="\U0001f600" * 500,
            ),
            None,
        ),
        (
            Binding("openai/m", "code\u00a0generation", "openai/m"),
            Binding("openai/m", None, "openai/m"),
        ),
    ],
)
def test_a_pin_that_others_would_read_in_another_way_is_not_written(binding, expected):
    """A lane that cannot be told would be read as all of them."""
    assert expected == as_written(binding)


_fields: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, "m", "", "a\nb", "x" * 600, 0, 3, -1, 1.0, 2.5, 1e13, True, False, [], {"a": 1}),
        *({"model_name": "h"}, {"model_name": 3, "provider": "p"}, {"x": {"model_name": "m"}}),
    ]
)


@given(
    st.fixed_dictionaries(
        {"model_name": _fields, "route_name": _fields},
        optional=dict.fromkeys(
            (
                "anchor_model",
                "requested_model",
                "provider",
                "generation",
                "bound_at",
                "home",
                "away_since",
                "failed_returns",
                "provisional",
                "unknown",
                "lanes",
            ),
            _fields,
        ),
    )
)
def test_what_was_read_is_written_so_that_it_is_read_alike(value):
    """Whatever stands there; what is not known comes along."""
    lanes = decode(json.dumps(value).encode())
    if lanes is not None:
        assert lanes == decode(encode(lanes))
        assert value.get("unknown") == json.loads(encode(lanes)).get("unknown")


MAIN, SIDE = Binding("m/a", "code", "m/a", 1, 1.5), Binding("m/b", None, "m/b", 2, 2.5, "m/c")


def test_the_other_lanes_stand_beside_the_first_ones_members():
    """Under their names."""
    value = json.loads(encode(Lanes((MAIN, SIDE))))

    assert {
        "m/b": {
            "model_name": "m/b",
            "route_name": None,
            "generation": 2,
            "bound_at": 2.5,
            "home": {"model_name": "m/c"},
        }
    } == value["lanes"]
    assert ("m/a", "m/a") == (value["model_name"], value["requested_model"])


@given(st.lists(_bindings, min_size=1, max_size=5, unique_by=lambda each: each.requested_model))
def test_all_lanes_are_read_back_in_their_order(bindings):
    """The first may be of no lane, as plano's are; others always name theirs."""
    lanes = Lanes((bindings[0], *(each for each in bindings[1:] if each.requested_model)))

    assert lanes == decode(encode(lanes))


@pytest.mark.parametrize(
    ("lanes", "expected"),
    [
        ({"m/b": {"model_name": "m/x"}}, ["m/a", "m/b"]),
        ({"m/b": {"model_name": ""}}, ["m/a"]),
        ({"m/b": "m/x", "m/c": {"model_name": "m/y"}}, ["m/a", "m/c"]),
        ({"m/a": {"model_name": "m/x"}}, ["m/a"]),
        ([1], ["m/a"]),
        (
            {f"m/{n}": {"model_name": "m"} for n in range(99)},
            ["m/a", *(f"m/{n}" for n in range(15))],
        ),
    ],
)
def test_a_lane_that_cannot_be_read_is_left_out(lanes, expected):
    """The others stay, and they are no more than a session may have."""
    found = decode(
        json.dumps({"model_name": "m/x", "requested_model": "m/a", "lanes": lanes}).encode()
    )

    assert found is not None
    assert expected == [each.requested_model for each in found.bindings]
    assert len(found.bindings) <= MAX_LANES


def test_members_of_a_later_version_are_kept_where_they_stood():
    """Those of the session at the top, those of a lane with it."""
    value = {
        "model_name": "m/x",
        "requested_model": "m/a",
        "newer": [1.5, {"deep": None}],
        "lanes": {"m/b": {"model_name": "m/y", "newest": "x"}, "m/c": {"model_name": "m/z"}},
    }
    lanes = decode(json.dumps(value).encode())
    assert lanes is not None
    written = json.loads(encode(lanes))

    assert value["newer"] == written["newer"]
    assert "x" == written["lanes"]["m/b"]["newest"]


def test_a_value_is_made_short_enough():
    """The lane bound longest ago goes, then what is not known; and what is written is said."""
    many = [Binding("m" * 500, None, f"{n}" * 400, 1, float(n)) for n in range(1, 10)]
    lanes = Lanes((MAIN, *many), {None: {"x": "y" * 3000}})
    fitted, raw = fit(lanes)
    long, short = fit(Lanes((MAIN,), {None: {"x": "y" * MAX_BYTES}}))

    assert len(raw) < MAX_BYTES
    assert fitted == decode(raw)
    assert (MAIN, *many[-len(fitted.bindings) + 1 :]) == fitted.bindings
    assert (Lanes((MAIN,)), long) == (long, decode(short))


@pytest.mark.parametrize(
    "lanes",
    [NO_LANES, Lanes((Binding("\ud800", None, "m/a"),)), Lanes((Binding("m" * MAX_BYTES),))],
    ids=["none", "half a character", "too long"],
)
def test_what_cannot_be_written_is_nothing(lanes):
    """No lane is left, and no value."""
    assert (NO_LANES, b"") == fit(lanes)
