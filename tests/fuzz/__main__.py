"""Fuzz for some minutes: `python -m tests.fuzz MINUTES`. Prints examples and findings of each property."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path


def main() -> int:
    """Run property after property, each for a round, until the time is over. 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    minutes = parser.parse_args().minutes
    os.environ["SIDECAR_FUZZ_PROFILE"] = "long"
    modules = [
        importlib.import_module(f"tests.fuzz.{file.stem}")
        for file in sorted(Path(__file__).parent.glob("test_*.py"))
    ]
    properties = {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("test_")
    }
    began_s = time.monotonic()
    findings = fuzz(properties, began_s + minutes * 60)
    for module in modules:
        getattr(module, "end", lambda: None)()
    report(properties, findings, (time.monotonic() - began_s) / 60)
    return 1 if findings else 0


def fuzz(properties: dict[str, Callable[[], None]], end_s: float) -> Counter[str]:
    """Run rounds until ``end_s`` on the monotonic clock; a property that failed is left out.

    Returns: how many failures each has.
    """
    findings: Counter[str] = Counter()
    while time.monotonic() < end_s and len(findings) < len(properties):
        for name, check in properties.items():
            if name in findings or time.monotonic() >= end_s:
                continue
            try:
                check()
            except Exception as error:
                findings[name] += len(getattr(error, "exceptions", (error,)))
                traceback.print_exc()
    return findings


def report(
    properties: dict[str, Callable[[], None]], findings: Counter[str], minutes: float
) -> None:
    """Print what was done."""
    examples = importlib.import_module("tests.fuzz.properties").EXAMPLES
    for name in properties:
        print(f"{examples[name]:>9} examples {findings[name]:>3} findings  {name}")
    print(
        f"{minutes:.1f} minutes, {sum(examples.values())} examples of {len(properties)} properties, "
        f"{sum(findings.values())} findings"
    )


if __name__ == "__main__":
    sys.exit(main())
