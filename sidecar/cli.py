"""The command line: which command, with which arguments, and how it ends."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from sidecar import __version__
from sidecar.commands import serve
from sidecar.commands.shell import CONFIG, FAILED, USAGE, port, seconds
from sidecar.domain.errors import ConfigError

_DESCRIPTION = (
    "Routes, pins and streams an app's OpenAI and Anthropic calls from inside its own pod."
)
_ACTIONS = {
    "list": "show all pins",
    "get": "show a session's pins",
    "delete": "drop a session's pins",
}
"""Of `affinity`."""
_OPERATORS = "127.0.0.1:9902"
_OPERATORS_HELP = (
    "the sidecar's operators' pages: host:port, a URL, or unix:/path (default: %(default)s)"
)
_NEW_FILE = "a new file (default: stdout)"
_DOCTOR_S = 10.0
"""A provider that takes longer for its list of models, or for one token, is in trouble."""
_ADMIN_PORT = 9901
_WAIT_S = 30.0
"""A start takes half a second, and on a crowded node some seconds: what is not ready then will not
be."""
_Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a usage error with its own exit code; argparse's 2 means something else to many
        shells.
        """
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` names; return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
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
        # Python flushes stdout once more when it exits, and would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if is_full:
            print("plano-sidecar: the output cannot be written: no space is left", file=sys.stderr)
        # A broken pipe is no problem: the reader has what it wanted (`schema | head`).
        return FAILED
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return what parses the command line, of which ``words`` are the words."""
    parser = _Parser(prog="plano-sidecar", description=_DESCRIPTION)
    version = f"plano-sidecar {__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    meant = _COMMANDS.get(words[0]) if words else None
    # The others' arguments, hundreds, are made for help and for errors alone.
    for add in (meant,) if meant else _COMMANDS.values():
        add(commands)
    return parser


def _add(commands: Any, name: str, command: _Command, text: str, example: str) -> Any:  # noqa: ANN401 - argparse's own type is private
    """Add a command. ``text`` says what it does; ``example`` are the arguments of a call."""
    epilog = f"example: plano-sidecar {name} {example}".rstrip()
    parser = commands.add_parser(name, help=text, description=text, epilog=epilog)
    parser.set_defaults(command=command)
    return parser


def _later(module: str, name: str | None = None) -> _Command:
    """Return a command of a module of `sidecar.commands`, imported when it runs: the others need
    neither wait for it nor keep it in memory. Args: without ``name`` the module's own is meant.
    """

    def run(arguments: argparse.Namespace) -> int:
        found = importlib.import_module(f"sidecar.commands.{module}")
        command: _Command = getattr(found, name or module)
        return command(arguments)

    return run


def _add_run(commands: Any) -> None:  # noqa: ANN401
    parser = _add(commands, "run", serve.run, "serve", "--config /etc/sidecar/config.yaml")
    text = "the config; without one, providers are made from the API keys set"
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--config", type=Path, metavar="FILE", help=text)
    what.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the same")
    text = (
        "how it stands in its pod: an init container that is restarted always, signalled once the "
        "app has ended (native), or a container beside the app, signalled together with it"
    )
    parser.add_argument("--mode", choices=("native", "container"), help=text)
    text = (
        "the pod's terminationGracePeriodSeconds: the drain may last 5 s less, whatever "
        "drain.grace_s says"
    )
    parser.add_argument("--termination-grace", type=seconds, metavar="S", help=text)


def _add_check(commands: Any) -> None:  # noqa: ANN401
    text = "validate a config file and print every problem; or show what another one changes"
    parser = _add(commands, "check", _later("inspect", "check"), text, "config.yaml")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", type=Path, nargs="?", metavar="FILE")
    text = (
        "print what NEW changes: `+ model x`, `- alias y`, `~ route z: models [a] -> [b]`, and "
        "what of it needs a restart. Exit code 0: nothing; 2: a reload brings it; 3: a part needs "
        "a restart; 78: one of the files cannot be used"
    )
    what.add_argument("--diff", type=Path, nargs=2, metavar=("OLD", "NEW"), help=text)
    text = "a file of ${file:...} that is not there costs a warning: a Secret may come later"
    parser.add_argument("--allow-missing-files", action="store_true", help=text)


def _add_doctor(commands: Any) -> None:  # noqa: ANN401
    text = (
        "ask everything that a config names whether it would serve: each provider entry, the "
        "router model, Redis, the sources of prices, the trace collector; say what to do"
    )
    parser = _add(commands, "doctor", _later("doctor"), text, "--config config.yaml")
    text = "without it, as `run` without one"
    parser.add_argument("--config", type=Path, metavar="FILE", help=text)
    text = "print one JSON object instead of a table"
    parser.add_argument("--json", action="store_true", help=text)
    text = "how long each may take, in seconds (default: %(default)g)"
    parser.add_argument("--timeout", type=seconds, metavar="S", default=_DOCTOR_S, help=text)
    text = "make no call that costs tokens: connect, and ask for the list of models only"
    parser.add_argument("--no-spend", action="store_true", help=text)


def _add_schema(commands: Any) -> None:  # noqa: ANN401
    text = "print the config's JSON Schema"
    _add(commands, "schema", _later("inspect", "schema"), text, "> sidecar.schema.json")


def _add_demo(commands: Any) -> None:  # noqa: ANN401
    text = "show it working: demo provider, demo router model, two sidecars; no key, no network"
    parser = _add(commands, "demo", serve.demo, text, "--once")
    text = "end after the table instead of staying up for curl"
    parser.add_argument("--once", action="store_true", help=text)


def _add_route(commands: Any) -> None:  # noqa: ANN401
    text = "explain which model a text or a request would go to, and why; sends it nowhere else"
    example = "--config config.yaml 'Write a sorting function'"
    parser = _add(commands, "route", _later("inspect", "route"), text, example)
    text = "without it, as `run` without one"
    parser.add_argument("--config", type=Path, metavar="FILE", help=text)
    text = "the model that the call asks for (default: none)"
    parser.add_argument("--model", metavar="NAME", help=text)
    text = "show this session's pin; none is made"
    parser.add_argument("--session", metavar="ID", help=text)
    parser.add_argument("--tenant", metavar="NAME", help="the session's tenant")
    parser.add_argument("--agent", metavar="ID", help="the sub-agent of the session")
    text = "the request's API: chat, messages or responses, where its body does not tell"
    parser.add_argument("--dialect", choices=("chat", "messages", "responses"), help=text)
    what = parser.add_mutually_exclusive_group(required=True)
    text = "a request's body instead of a text: show what each model would lose of it"
    what.add_argument("--body", type=Path, metavar="FILE", help=text)
    what.add_argument("text", metavar="TEXT", nargs="?", help="the newest user message")


def _add_affinity(commands: Any) -> None:  # noqa: ANN401
    text = "look at pins, or drop a session's, through the running sidecar or in Redis itself"
    parser = _add(commands, "affinity", _later("affinity"), text, "get --tenant acme session-1")
    actions = parser.add_subparsers(required=True, metavar="list|get|delete", dest="what")
    for what, text in _ACTIONS.items():
        session = "" if what == "list" else " session-1"
        epilog = f"example: plano-sidecar affinity {what} --tenant acme{session}"
        action = actions.add_parser(what, help=text, description=text, epilog=epilog)
        whose = "only this tenant's" if what == "list" else "the session's tenant"
        action.add_argument("--tenant", metavar="T", help=whose)
        action.add_argument("--admin", metavar="ADDRESS", default=_OPERATORS, help=_OPERATORS_HELP)
        where = "go to the Redis of this config instead"
        action.add_argument("--config", type=Path, metavar="FILE", help=where)
        if session:
            which = "the session id, as the app sends it"
            action.add_argument("session", metavar="SESSION", help=which)
            which = "only those of this sub-agent (default: the main loop's and all sub-agents')"
            action.add_argument("--agent", metavar="ID", help=which)
        else:
            action.set_defaults(session=None, agent=None)


def _add_tail(commands: Any) -> None:  # noqa: ANN401
    text = "follow the calls of a running sidecar as they end, one line each"
    parser = _add(commands, "tail", _later("tail"), text, "--status 5xx --route code")
    parser.add_argument("--admin", metavar="ADDRESS", default=_OPERATORS, help=_OPERATORS_HELP)
    for name, metavar, text in (
        ("model", "PATTERN", "of this model, requested or served; `openai/*` is a pattern"),
        ("route", "PATTERN", "of this route"),
        ("status", "STATUS", "with this status: 429, or 5xx"),
        ("session", "ID", "of this session, as the app names it or as logs show it"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, help=f"only calls {text}")
    parser.add_argument("--json", action="store_true", help="whole records, one JSON object a line")


def _add_drain(commands: Any) -> None:  # noqa: ANN401
    text = (
        "ask the running sidecar to drain: readiness off, calls in flight end; the process stays. "
        "SIGTERM does so by itself"
    )
    parser = _add(commands, "drain", _later("drain"), text, "--wait")
    parser.add_argument("--admin", metavar="ADDRESS", default=_OPERATORS, help=_OPERATORS_HELP)
    text = "return once the drain has ended"
    parser.add_argument("--wait", action="store_true", help=text)


def _add_inject(commands: Any) -> None:  # noqa: ANN401
    from sidecar.commands.inject_arguments import add_arguments

    text = (
        "print Kubernetes manifests with the sidecar added to every pod: Deployment, StatefulSet, "
        "DaemonSet, ReplicaSet, Job, CronJob, Pod, and lists of them. All else stays as it is, "
        "byte for byte; what has a sidecar gets today's. A pod or workload with the annotation "
        'plano-sidecar/inject: "false" is left alone'
    )
    example = "-f deployment.yaml --config-map plano-sidecar | kubectl apply -f -"
    add_arguments(_add(commands, "inject", _later("inject"), text, example))


def _add_wait(commands: Any) -> None:  # noqa: ANN401
    text = (
        "wait until the sidecar beside this command is ready. For a postStart hook: a kubelet "
        "starts the containers behind this one when the hook has ended"
    )
    parser = _add(commands, "wait", _later("wait"), text, "--timeout 30")
    text = "its admin port (default: %(default)d)"
    parser.add_argument("--port", type=port, metavar="PORT", default=_ADMIN_PORT, help=text)
    text = "fail after so many seconds (default: %(default)g)"
    parser.add_argument("--timeout", type=seconds, metavar="S", default=_WAIT_S, help=text)


def _add_init(commands: Any) -> None:  # noqa: ANN401
    text = "write a commented config for the providers whose API keys are in the environment"
    parser = _add(commands, "init", _later("author", "init"), text, "config.yaml")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help=_NEW_FILE)


def _add_convert(commands: Any) -> None:  # noqa: ANN401
    text = "write a config from LiteLLM's, or plano's flat one; tell what has no counterpart"
    example = "litellm.yaml --out config.yaml"
    parser = _add(commands, "convert", _later("author", "convert"), text, example)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FILE", help=_NEW_FILE)


def _add_version(commands: Any) -> None:  # noqa: ANN401
    text = "print the versions of the sidecar and of what it stands on"
    _add(commands, "version", _later("inspect", "version"), text, "")


_COMMANDS: Final[Mapping[str, Callable[[Any], None]]] = {
    "run": _add_run,
    "check": _add_check,
    "doctor": _add_doctor,
    "schema": _add_schema,
    "demo": _add_demo,
    "route": _add_route,
    "affinity": _add_affinity,
    "tail": _add_tail,
    "drain": _add_drain,
    "inject": _add_inject,
    "wait": _add_wait,
    "init": _add_init,
    "convert": _add_convert,
    "version": _add_version,
}
"""What adds each of them, in the order in which help shows them."""
