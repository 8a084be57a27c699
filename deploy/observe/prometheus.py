"""Prometheus' HTTP API, as far as it is needed here."""

from __future__ import annotations

from typing import Final, NamedTuple

import aiohttp

STEP_S: Final = 1.0


class QueryRefused(Exception):
    """Prometheus cannot run a query; the message is its own."""


class Series(NamedTuple):
    """One series of a result."""

    labels: dict[str, str]
    points: list[tuple[float, float]]
    """Unix seconds and value; not all of the values need be finite."""


class Window(NamedTuple):
    """The stretch of time that is looked at, in Unix seconds."""

    start_s: float
    end_s: float


class Prometheus:
    """A running Prometheus."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self.url = url
        self._client = client

    async def query_range(self, query: str, window: Window, step_s: float = STEP_S) -> list[Series]:
        """Run a query over a window. Raises: QueryRefused, aiohttp.ClientError."""
        params = {
            "query": query,
            "start": f"{window.start_s:.3f}",
            "end": f"{window.end_s:.3f}",
            "step": f"{step_s:g}",
        }
        async with self._client.post(self.url + "/api/v1/query_range", data=params) as response:
            answer = await response.json()
        if answer["status"] != "success":
            raise QueryRefused(f"{answer.get('error')}: {query}")
        return [
            Series(entry["metric"], [(at_s, float(value)) for at_s, value in entry["values"]])
            for entry in answer["data"]["result"]
        ]
