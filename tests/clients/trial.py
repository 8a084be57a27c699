"""Tries one client twice, at the provider and through a sidecar before it, and compares."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from sidecar.config.schema_routing import Routing
from sidecar.demo.router_model import DemoRouterModel
from tests.clients import sandbox
from tests.clients.install import folder_of, path_of
from tests.clients.provider import WORDS, ClientsProvider, Seen
from tests.clients.table import ADDRESS, PROGRAMS, Client
from tests.support.net import exchange, raw_request
from tests.support.sidecar_process import SidecarProcess, sidecar_config

SESSION: Final = "conversation-1"
"""What the examples name their session."""
SECRET: Final = "pineapple-42"
"""Stands in the file that agents are told to read."""
FORECAST: Final = "sunny, 21 degrees"
EXPECTED: Final = {"tools": FORECAST}
"""What a program's case has to hold, where that is not the provider's words."""
_DIALECTS: Final = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/v1/messages": "messages",
}
_BODY_KEYS: Final = ("prompt_cache_key", "metadata.user_id")
_ERROR_CHARACTERS: Final = 160


class Way(NamedTuple):
    """What came of a client by one way."""

    cases: dict[str, Any]
    """``{"value": ...}`` or ``{"error": ...}`` by case."""
    requests: list[Seen]
    """What reached the provider."""


class Compared(msgspec.Struct, frozen=True):
    """What came of a client."""

    version: str
    dialects: list[str]
    """The APIs that it speaks."""
    session: list[str]
    """What of its own names its session: headers, and members of bodies."""
    is_pinned: bool
    """Whether its calls had a pin that it was not told to ask for."""
    is_told: bool | None
    """Whether the session that it was told came through; None where that cannot be told."""
    beside: list[str]
    """Other requests that it makes."""
    calls: list[int]
    """How many calls reached the provider, directly and through the sidecar."""
    direct: dict[str, str]
    """``ok`` or an error by case."""
    sidecar: dict[str, str]

    @property
    def is_worse(self) -> bool:
        """Whether something that works at the provider does not work through the sidecar."""
        lost = [self.sidecar[case] != "ok" for case, came in self.direct.items() if came == "ok"]
        return any(lost) or self.is_told is False


async def try_client(client: Client, work: Path) -> Compared:
    """Run all cases of a client both ways."""
    async with ClientsProvider() as provider, DemoRouterModel() as router:
        direct = await _run(client, provider, provider.url)
        sidecar = SidecarProcess(_config(provider.url, router.url), work)
        try:
            await sidecar.wait_ready()
            through = await _run(client, provider, sidecar.data_url)
            pins = await _pins(sidecar)
        finally:
            await sidecar.terminate()
    has_arrived = SESSION in pins if "told_its_session" in direct.cases else None
    direct_outcomes = {case: outcome(case, came) for case, came in direct.cases.items()}
    seen = [each for each in direct.requests if _dialect(each)]
    return Compared(
        version=client.version,
        dialects=sorted({_dialect(each) for each in seen}),
        session=session_names(seen),
        is_pinned=bool(pins - {SESSION}),
        is_told=has_arrived,
        calls=[len(seen), len([each for each in through.requests if _dialect(each)])],
        beside=sorted({f"{e.method} {e.path}" for e in direct.requests if not _dialect(e)}),
        direct=direct_outcomes,
        sidecar={
            case: compared(case, direct.cases[case], through.cases.get(case))
            for case in direct.cases
        },
    )


def _config(provider: str, router: str) -> dict[str, Any]:
    """A sidecar that routes and pins, before models of both makers."""
    openai = {"access_key": "sk-openai", "base_url": provider}
    anthropic = {"access_key": "sk-anthropic", "base_url": provider, "dialects": ["messages"]}
    return sidecar_config(
        provider,
        model_providers=[
            {"model": "openai/*", **openai},
            {"model": "openai/gpt-5", **openai},
            {"model": "anthropic/*", **anthropic},
            {"model": "anthropic/claude-sonnet-5", **anthropic},
            {"model": "plano/router", "base_url": router},
        ],
        model_aliases={},
        passthrough=[],
        overrides={"llm_routing_model": "plano/router"},
        routing_preferences=[
            {
                "name": "helping",
                "description": "saying how it is going, how the weather is, what a file says",
                "models": ["anthropic/claude-sonnet-5", "openai/gpt-5"],
            }
        ],
    )


async def _pins(sidecar: SidecarProcess) -> set[str]:
    port = int(sidecar.operator_address.rpartition(":")[2])
    page = await exchange(port, raw_request("GET", "/affinity/"))
    return {str(pin["session"]) for pin in page.json()["pins"]}


async def _run(client: Client, provider: ClientsProvider, address: str) -> Way:
    provider.requests.clear()
    cases = await asyncio.to_thread(_program if client.program else _agent, client, address)
    requests = list(provider.requests)
    if not client.program and any(each.body.get("stream") for each in requests):
        cases = {"streamed" if case == "plain" else case: came for case, came in cases.items()}
    return Way(cases, requests)


def _program(client: Client, address: str) -> dict[str, Any]:
    """Run a library's program. Returns: what it printed of each case."""
    name = client.program
    is_python = name.endswith(".py")
    with sandbox.empty_home() as home:
        # Node looks for packages beside the program, and above it.
        place = (home.work if is_python else folder_of(client)) / f"tried-{name}"
        place.write_text((PROGRAMS / name).read_text().replace(ADDRESS, address))
        common = PROGRAMS / ("tried.py" if is_python else "tried.mjs")
        place.with_name(common.name).write_text(common.read_text())
        environ = {"PATH": path_of(client), "NODE_NO_WARNINGS": "1", **client.quiet}
        ended = sandbox.run(["python" if is_python else "node", str(place)], home, environ)
    lines = [each[6:] for each in ended.output.splitlines() if each.startswith("TRIED ")]
    cases = {case.pop("case"): case for case in map(json.loads, lines)}
    return cases or {"plain": {"error": ended.output[-_ERROR_CHARACTERS:] or "it took too long"}}


