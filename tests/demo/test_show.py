"""The scripted demo: a table that a stranger can read, and an exit code that a script can."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from sidecar.demo.scenario import STEPS
from sidecar.demo.show import SidecarHandle, StartSidecar, run_demo
from tests.support.scripted_provider import ScriptedProvider


class Standins:
    """Stand in for sidecars: providers, since a provider answers the same calls."""

    def __init__(self, *, knows_all_models: bool = False) -> None:
        self.configs: list[dict[str, object]] = []
        self.open = 0
        self._knows_all_models = knows_all_models

    @contextlib.asynccontextmanager
    async def start(self, config: Path) -> AsyncIterator[SidecarHandle]:
        self.configs.append(yaml.safe_load(config.read_text()))
        async with ScriptedProvider() as provider:
            if not self._knows_all_models:
                provider.script.always("404", model="gpt-99")
            self.open += 1
            yield SidecarHandle(provider.url, provider.url, provider.url)
            self.open -= 1


async def play(
    start: StartSidecar, *, once: bool = True, stop: asyncio.Event | None = None
) -> tuple[int, str]:
    out = io.StringIO()
    code = await run_demo(once=once, start_sidecar=start, out=out, stop=stop or asyncio.Event())
    return code, out.getvalue()


async def test_all_as_expected() -> None:
    """Every call of the script has a row, and the exit code is 0; both sidecars are gone
    afterwards.
    """
    standins = Standins()
    code, text = await play(standins.start)
    rows = re.findall(r"^ ?(\d+)  ([AB])  ", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(STEPS) + 1))
    assert [via for _, via in rows] == [step.via for step in STEPS]
    assert (code, standins.open) == (0, 0)
    assert f"All {len(STEPS)} calls ended as expected" in text


async def test_a_surprise_is_told() -> None:
    """A call that ends otherwise than expected is named, and the exit code is 1."""
    code, text = await play(Standins(knows_all_models=True).start)
    number = next(n for n, step in enumerate(STEPS, 1) if step.label == "unknown model")
    assert (code, f"call {number} (unknown model): expected 404, got 200" in text) == (1, True)


async def test_columns_are_aligned() -> None:
    """Each column starts at one place in every row."""
    _, text = await play(Standins().start)
    lines = text.splitlines()
    rule = next(n for n, line in enumerate(lines) if set(line) == {"-", " "})
    starts = [match.start() for match in re.finditer(r"(?<![-])-", lines[rule])]
    rows = lines[rule + 1 : rule + 1 + len(STEPS)]
    assert [[row[at - 1] for at in starts[1:]] for row in rows] == [
        [" "] * (len(starts) - 1)
    ] * len(STEPS)


async def test_both_sidecars_get_the_same_config() -> None:
    """Two sidecars, one config, and providers of both kinds."""
    standins = Standins()
    await play(standins.start)
    a, b = standins.configs
    assert a == b
    assert isinstance(a["model_providers"], list)
    assert {entry["model"].partition("/")[0] for entry in a["model_providers"]} == {
        "openai",
        "anthropic",
        "plano",
    }


async def test_stays_up_until_stopped() -> None:
    """Without ``once`` it prints curl commands with the real ports, and stays up until it is
    stopped.
    """
    standins, stop, out = Standins(), asyncio.Event(), io.StringIO()

    async def stop_when_invited() -> None:
        async with asyncio.timeout(30):
            while "Ctrl-C" not in out.getvalue():
                await asyncio.sleep(0.01)  # sleep: text appears without an event
        assert standins.open == 2
        stop.set()

    async with asyncio.TaskGroup() as group:
        show = group.create_task(
            run_demo(once=False, start_sidecar=standins.start, out=out, stop=stop)
        )
        group.create_task(stop_when_invited())
    assert (show.result(), standins.open) == (0, 0)
    assert len(re.findall(r"^  curl .*http://127\.0\.0\.1:\d+/", out.getvalue(), re.MULTILINE)) == 6


async def test_a_sidecar_that_does_not_start_ends_the_demo() -> None:
    """The error reaches the caller, and nothing is left open."""

    @contextlib.asynccontextmanager
    async def broken(config: Path) -> AsyncIterator[SidecarHandle]:
        if config.exists():
            raise OSError("no ports")
        yield SidecarHandle("", "", "")

    with pytest.raises(OSError, match="no ports"):
        await play(broken)
