"""Reads the sources of prices and latencies once, in the way in which a sidecar reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import urlsplit

import msgspec

from sidecar.config.schema_routing import MetricsSource
from sidecar.doctor.advice import SOURCE, advice_on
from sidecar.doctor.findings import Finding, Kind, Reach, StepState, Verdict
from sidecar.routing.sources import MetricsSources, source_url
from sidecar.runtime.timers import Timeout

_PORTS: Final = {"https": 443, "http": 80}
_FALLEN_BACK: Final = {
    "cost": "Until then routes that prefer the cheapest go by the prices in the config.",
    "latency": "Until then routes that prefer the fastest go by this sidecar's own averages.",
}


async def check_source(
    sources: MetricsSources,
    source: MetricsSource,
    index: int,
    models: Collection[str],
    timeout_s: float,
    monotonic_s: Callable[[], float],
) -> Finding:
    """Return whether a source can be read, and knows the configured models.

    Args: ``index`` is the source's place in the config. Raises: nothing.
    """
    began_s = monotonic_s()
    try:
        async with Timeout(timeout_s):
            cause = await sources.read_once(index)
    except TimeoutError:
        cause = f"no reply within {timeout_s:g} s (--timeout)"
    numbers = sources.prices if source.type == "cost" else sources.latencies_s
    known = len([model for model in models if model in numbers])
    return source_finding(source, cause, (known, len(models)), monotonic_s() - began_s)


def source_finding(
    source: MetricsSource, cause: str | None, known: tuple[int, int], took_s: float
) -> Finding:
    """Return what it means that a source was read, or was not.

    Args: ``cause`` says why it was not; ``known`` is of how many of how many models it tells.
    """
    place = _place(source)
    is_url = source.provider != "file"
    finding = Finding(
        Kind.SOURCE,
        f"{source.type}: {source.provider}",
        Verdict.OK,
        place=place,
        reach=Reach(http=StepState.OK if cause is None else StepState.FAILED)
        if is_url
        else Reach(),
        took_ms=round(took_s * 1e3, 1),
        facts={"models_known": known[0], "models": known[1]},
    )
    if cause is not None:
        advice = advice_on(cause, place, SOURCE) if is_url else f"Look at path, {place}."
        return msgspec.structs.replace(
            finding,
            verdict=Verdict.WARNING,
            cause=cause,
            to_do=f"{advice} {_FALLEN_BACK[source.type]}",
        )
    reported = f"tells of {known[0]} of {known[1]} models"
    if known[0] or source.type == "latency":
        return msgspec.structs.replace(finding, cause=reported)
    return msgspec.structs.replace(
        finding,
        verdict=Verdict.WARNING,
        cause=reported,
        to_do="Say under model_aliases of this source which of its names are your models.",
    )


def _place(source: MetricsSource) -> str:
    """Return where a source is, without what its URL may hold of a password."""
    if source.provider == "file":
        return source.path or ""
    parts = urlsplit(source_url(source))
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"
