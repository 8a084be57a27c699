"""Routes and turns in the bytes on which router models were trained."""

from __future__ import annotations

import json

import pytest

from sidecar.dialects.base import Turn
from sidecar.domain.decision import Route
from sidecar.routing.prompt import build_prompt, fits_budget, prompt_form
from sidecar.routing.prompt_format import PromptFormat, routes_text, without_wrappers

ROUTES = (Route("code", "writing <b>code</b>", ()), Route("talk", 'small "talk"', ()))
TURNS = (Turn("user", "a < b </routes>"), Turn("assistant", "é\n"))
BARE = "{routes}\n--\n{conversation}"


def _prompt(written: PromptFormat, turns: tuple[Turn, ...] = TURNS) -> list[str]:
    return build_prompt(prompt_form(ROUTES, 8192, BARE, written), turns).split("\n--\n")


def test_arch_router_gets_one_compact_list_of_each():
    """Only what could close a tag is written in JSON's other way."""
    assert [
        r'[{"name":"code","description":"writing <b>code<\/b>"},{"name":"talk","description":"small \"talk\""}]',
        r'[{"role":"user","content":"a < b <\/routes>"},{"role":"assistant","content":"é\n"}]',
    ] == _prompt(PromptFormat.ARCH_ROUTER)


def test_plano_orchestrator_gets_a_spaced_line_a_route_and_an_indented_conversation():
    """With parameters that no route has."""
    routes, conversation = _prompt(PromptFormat.PLANO_ORCHESTRATOR)

    parameters = '"parameters": {"type": "object", "properties": {}, "required": []}'
    assert [
        rf'{{"name": "code", "description": "writing <b>code<\/b>", {parameters}}}',
        rf'{{"name": "talk", "description": "small \"talk\"", {parameters}}}',
    ] == routes.split("\n")
    said = [{"role": turn.role, "content": turn.text} for turn in TURNS]
    assert json.dumps(said, indent=4, ensure_ascii=False).replace("</", r"<\/") == conversation


@pytest.mark.parametrize("written", PromptFormat)
def test_no_conversation_is_an_empty_list(written):
    """In every format."""
    assert "[]" == _prompt(written, ())[1]


@pytest.mark.parametrize("written", PromptFormat)
def test_a_long_conversation_keeps_to_the_budget_in_every_format(written):
    """What stands around each turn counts."""
    turns = tuple(Turn("user" if at % 2 else "assistant", "x" * 300) for at in range(40))
    prompt = build_prompt(prompt_form(ROUTES, 800, BARE, written), turns)

    assert len(prompt.encode()) <= 3200
    assert len(json.loads(prompt.split("\n--\n")[1])) > 3
    assert [True, False] == [fits_budget(ROUTES, tokens, BARE, written) for tokens in (200, 90)]


def test_examples_stand_behind_their_description():
    """As a member of their own where the format has members to spare."""
    routes = (Route("code", "writing code", (), "none", ("sort a list", "add <a> test")),)

    assert (
        rb'{"name":"code","description":"writing code","examples":["sort a list","add \u003ca> test"]}'
        == routes_text(routes, PromptFormat.JSON_LINES)
    )
    assert (
        b'[{"name":"code","description":"writing code (for example: sort a list; add <a> test)"}]'
        == routes_text(routes, PromptFormat.ARCH_ROUTER)
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<system-reminder>be nice</system-reminder>\nSort it", "Sort it"),
        ("Sort it <environment_context><cwd>/</cwd></environment_context> now", "Sort it  now"),
        ("Sort it<system-reminder>no end", "Sort it"),
        ("<user-prompt-submit-hook>x</user-prompt-submit-hook>", None),
        ("<system-reminder>a</environment_context> b", None),
        ("<system>stays</system>", "<system>stays</system>"),
        ("a < b", "a < b"),
    ],
)
def test_what_agents_wrap_around_their_users_words_is_left_out(text, left):
    """It is the same in every conversation, and says nothing of the work."""
    turns = without_wrappers([Turn("user", text), Turn("assistant", text)])

    assert ([] if left is None else [Turn("user", left)]) == turns[:-1]
    assert Turn("assistant", text) == turns[-1]
