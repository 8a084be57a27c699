"""Numbers as Grafana writes them."""

from __future__ import annotations

import math

import pytest

from deploy.observe.units import format_value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.987, "percentunit", "98.7%"),
        (1, "percentunit", "100%"),
        (12.5, "percent", "12.5%"),
        (0.00025, "s", "250 µs"),
        (0.0123, "s", "12.3 ms"),
        (1.5, "s", "1.5 s"),
        (90, "s", "1.5 min"),
        (1500, "ms", "1.5 s"),
        (0, "s", "0 s"),
        (53 * 2**20, "bytes", "53 MiB"),
        (14.26, "reqps", "14.3 req/s"),
        (0.25, "ops", "0.25 ops/s"),
        (1234567, "short", "1.23 Mil"),
        (0, "short", "0"),
        (42, "none", "42"),
        (0.0123, "currencyUSD", "$0.0123"),
        (1200, "currencyUSD", "$1.2 K"),
        (3, "suffix: pods", "3 pods"),
        (-2.5, "short", "-2.5"),
        (0.00001, "short", "1.0e-05"),
        (math.nan, "s", "no data"),
        (math.inf, "s", "∞"),
    ],
)
def test_a_value_has_its_unit(value, unit, text):
    """Three digits, and the step of the unit that the value fills."""
    assert text == format_value(value, unit)


def test_decimals_are_those_of_the_panel():
    """Where it says how many."""
    assert "12.00 ms" == format_value(0.012, "s", 2)
