"""The provider of one model: it says what the script has for the turn that the prompt names, and
refuses what a real one would refuse.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sidecar.demo.replies import HttpReply, HttpRequest
from sidecar.demo.request import DemoRequest, Json
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from tests.support.faults import Fault
from tests.support.provider_errors import error_body
from tests.support.simulator.prompt_cache import PromptCache, Read
from tests.support.simulator.server import APIS as READERS
from tests.support.strict_requests import problems_of
from tests.support.tool_provider import (
    Part,
    Round,
    SaidCall,
    SaidResult,
    SaidText,
    SaidThought,
    ToolProvider,
    parts_heard,
)

_ROUNDS_AT_MOST: Final = 10
_LEAST_TOKENS: Final = 1024
"""No shorter prefix is kept."""
_MARK: Final = re.compile(r"\[\[turn (\d+)\]\]")
_APIS: Final[dict[str, DialectName]] = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/messages": MESSAGES,
}


def prompt_of(turn: int) -> str:
    """What the user says in a turn."""
    return f"Do what is to be done now. [[turn {turn}]]"


class ScriptedModel(ToolProvider):
    """Args: ``turns`` are the rounds of each turn; ``native`` is the agent's own API, whose requests
    may be newer than the installed types.
    """

    def __init__(self, turns: Sequence[Sequence[Round]], native: str) -> None:
        super().__init__()
        self.refuses_with = 0
        """The status of all that is asked; 0: it serves."""
        self.problems: list[str] = []
        """What was refused because a real provider would refuse it, and what was not as it was
        said.
        """
        self.results = 0
        """Results of tools that came back, each once."""
        self.whole_histories = 0
        """Requests that held all that had been said and done before."""
        self.read = Read(0, 0, 0)
        """Tokens of the session's prompts, by how they were read from its cache."""
        self._cache = PromptCache(math.inf)
        self._turns = turns
        self._native = native
        self._seen: set[str] = set()
        self._said: Counter[int] = Counter()
        """Rounds by turn."""

    def _failure(
        self, http: HttpRequest, asked: DemoRequest, problem: HttpReply | None, fault: Fault
    ) -> HttpReply | None:
        if self.refuses_with:
            fault = Fault(status=self.refuses_with)
            return HttpReply(fault.status, error_body(http, fault, asked.model))
        found = super()._failure(http, asked, problem, fault)
        api = next((api for end, api in _APIS.items() if http.path.endswith(end)), None)
        if found is not None or api is None:
            return found
        body = json.loads(http.body)
        problems = problems_of(api, body, is_typed=api != self._native)
        self.problems += problems
        if not problems:
            return None
        return HttpReply(400, error_body(http, Fault(status=400), problems[0]))

    def _round(self, path: str, body: Json) -> Round | None:
        """Return the next round of the turn that was asked for last; None for what is no part of
        the session, such as a title.
        """
        heard = parts_heard(path, body)
        at, turn = _asked(heard)
        if turn == 0 or not body.get("tools"):
            return None
        results = sum(isinstance(each, SaidResult) for each in heard[at:])
        done, rounds = 0, self._turns[turn - 1]
        while done < len(rounds) and sum(len(each.calls) for each in rounds[:done]) < results:
            done += 1
        if results and done < len(rounds) and not rounds[done - 1].calls:
            return None
        self._said[turn] += 1
        if self._said[turn] > _ROUNDS_AT_MOST:
            self.problems.append(f"turn {turn} does not end")
            return None
        self._check(heard, turn, done)
        self._bill(path, body)
        said = rounds[done]._replace(number=self.seen)
        return said if _wants_thoughts(path, body) else _without_thoughts(said)

    def _bill(self, path: str, body: Json) -> None:
        """Read the prompt from the cache, as a provider does that keeps prefixes."""
        api = READERS[path]
        reader = self._cache.read_marked if path.endswith("/messages") else self._cache.read_any
        found = reader("", "", api.read(body).segments, 0.0, _LEAST_TOKENS)
        self.read = Read(*map(sum, zip(self.read, found, strict=True)))

    def _check(self, heard: list[Part], turn: int, done: int) -> None:
        """Compare what a request holds with all that was said before it."""
        before = [each for rounds in self._turns[: turn - 1] for each in rounds]
        before += self._turns[turn - 1][:done]
        calls = [call for each in before for call in each.calls]
        texts = [p.text for each in before for p in each.parts if isinstance(p, SaidText)]
        found = [each for each in heard if isinstance(each, SaidCall)]
        words = "\n".join(each.text for each in heard if isinstance(each, SaidText))
        results = {each.call_id: each.text for each in heard if isinstance(each, SaidResult)}
        self._seen |= set(results)
        self.results = len(self._seen)
        missing = [f"turn {turn}: {each!r} is missing" for each in texts if each not in words]
        if [_plainly(each) for each in calls] != [_plainly(each) for each in found]:
            missing.append(f"turn {turn}: calls {found[-3:]}, said {calls[-3:]}")
        if len(found) != len(results):
            missing.append(f"turn {turn}: {len(found)} calls, {len(results)} results")
        self.problems += missing
        self.whole_histories += not missing


def _asked(heard: list[Part]) -> tuple[int, int]:
    """Return where the newest turn of the script was asked for, and its number; 0 for none."""
    for at in range(len(heard) - 1, -1, -1):
        part = heard[at]
        found = _MARK.findall(part.text) if isinstance(part, SaidText) else []
        if found:
            return at, int(found[-1])
    return 0, 0


def _plainly(call: SaidCall) -> tuple[str, Any]:
    return call.name, json.loads(call.arguments)


def _wants_thoughts(path: str, body: Json) -> bool:
    """Whether a model would show its thoughts."""
    if path.endswith("/messages"):
        return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    return path.endswith("/chat/completions") or bool(body.get("reasoning"))


def _without_thoughts(said: Round) -> Round:
    kept = tuple(each for each in said.parts if not isinstance(each, SaidThought))
    return said._replace(parts=kept)
