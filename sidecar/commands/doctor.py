"""The command that looks at all that a config names: would calls be served?"""

from __future__ import annotations

import argparse
import os
import sys

from sidecar.commands.shell import FAILED, OK, is_coloured, load_to_trace, run_loop


def doctor(arguments: argparse.Namespace) -> int:
    """Print what a config names, whether each can be reached and used, and what to do. Return
    `FAILED` where calls would fail.

    Raises: ConfigError.
    """
    return run_loop(_doctor(arguments))


async def _doctor(arguments: argparse.Namespace) -> int:
    from sidecar.build.checks import check_up
    from sidecar.doctor.checks import CheckOptions
    from sidecar.doctor.findings import Verdict, worst
    from sidecar.doctor.report import json_report
    from sidecar.doctor.table import describe

    loaded = load_to_trace(arguments.config)
    print(*(f"warning: {each}\n" for each in loaded.warnings), sep="", end="", file=sys.stderr)
    options = CheckOptions(arguments.timeout, may_spend=not arguments.no_spend)
    findings = await check_up(loaded, os.environ, options)
    name = str(arguments.config or "environment")
    lines = describe(findings, is_coloured=is_coloured(sys.stdout, os.environ))
    print(json_report(name, findings) if arguments.json else "\n".join(lines), flush=True)
    return FAILED if worst(findings) is Verdict.FAILED else OK
