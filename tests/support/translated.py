"""A sidecar in this process before a provider that speaks one API a model: what is asked in another
one is translated.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.sdk_loops import LOOPS, SdkLoop
from tests.support.sdks import Sdks, open_sdks
from tests.support.tool_provider import Round, ToolProvider

MODELS = {
    "chat": "together_ai/one",
    "responses": "openai/two",
    "messages": "anthropic/claude-sonnet-4-5",
}
"""A model that speaks one API alone."""
WAYS = [(source, target) for source, target in itertools.permutations(MODELS, 2)]
PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class House(NamedTuple):
    """A sidecar before a provider that speaks one API a model."""

    app: App
    provider: ToolProvider
    sdks: Sdks

    async def ask(self, source: str, target: str, **more: Any) -> RawReply:
        """Make one call of an app of one API, for a model of another, or of this name; ``more`` are
        ``headers`` and members of its body.
        """
        headers = more.pop("headers", {})
        body = {"model": MODELS.get(target, target), **body_of(source, **more)}
        return await exchange(self.app.ports.data, json_request(PATHS[source], body, headers))

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """A counter: label values in the order of their names -> value."""
        counter = self.app.foundation.telemetry.metrics.counter(name)
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def loop(self, source: str, target: str, *, is_streamed: bool = False, **more: Any) -> SdkLoop:
        """A conversation of an app of one API with a model of another."""
        return LOOPS[source](self.sdks, MODELS[target], is_streamed=is_streamed, **more)


def body_of(source: str, text: str = "hi", **more: Any) -> dict[str, Any]:
    """The body of a request of an API that says ``text``."""
    if source == "responses":
        return {"input": text, **more}
    limit = {"max_tokens": 100} if source == "messages" else {}
    return {"messages": [{"role": "user", "content": text}], **limit, **more}


def config(
    provider_url: str,
    entries: Sequence[dict[str, Any]] = (),
    own: Mapping[str, dict[str, Any]] = {},
    **more: Any,
) -> dict[str, Any]:
    """Three models, each of one API.

    Args: ``entries`` are more of them; ``own`` are more keys of the three, by model.
    """
    three = [
        {"model": model, "dialects": [dialect], **own.get(model, {})}
        for dialect, model in MODELS.items()
    ]
    common = {"access_key": "k", "base_url": provider_url}
    return {
        "version": "v0.4.0",
        "model_providers": [{**common, **each} for each in (*three, *entries)],
        **more,
    }


@contextlib.asynccontextmanager
async def open_house(work: Path, rounds: Sequence[Round] = (), **more: Any) -> AsyncIterator[House]:
    """Start all of it; ``more`` is as `config` takes it."""
    async with ToolProvider() as provider:
        provider.rounds = rounds
        async with running_app(config(provider.url, **more), work) as app:
            base_url = f"http://127.0.0.1:{app.ports.data}"
            async with open_sdks(base_url, "async") as sdks:
                yield House(app, provider, sdks)
