"""The command that adds the sidecar to the workloads of manifests."""

from __future__ import annotations

import argparse
import os
import sys
from typing import BinaryIO, Final

import sidecar
from sidecar.commands.inject_arguments import NATIVE_SINCE, contradiction, operator_port
from sidecar.commands.shell import FAILED, OK, USAGE
from sidecar.inject.manifests import (
    BYTES_AT_MOST,
    InjectedFile,
    InjectFinding,
    InjectOptions,
)
from sidecar.inject.manifests import (
    inject as inject_file,
)
from sidecar.inject.pod import Mode, PodOptions, resources

_STDIN: Final = "-"
_BOM: Final = b"\xef\xbb\xbf"


def inject(arguments: argparse.Namespace) -> int:
    """Print the manifests with the sidecar added. Where something cannot be done, print nothing
    but the problems, unless they are to be passed by; return `FAILED` in both cases. Arguments that
    contradict each other are `USAGE`.
    """
    problem = contradiction(arguments)
    if problem is not None:
        print(f"plano-sidecar inject: {problem}", file=sys.stderr)
        return USAGE
    options = inject_options(arguments)
    files = [_injected(file, options) for file in arguments.file]
    problems = [each for file in files for each in file.findings if each.is_problem]
    for file in files:
        for finding in file.findings:
            print(finding if finding.is_problem else f"warning: {finding}", file=sys.stderr)
    if problems and not arguments.keep_going:
        return FAILED
    if not problems and not any(file.workloads for file in files):
        print("warning: nothing here holds a pod that takes a sidecar", file=sys.stderr)
    _write([file.content for file in files], sys.stdout.buffer)
    return FAILED if problems else OK


def inject_options(arguments: argparse.Namespace) -> InjectOptions:
    """Return the options that a command line names."""
    return InjectOptions(
        PodOptions(
            image=arguments.image or f"plano-sidecar:{sidecar.__version__}",
            pull_policy=arguments.pull_policy,
            mode=_mode(arguments.mode, arguments.kube_version),
            data_port=arguments.data_port,
            admin_port=arguments.admin_port,
            operator_port=operator_port(arguments),
            config_map=arguments.config_map,
            secrets=()
            if arguments.no_secret
            else tuple(arguments.secret or ("plano-sidecar-keys",)),
            resources=resources(arguments.requests, arguments.limits),
            tenant=arguments.tenant,
            uid=arguments.uid,
            scrape=not arguments.no_scrape,
            env=tuple({"name": name, "value": value} for name, value in arguments.env or ()),
        ),
        tuple(arguments.container or ()),
    )


def _mode(name: str, version: tuple[int, int] | None) -> Mode:
    if name != "auto":
        return Mode(name)
    return Mode.CONTAINER if version is not None and version < NATIVE_SINCE else Mode.NATIVE


def _injected(file: str, options: InjectOptions) -> InjectedFile:
    try:
        if file == _STDIN:
            return inject_file("stdin", _content(sys.stdin.buffer), options)
        with open(file, "rb") as stream:  # noqa: PTH123 - as the user names it
            return inject_file(file, _content(stream), options)
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        return InjectedFile(b"", (InjectFinding(file, reason, is_problem=True),), 0)


def _content(stream: BinaryIO) -> bytes:
    """Return what a file holds, or of a file that is too large so much that it is seen."""
    return stream.read(BYTES_AT_MOST + 1)


def _write(contents: list[bytes], stream: BinaryIO) -> None:
    """Print one file as it is, several as documents of one."""
    for number, given in enumerate(contents):
        content = given.removeprefix(_BOM) if number else given
        if number and not content.startswith(b"---"):
            stream.write(b"---\n")
        stream.write(content)
        if number + 1 < len(contents) and content and not content.endswith(b"\n"):
            stream.write(b"\n")
    stream.flush()
