"""The commands, as a person or a script meets them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import jsonschema
import pytest

from sidecar.cli import main
from sidecar.config.load import load_config

GOOD = "model_providers:\n  - {model: openai/gpt-4o, access_key: sk-x}\n"
BAD = "model_providers:\n  - {model: openai/gpt-4o, acess_key: sk-x}\nlimits: {in_flight: 0}\n"


@pytest.mark.parametrize(
    "command",
    ["run", "check", "doctor", "schema", "demo", "route", "affinity", "inject", "version"],
)
def test_every_command_explains_itself_with_an_example(command, capsys):
    """--help ends with 0 and shows how it is used."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert 0 == ended.value.code
    assert f"example: plano-sidecar {command}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("arguments", [[], ["serve"], ["check"], ["run", "--confg", "x"]])
def test_a_wrong_use_ends_with_64(arguments, capsys):
    """And says on stderr what was wrong."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert 64 == ended.value.code
    assert "plano-sidecar" in capsys.readouterr().err


def test_check_prints_every_problem_with_its_line(tmp_path, capsys):
    """One line a problem, a suggestion for a misspelt key, 78 at the end, and no secret."""
    file = tmp_path / "c.yaml"
    file.write_text(BAD)

    assert 78 == main(["check", str(file)])
    lines = capsys.readouterr().err.splitlines()
    assert [True, True] == [f"{file}:2: " in lines[0], f"{file}:3: " in lines[1]]
    assert "did you mean 'access_key'?" in lines[0]
    assert 2 == len(lines)
    assert "sk-x" not in "".join(lines)


def test_check_says_ok(tmp_path, capsys):
    """0, one line, and how much memory it would use here; warnings go to stderr."""
    file = tmp_path / "c.yaml"
    file.write_text(GOOD + "tracing: {span_attributes: {}}\n")

    assert 0 == main(["check", str(file)])
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{file}: ok\nlimits.memory_bytes: ")
    assert printed.err.startswith("warning: ")


def test_check_takes_one_file_or_two_to_compare(tmp_path, capsys):
    """Neither, and both, are a usage error."""
    file = tmp_path / "c.yaml"
    file.write_text(GOOD)
    codes: list[object] = [main(["check", "--diff", str(file), str(file)])]
    for arguments in ([], [str(file), "--diff", str(file), str(file)]):
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments])
        codes.append(ended.value.code)

    assert [0, 64, 64] == codes


def test_a_missing_file_is_a_config_error(capsys):
    """Not a traceback."""
    assert 78 == main(["check", "/nowhere/config.yaml"])
    assert "/nowhere/config.yaml" in capsys.readouterr().err


def test_run_without_file_and_keys_says_what_to_set(monkeypatch, capsys):
    """Zero config needs at least one key."""
    for name in list(__import__("os").environ):
        if name.endswith("_API_KEY"):
            monkeypatch.delenv(name)

    assert 78 == main(["run"])
    assert "OPENAI_API_KEY" in capsys.readouterr().err


def test_zero_config_serves_what_the_keys_allow():
    """Wildcards of the providers whose keys are there."""
    loaded = load_config(None, {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"})

    assert ["openai/*", "anthropic/*"] == [provider.model for provider in loaded.providers]
    assert loaded.is_zero_config


def test_schema_is_one_that_validates_configs(capsys):
    """JSON Schema that somebody else's validator takes, and applies."""
    assert 0 == main(["schema"])
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    assert validator.is_valid(
        {"model_providers": [{"model": "openai/gpt-4o", "access_key": "$KEY"}]}
    )
    assert not validator.is_valid(
        {"model_providers": [{"model": "openai/gpt-4o", "acess_key": "x"}]}
    )


def test_version_names_what_it_stands_on(capsys):
    """What a bug report needs."""
    assert 0 == main(["version"])
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]

    assert {"plano-sidecar", "python", "aiohttp", "msgspec", "redis"} <= set(names)
    assert "listener path fast" in lines


async def test_output_to_a_closed_pipe_is_no_traceback():
    """`plano-sidecar schema | head -1`."""
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m sidecar schema | head -1",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()

    assert (b"{\n", b"") == (out, errors)


async def test_output_to_a_full_disk_is_one_line():
    """`plano-sidecar schema > /full/disk`."""
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m sidecar schema > /dev/full",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()

    assert (1, b"plano-sidecar: the output cannot be written: no space is left\n") == (
        process.returncode,
        errors,
    )


def test_version_says_whether_the_hot_path_is_compiled(capsys):
    """The compiled package's tests are of the compiled package, and the others are not."""
    assert 0 == main(["version"])
    first = capsys.readouterr().out.splitlines()[0]

    assert (os.environ.get("SIDECAR_EXPECT_COMPILED") == "1") == first.endswith(
        "(hot path compiled)"
    )
