"""The commands, one function each. Errors go to stderr, one line a problem."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sidecar import __version__
from sidecar.domain.errors import ConfigError
from sidecar.runtime.lifecycle import fast_loop_factory

OK, FAILED, USAGE, CONFIG = 0, 1, 64, 78
"""Exit codes; 64 and 78 are EX_USAGE and EX_CONFIG of BSD's sysexits.h."""

_Result = TypeVar("_Result")

_DESCRIPTION = (
    "Routes, pins and streams an app's OpenAI and Anthropic calls from inside its own pod."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a usage error with its own exit code; argparse's 2 means something else to many
        shells.
        """
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` names; return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return CONFIG
    except KeyboardInterrupt:
        return FAILED
    except OSError as error:
        is_full = error.errno == errno.ENOSPC
        if not is_full and not isinstance(error, BrokenPipeError):
            raise
        # What is still held back would be written at the interpreter's end, and complained of
        # there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if is_full:
            print("plano-sidecar: the output cannot be written: no space is left", file=sys.stderr)
        # Else the reader of our output left (`plano-sidecar schema | head`): nothing to tell
        # anybody.
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="plano-sidecar", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], text: str, example: str
    ) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=text, epilog=f"example: {example}"
        )
        sub.set_defaults(command=command)
        return sub

    run = add("run", _run, "serve", "plano-sidecar run --config /etc/sidecar/config.yaml")
    run.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="without it, providers are made from the API keys set",
    )
    check = add(
        "check",
        _check,
        "validate a config file and print every problem",
        "plano-sidecar check config.yaml",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    add(
        "schema",
        _schema,
        "print the config's JSON Schema",
        "plano-sidecar schema > sidecar.schema.json",
    )
    demo = add(
        "demo",
        _demo,
        "show it working: demo provider, demo router model, two sidecars; no key, no network",
        "plano-sidecar demo --once",
    )
    demo.add_argument(
        "--once", action="store_true", help="end after the table instead of staying up for curl"
    )
    route = add(
        "route",
        _route,
        "explain which model a text would go to, and why; asks the router model, "
        "sends the text nowhere else",
        "plano-sidecar route --config config.yaml 'Write a sorting function'",
    )
    _add_route(route)
    affinity = add(
        "affinity",
        _affinity,
        "look at pins, or drop a session's, through the running sidecar or in Redis itself",
        "plano-sidecar affinity get --tenant acme session-1",
    )
    _add_affinity(affinity)
    add(
        "version",
        _version,
        "print the versions of the sidecar and of what it stands on",
        "plano-sidecar version",
    )
    return parser


def _add_route(route: argparse.ArgumentParser) -> None:
    route.add_argument(
        "--config", type=Path, metavar="FILE", help="without it, as `run` without one"
    )
    route.add_argument("--session", metavar="ID", help="show this session's pin; none is made")
    route.add_argument("--tenant", metavar="NAME", help="the session's tenant")
    route.add_argument("text", metavar="TEXT", help="the newest user message")


def _add_affinity(parser: argparse.ArgumentParser) -> None:
    whats = parser.add_subparsers(required=True, metavar="list|get|delete", dest="what")
    texts = {
        "list": "show all pins",
        "get": "show a session's pins",
        "delete": "drop a session's pins",
    }
    for what, text in texts.items():
        session = "" if what == "list" else " session-1"
        example = f"example: plano-sidecar affinity {what} --tenant acme{session}"
        sub = whats.add_parser(what, help=text, description=text, epilog=example)
        sub.add_argument(
            "--tenant",
            metavar="T",
            help="only this tenant's" if what == "list" else "the session's tenant",
        )
        admin_help = "the sidecar's admin port (default: %(default)s)"
        sub.add_argument("--admin", metavar="URL", default="http://127.0.0.1:9901", help=admin_help)
        sub.add_argument(
            "--config", type=Path, metavar="FILE", help="go to the Redis of this config instead"
        )
        if session:
            sub.add_argument(
                "session", metavar="SESSION", help="the session id, as the app sends it"
            )
        else:
            sub.set_defaults(session=None)


def _run(arguments: argparse.Namespace) -> int:
    from sidecar.app import serve
    from sidecar.config.load import load_config

    _log_to_stderr()
    loaded = load_config(arguments.config, os.environ)
    for warning in loaded.warnings:
        logging.getLogger("sidecar").warning("%s", warning)
    _run_loop(serve(loaded, _announce, os.environ))
    return OK


def _announce(line: str) -> None:
    logging.getLogger("sidecar").info("%s", line)


def _check(arguments: argparse.Namespace) -> int:
    from sidecar.config.load import load_config

    loaded = load_config(arguments.file, os.environ)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{arguments.file}: ok")
    return OK


def _schema(_: argparse.Namespace) -> int:
    from sidecar.config.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return OK


def _demo(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    return _run_loop(_show(once=arguments.once))


async def _show(*, once: bool) -> int:
    """The demo, with sidecars of the real kind; until a signal where it stays up."""
    import signal

    from sidecar.app import App
    from sidecar.config.load import load_config
    from sidecar.demo.shared_store import find_redis
    from sidecar.demo.show import SidecarHandle, run_demo

    @contextlib.asynccontextmanager
    async def start_sidecar(config: Path) -> AsyncIterator[SidecarHandle]:
        async with App(load_config(config, os.environ)) as app:
            yield SidecarHandle(
                f"http://127.0.0.1:{app.ports.data}", f"http://127.0.0.1:{app.ports.admin}"
            )

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await run_demo(
        once=once,
        start_sidecar=start_sidecar,
        out=sys.stdout,
        stop=stop,
        redis_program=find_redis(),
    )


def _route(arguments: argparse.Namespace) -> int:
    from sidecar.app import App
    from sidecar.config.load import load_config
    from sidecar.domain.errors import SidecarError
    from sidecar.selection.explain import describe

    async def show() -> int:
        async with App(load_config(arguments.config, os.environ), os.environ, listens=False) as app:
            try:
                print(
                    describe(
                        await app.explain(arguments.text, (arguments.session, arguments.tenant))
                    )
                )
            except SidecarError as error:
                print(f"{error.code}: {error.message}", file=sys.stderr)
                return FAILED
        return OK

    return _run_loop(show())


def _affinity(arguments: argparse.Namespace) -> int:
    from sidecar.affinity.store import StoreUnreachable
    from sidecar.commands.affinity import describe_pins, pin_source

    async def show() -> int:
        try:
            async with pin_source(arguments.config, arguments.admin, os.environ) as source:
                lines = await describe_pins(
                    source, arguments.what, arguments.tenant, arguments.session
                )
        except StoreUnreachable as error:
            print(f"affinity: {error}", file=sys.stderr)
            return FAILED
        for line in lines:
            print(line)
        if not lines and arguments.session is not None:
            print("no pin of this session", file=sys.stderr)
            return FAILED
        return OK

    return _run_loop(show())


def _version(_: argparse.Namespace) -> int:
    from sidecar.listener.server import listener_path

    print(f"plano-sidecar {__version__}{' (hot path compiled)' if is_compiled() else ''}")
    print(f"python {platform.python_version()}")
    for name in (
        "aiohttp",
        "httptools",
        "msgspec",
        "prometheus-client",
        "redis",
        "uvloop",
        "aiofastnet",
    ):
        try:
            print(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} not installed")
    print(f"listener path {listener_path()}")
    return OK


def is_compiled() -> bool:
    """Whether this installation's hot path is made of extension modules."""
    spec = importlib.util.find_spec("sidecar.proxy")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def _run_loop(work: Coroutine[Any, Any, _Result]) -> _Result:
    with asyncio.Runner(loop_factory=fast_loop_factory()) as runner:
        return runner.run(work)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
