"""`init` and `convert` write configs, and nothing over a file that is there."""

from __future__ import annotations

from argparse import Namespace

import pytest

from sidecar import cli
from sidecar.commands import author
from sidecar.domain.errors import ConfigError


def test_init_writes_to_stdout_or_to_a_new_file(tmp_path, capsys, monkeypatch):
    """A file that is there already is somebody's work."""
    monkeypatch.setenv("GROQ_API_KEY", "k")
    file = tmp_path / "c.yaml"

    assert 0 == cli.main(["init"])
    printed = capsys.readouterr().out
    assert 0 == cli.main(["init", str(file)])
    assert printed == file.read_text()
    assert "groq/*" in printed
    assert 1 == cli.main(["init", str(file)])
    assert f"{file}: File exists" in capsys.readouterr().err


def test_convert_prints_the_config_and_what_is_lost(tmp_path, capsys):
    """The config alone goes to stdout."""
    file = tmp_path / "litellm.yaml"
    file.write_text("model_list: [{model_name: a, litellm_params: {model: openai/a, rpm: 1}}]\n")

    assert 0 == cli.main(["convert", str(file)])
    printed = capsys.readouterr()
    assert printed.out.startswith("version: v0.4.0\n")
    assert f"{file}: line 1: litellm_params.rpm has no counterpart\n" == printed.err
    assert 0 == cli.main(["convert", str(file), "--out", str(tmp_path / "ours.yaml")])
    assert printed.out == (tmp_path / "ours.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1", "holds neither LiteLLM's model_list nor plano's llm_providers"),
        (b"- a", "holds neither LiteLLM's model_list nor plano's llm_providers"),
        (b"model_providers: [{model: openai/a}]", "needs no conversion: `plano-sidecar check"),
        (b"a: [", "not YAML"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_convert_says_why_a_file_cannot_be_used(tmp_path, capsys, content, expected):
    """As `check` does, with its exit code."""
    file = tmp_path / "f.yaml"
    file.write_bytes(content)

    assert 78 == cli.main(["convert", str(file)])
    assert expected in capsys.readouterr().err


def test_the_version_is_told_by_a_flag_too(capsys):
    """As most programs do."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (0, "plano-sidecar") == (ended.value.code, capsys.readouterr().out.split()[0])


def test_errors_of_the_file_are_config_errors(tmp_path):
    """One that is not there, too."""
    with pytest.raises(ConfigError):
        author.convert(Namespace(file=tmp_path / "missing", out=None))
