"""Writes numbers as Grafana does, for the units that the dashboard uses."""

from __future__ import annotations

import math
from typing import Final

_SHORT: Final = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_IEC: Final = ((2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"), (1.0, " B"))
_SI_BYTES: Final = ((1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B"))
_SECONDS: Final = (
    *((86400.0 * 7, " week"), (86400.0, " day"), (3600.0, " hour"), (60.0, " min")),
    *((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")),
)
_SUFFIXES: Final = {
    "reqps": " req/s",
    "ops": " ops/s",
    "cps": " c/s",
    "rps": " rd/s",
    "wps": " wr/s",
    "eps": " evt/s",
    "mps": " msg/s",
    "percent": "%",
}
_SCALES: Final = {"s": _SECONDS, "dtdurations": _SECONDS, "bytes": _IEC, "decbytes": _SI_BYTES}
_DIGITS: Final = 3


def format_value(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit.

    Args: ``unit`` is Grafana's id of it (``s``, ``reqps``, ``percentunit``, ``suffix:calls``); one
        that is not known is written behind the number. ``decimals`` None: three digits at most.
    """
    if not math.isfinite(value):
        return "no data" if math.isnan(value) else "∞"
    if unit == "percentunit":
        return _number(value * 100, decimals) + "%"
    if unit == "ms":
        return format_value(value / 1e3, "s", decimals)
    if unit.startswith("currency"):
        sign = "$" if unit == "currencyUSD" else unit.removeprefix("currency") + " "
        return sign + _scaled(value, (*_SHORT, (0.0, "")), decimals)
    if unit in _SCALES:
        return _scaled(value, _SCALES[unit], decimals)
    suffix = "" if unit in ("short", "none", "", "locale") else _SUFFIXES.get(unit)
    if suffix is None:
        suffix = " " + unit.removeprefix("suffix:").strip()
    return _scaled(value, (*_SHORT, (0.0, "")), decimals) + suffix


def _scaled(value: float, scale: tuple[tuple[float, str], ...], decimals: int | None) -> str:
    """Write a number in the largest step of the scale that it fills."""
    if value == 0:
        smallest = 1.0 if any(size == 1.0 for size, _ in scale) else scale[-1][0]
        return "0" + next(name for size, name in scale if size == smallest)
    size, name = next((each for each in scale if abs(value) >= each[0]), scale[-1])
    return _number(value / (size or 1.0), decimals) + name


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value and abs(value) < 1e-4:
        return f"{value:.1e}"
    before = len(str(int(abs(value)))) if abs(value) >= 1 else 0 - _zeros(value)
    text = f"{value:.{max(0, _DIGITS - before)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _zeros(value: float) -> int:
    """How many zeros follow the decimal point."""
    return 0 if value == 0 else max(0, -math.floor(math.log10(abs(value))) - 1)