def _agent(client: Client, address: str) -> dict[str, Any]:
    """Run an agent once for each case, in a home of its own."""
    ask, pinning = "How is it going?", (client.pin_env, client.pin_files)
    cases: dict[str, tuple[str, str, dict[str, str], dict[str, str]]]
    cases = {"plain": (ask, WORDS, {}, {})}
    if client.read:
        cases["tools"] = (f"What does the file say? [[call {client.read}]]", SECRET, {}, {})
    if any(pinning):
        cases["told_its_session"] = (ask, WORDS, *pinning)
    return {case: _agent_case(client, address, *arguments) for case, arguments in cases.items()}


def _agent_case(
    client: Client,
    address: str,
    prompt: str,
    expected: str,
    env: dict[str, str],
    files: dict[str, str],
) -> dict[str, Any]:
    with sandbox.empty_home() as home:
        note = home.work / "note.txt"
        note.write_text(f"the word is {SECRET}\n")
        places = {"{home}": str(home.home), "{file}": str(note), "{programs}": str(PROGRAMS)}
        environ = {"PATH": path_of(client), **client.quiet}
        environ |= {name: it.replace(ADDRESS, address) for name, it in (client.env | env).items()}
        for command in client.before:
            sandbox.run(command.replace(ADDRESS, address).split(), home, environ)
        for path, text in (client.files | files).items():
            home.place(path).parent.mkdir(parents=True, exist_ok=True)
            home.place(path).write_text(text.replace(ADDRESS, address))
        words = [each.replace("{prompt}", prompt) for each in client.run]
        for mark, place in places.items():
            words = [each.replace(mark, place) for each in words]
        ended = sandbox.run(words, home, environ)
    if expected in ended.output:
        return {"value": expected}
    return {"error": "it took too long" if ended.code is None else ended.output}


def outcome(case: str, came: dict[str, Any]) -> str:
    """``ok``, or what was wrong in one line."""
    if "error" in came:
        return _line(str(came["error"]))
    text = json.dumps(came["value"])
    expected = EXPECTED.get(case)
    if expected is not None and expected not in text and SECRET not in text:
        return _line(f"it said {text}")
    return "ok"


def compared(case: str, direct: dict[str, Any], through: dict[str, Any] | None) -> str:
    """The same of what came through the sidecar, where it has to be what came directly."""
    if through is None:
        return "nothing came"
    came = outcome(case, through)
    if came == "ok" and through != direct and "value" in direct:
        return _line(f"other than direct: {json.dumps(through['value'])}")
    return came


def _line(text: str) -> str:
    """The last line that says something, without what differs from run to run."""
    lines = [each.strip() for each in text.splitlines() if each.strip()] or ["it said nothing"]
    plain = re.sub(r"127\.0\.0\.1:\d+|/tmp/client-\w+", "...", lines[-1])
    return plain[-_ERROR_CHARACTERS:]


def _dialect(seen: Seen) -> str:
    found = [name for end, name in _DIALECTS.items() if seen.path.endswith(end)]
    return found[0] if found and seen.method == "POST" else ""


def session_names(requests: list[Seen]) -> list[str]:
    """What names a session in these: headers that are read without being configured, and members
    of the body that may.
    """
    known = [each for each in Routing().session_headers if each != "x-model-affinity"]
    headers = {name for seen in requests for name in known if name in seen.headers}
    bodies = {key for seen in requests for key in _BODY_KEYS if _has(seen.body, key)}
    return sorted(headers) + sorted(f"{key} in the body" for key in bodies)


def _has(body: Any, key: str) -> bool:
    for name in key.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return isinstance(body, str)
