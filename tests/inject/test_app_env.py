"""An app's variables: what it says itself stays, what it lacks is added."""

from __future__ import annotations

import pytest

from sidecar.inject import pod
from sidecar.inject.app_env import app_variables, calls_models

OPTIONS = pod.PodOptions(image="i")
LOCAL = "localhost,127.0.0.1,::1"


def _given(**values):
    return [{"name": name, "value": value} for name, value in values.items()]


def _result(variables, has_more=False):
    made, notes = app_variables(variables, OPTIONS, has_more=has_more)
    return {each["name"]: each.get("value") for each in made}, notes


def test_an_app_without_settings_gets_them_all():
    """Base URLs, and keys without which SDKs do not start."""
    assert (pod.app_environment(OPTIONS), []) == app_variables([], OPTIONS, has_more=False)


def test_what_an_app_says_itself_stays():
    """A base URL elsewhere is told of, since its calls pass the sidecar by; a key is not."""
    own = _given(OPENAI_BASE_URL="https://example.org/v1", OPENAI_API_KEY="sk-own")
    made, notes = _result(own)

    assert ("https://example.org/v1", "sk-own") == (made["OPENAI_BASE_URL"], made["OPENAI_API_KEY"])
    assert "http://127.0.0.1:12000" == made["ANTHROPIC_BASE_URL"]
    assert ["sets OPENAI_BASE_URL itself, so those calls do not go through the sidecar"] == notes


def test_a_base_url_from_elsewhere_stays():
    """A reference to a ConfigMap has no value to look at."""
    own = [{"name": "OPENAI_BASE_URL", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]
    made, notes = app_variables(own, OPTIONS, has_more=False)

    assert own[0] == made[0]
    assert 1 == len(notes)


def test_a_base_url_of_an_earlier_run_follows_the_port():
    """It is known by our placeholder of the key beside it; an app's own server is not."""
    ours = _given(OPENAI_BASE_URL="http://127.0.0.1:1/v1", OPENAI_API_KEY=pod.PLACEHOLDER_KEY)
    own = _given(ANTHROPIC_BASE_URL="http://127.0.0.1:11434", ANTHROPIC_API_KEY="mine")
    alone = _given(ANTHROPIC_BASE_URL="http://127.0.0.1:11434")

    assert "http://127.0.0.1:12000/v1" == _result(ours)[0]["OPENAI_BASE_URL"]
    assert "http://127.0.0.1:11434" == _result(own)[0]["ANTHROPIC_BASE_URL"]
    assert "http://127.0.0.1:11434" == _result(alone)[0]["ANTHROPIC_BASE_URL"]


def test_variables_from_elsewhere_are_told_of():
    """What a ConfigMap holds is not in the manifest."""
    (note,) = _result([], has_more=True)[1]

    assert "envFrom" in note


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "All_Proxy"])
def test_a_proxy_is_not_asked_for_the_sidecar(name):
    """In both spellings, since libraries differ."""
    made, notes = _result(_given(**{name: "http://proxy:3128"}))

    assert (LOCAL, LOCAL) == (made["NO_PROXY"], made["no_proxy"])
    assert "--env HTTPS_PROXY" in notes[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"NO_PROXY": ".svc"}, (f".svc,{LOCAL}", f".svc,{LOCAL}")),
        ({"no_proxy": ".svc,"}, (f".svc,{LOCAL}", f".svc,{LOCAL}")),
        ({"NO_PROXY": "a", "no_proxy": "b"}, (f"a,{LOCAL}", f"b,{LOCAL}")),
        ({"NO_PROXY": "*"}, ("*", "*")),
        ({"NO_PROXY": " ::1 , localhost"}, (" ::1 , localhost,127.0.0.1",) * 2),
        ({"NO_PROXY": None}, (LOCAL, LOCAL)),
        ({"NO_PROXY": LOCAL, "no_proxy": LOCAL}, (LOCAL, LOCAL)),
    ],
)
def test_exceptions_are_added_to_those_that_are_there(before, after):
    """And the other spelling says no less, since some libraries read that alone."""
    made, _ = _result([*_given(HTTP_PROXY="http://p"), *_given(**before)])

    assert after == (made["NO_PROXY"], made["no_proxy"])


def test_exceptions_from_elsewhere_are_left_and_told_of():
    """They cannot be added to."""
    own = [*_given(HTTP_PROXY="http://p"), {"name": "NO_PROXY", "valueFrom": {}}]
    made, notes = app_variables(own, OPTIONS, has_more=False)

    assert own == made[:2]
    assert "no_proxy" not in [each["name"] for each in made]
    assert "valueFrom" in notes[0]


def test_who_calls_models_is_known_by_variables():
    """An init container that has none of them is left alone."""
    assert calls_models(_given(OPENAI_MODEL="m"))
    assert calls_models(_given(ANTHROPIC_API_KEY="k"))
    assert not calls_models(_given(DATABASE_URL="u"))


def test_exceptions_that_may_be_in_envfrom_are_not_hidden():
    """A variable set here goes before one of a ConfigMap, whose hosts would be lost."""
    own = _given(HTTP_PROXY="http://p")
    made, notes = _result(own, has_more=True)
    half, _ = _result([*own, *_given(NO_PROXY=".svc")], has_more=True)

    assert not {"NO_PROXY", "no_proxy"} & set(made)
    assert any("NO_PROXY" in note and "is left" in note for note in notes)
    assert f".svc,{LOCAL}" == half["NO_PROXY"]
    assert "no_proxy" not in half
