"""What the commands that serve nothing print, and how they end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.commands import inspect
from sidecar.domain.errors import ConfigError

GOOD = "model_providers:\n  - {model: openai/gpt-4o, access_key: sk-x, default: true}\n"


@pytest.fixture
def config(tmp_path):
    """A config file without a problem."""
    file = tmp_path / "c.yaml"
    file.write_text(GOOD)
    return file


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("{memory_bytes: 134217728}", "134217728"),
        ("{}", "100663296 (not set: by this container's limit)"),
    ],
)
def test_check_says_ok_and_how_much_memory_is_used(config, capsys, monkeypatch, limits, said):
    """On stdout, and nothing else."""
    monkeypatch.setattr("sidecar.build.memory.memory_limit_bytes", lambda: 192 << 20)
    config.write_text(f"{GOOD}limits: {limits}\n")

    assert 0 == inspect.check(Namespace(diff=None, file=config, allow_missing_files=False))
    assert (f"{config}: ok\nlimits.memory_bytes: {said}\n", "") == capsys.readouterr()


def test_check_warns_of_bodies_that_memory_has_no_room_for(config, capsys):
    """They would be refused with 413 though `limits.body_bytes` allows them."""
    config.write_text(f"{GOOD}limits: {{memory_bytes: 16777216}}\n")
    inspect.check(Namespace(diff=None, file=config, allow_missing_files=False))

    assert "bodies of more than 6291456 bytes are refused here" in capsys.readouterr().err


def test_a_problem_passes_through(config):
    """The command line prints it, as it does for every command."""
    config.write_text("model_providers: 3\n")

    with pytest.raises(ConfigError):
        inspect.check(Namespace(diff=None, file=config, allow_missing_files=False))


def test_missing_files_may_cost_a_warning_alone(config, capsys):
    """Before an install, Secrets may not be there yet: a key, a password, a prompt."""
    config.write_text(
        GOOD.replace("sk-x", "'${file:keys/openai}'")
        + "routing:\n  prompt_template: ${file:prompt}\n"
        + "  session_cache: {type: redis, url: 'redis://r', password: '${file:redis}'}\n"
    )
    with pytest.raises(ConfigError, match="cannot be read"):
        inspect.check(Namespace(diff=None, file=config, allow_missing_files=False))

    assert 0 == inspect.check(Namespace(diff=None, file=config, allow_missing_files=True))
    warnings = capsys.readouterr().err.splitlines()
    missing = [line for line in warnings if "there is no such file yet" in line]
    assert ["keys/openai", "prompt", "redis"] == [
        line.partition(f"warning: {config.parent}/")[2].partition(":")[0] for line in missing
    ]


@pytest.mark.parametrize(
    ("more", "printed", "code"),
    [
        ("# a comment\n", "", 0),
        ("limits: {attempts: 2}\n", "~ limits.attempts 3 -> 2\n", 2),
        (
            "limits: {attempts: 2}\nadmin: {port: 1}\n",
            "~ admin.port 9901 -> 1\n~ limits.attempts 3 -> 2\nneeds a restart: admin.port 9901 -> 1\n",
            3,
        ),
    ],
)
def test_a_comparison_says_what_a_new_config_changes(config, capsys, more, printed, code):
    """And by its code, whether a reload brings that."""
    new = config.with_name("new.yaml")
    new.write_text(GOOD + more)
    arguments = Namespace(file=None, diff=[config, new], allow_missing_files=False)

    assert code == inspect.check(arguments)
    assert (printed, "") == capsys.readouterr()


def test_a_comparison_needs_two_good_configs(config):
    """The problems of either are printed as ever."""
    new = config.with_name("new.yaml")
    new.write_text("model_providers: 3\n")
    for files in ([config, new], [new, config]):
        with pytest.raises(ConfigError, match="model_providers"):
            inspect.check(Namespace(file=None, diff=files, allow_missing_files=False))


def test_a_missing_config_is_no_missing_file(tmp_path):
    """Nor is a file that is there and cannot be read, such as a folder."""
    missing = tmp_path / "none.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        inspect.check(Namespace(diff=None, file=missing, allow_missing_files=True))

    missing.write_text(GOOD.replace("sk-x", "'${file:.}'"))
    with pytest.raises(ConfigError, match="directory"):
        inspect.check(Namespace(diff=None, file=missing, allow_missing_files=True))


def test_schema_is_json(capsys):
    """Ready for an editor."""
    assert 0 == inspect.schema(Namespace())
    assert "$schema" in json.loads(capsys.readouterr().out)


NO_MORE = dict.fromkeys(("body", "dialect", "model", "session", "tenant", "agent"))


def test_route_explains_and_ends_well(config, capsys):
    """Nothing is routed by this config: the default serves."""
    assert 0 == inspect.route(_hello(config))
    assert "plan:     openai/gpt-4o" in capsys.readouterr().out


def test_route_takes_the_model_that_the_call_asks_for(config, capsys):
    """It need not be the default; one that is unknown is refused as by `run`."""
    assert 0 == inspect.route(_hello(config, "openai/gpt-4o"))
    assert "plan:     openai/gpt-4o" in capsys.readouterr().out
    assert 1 == inspect.route(_hello(config, "nobody/knows"))
    assert capsys.readouterr().err.startswith("model_not_found: ")


def test_a_text_that_no_model_takes_is_one_line_and_1(config, capsys):
    """No default, and a text names no model."""
    config.write_text(GOOD.replace(", default: true", ""))
    assert 1 == inspect.route(_hello(config))
    assert capsys.readouterr().err.startswith("model_not_found: ")


def _hello(config: Path, model: str | None = None) -> Namespace:
    return Namespace(config=config, text="hello", **{**NO_MORE, "model": model})


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "No such file"), ("{", "truncated"), ('{"messages": []}', "name it by --dialect")],
)
def test_a_file_that_holds_no_request_is_one_line_and_1(text, said, config, tmp_path, capsys):
    """Missing, broken, or of an API that it does not tell."""
    file = tmp_path / "body.json"
    if text is not None:
        file.write_text(text)
    arguments = Namespace(config=config, text=None, **{**NO_MORE, "body": file})

    assert 1 == inspect.route(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}: ")
    assert said in line


def test_a_request_in_a_file_is_explained(config, tmp_path, capsys):
    """As what it says it is, or as it is said to be."""
    file = tmp_path / "body.json"
    for body, dialect in (('{"input": "hi"}', None), ('{"messages": []}', "chat")):
        file.write_text(body)
        arguments = Namespace(
            config=config, text=None, **{**NO_MORE, "body": file, "dialect": dialect}
        )
        assert 0 == inspect.route(arguments)
        assert "plan:     openai/gpt-4o" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("factory", "loop"), [(None, "asyncio"), (asyncio.SelectorEventLoop, "asyncio")]
)
def test_version_names_the_loop_and_what_is_missing(factory, loop, monkeypatch, capsys):
    """One name and its version a line."""
    monkeypatch.setattr(inspect, "fast_loop_factory", lambda: factory)
    monkeypatch.setattr(inspect, "_PACKAGES", ("msgspec", "no-such-package"))

    assert 0 == inspect.version(Namespace())
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith(f"plano-sidecar {__version__}")
    assert "no-such-package not installed" == lines[2]
    assert f"loop {loop}" == lines[-1]


WITHOUT_REDIS = """
import sys
from sidecar.cli import main

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "redis":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
sys.exit(main(sys.argv[1:]))
"""


def test_check_and_run_say_the_same_of_an_extra_that_is_missing(config):
    """`check` said ok of a config that `run` ended with 78 for."""
    cache = "routing: {session_cache: {type: redis, url: 'redis://127.0.0.1:1/0'}}"
    config.write_text(f"{GOOD}{cache}\n")
    said = [
        subprocess.run(
            [sys.executable, "-c", WITHOUT_REDIS, command, str(config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for command in ("check", "run")
    ]

    assert [78, 78] == [each.returncode for each in said]
    for each in said:
        assert (
            "session_cache.type redis needs the extra: pip install 'plano-sidecar[redis]'"
            in each.stderr
        )
        assert "Traceback" not in each.stderr
