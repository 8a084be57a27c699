"""The command that adds the sidecar to manifests."""

from __future__ import annotations

import io
import sys
import types

import pytest
import yaml

import sidecar
from sidecar.cli import main
from sidecar.commands.inject import inject_options
from sidecar.commands.inject_arguments import add_arguments
from sidecar.inject.pod import Mode

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: app\n"
REFUSED = POD.replace("spec:\n", "spec:\n  hostNetwork: true\n")


@pytest.fixture
def run(tmp_path, capsysbinary, monkeypatch):
    """Run the command on files of the given texts: exit code, stdout, lines of stderr."""

    def done(*texts, options=(), stdin=""):
        arguments = ["inject", *options]
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.yaml"
            path.write_bytes(text.encode())
            arguments += ["-f", str(path)]
        source = types.SimpleNamespace(buffer=io.BytesIO(stdin.encode()))
        monkeypatch.setattr(sys, "stdin", source)
        code = main(arguments)
        out, err = capsysbinary.readouterr()
        lines = err.decode().replace(f"{tmp_path}/", "").splitlines()
        return code, out.decode(), lines

    return done


def test_a_manifest_is_printed_with_its_sidecar(run):
    """Of this very version, native, with nothing to say."""
    code, out, lines = run(POD)
    (added,) = yaml.safe_load(out)["spec"]["initContainers"]

    assert (0, []) == (code, lines)
    assert f"plano-sidecar:{sidecar.__version__}" == added["image"]


def test_stdin_is_read_beside_files(run):
    """Several become documents of one output, whatever stands at their begin and end."""
    code, out, _ = run(POD.rstrip(), "\ufeff" + POD, options=["-f", "-"], stdin="---\n" + POD)

    assert 0 == code
    assert ["p", "p", "p"] == [each["metadata"]["name"] for each in yaml.safe_load_all(out)]
    assert "\ufeff" not in out


def test_a_problem_prints_nothing_but_itself(run):
    """What is piped into `kubectl apply` must not be half of it."""
    code, out, lines = run(POD, REFUSED)

    assert (1, "") == (code, out)
    assert 1 == len(lines)
    assert lines[0].startswith("1.yaml: document 1, Pod/p: uses the node's network (hostNetwork)")


def test_problems_may_be_passed_by(run):
    """The rest is done; the exit code tells all the same."""
    code, out, lines = run(f"{REFUSED}---\n{POD}", options=["--keep-going"])

    assert (1, 1) == (code, len(lines))
    assert out.startswith(REFUSED)
    assert "plano-sidecar" in out


def test_what_a_person_should_know_is_a_warning(run):
    """It stops nothing."""
    text = POD + "    env: [{name: OPENAI_BASE_URL, value: x}]\n"
    code, out, lines = run(text)

    assert (0, True) == (code, "initContainers" in out)
    assert lines[0].startswith("warning: 0.yaml: document 1, Pod/p: container app sets OPENAI_BASE")


def test_a_file_without_pods_is_a_warning(run):
    """It may be the wrong one."""
    text = "kind: Service\napiVersion: v1\n"

    assert (0, text, ["warning: nothing here holds a pod that takes a sidecar"]) == run(text)


def test_a_file_that_is_not_there_is_a_problem(run, tmp_path):
    """With the system's reason; a folder likewise."""
    code, out, lines = run(options=["-f", str(tmp_path / "none"), "-f", str(tmp_path)])

    assert (1, "") == (code, out)
    assert lines[0] == "none: No such file or directory"
    assert lines[1].endswith(": Is a directory")


def _options(*arguments):
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return inject_options(parser.parse_args(["-f", "-", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        ((), Mode.NATIVE),
        (("--kube-version", "1.28"), Mode.CONTAINER),
        (("--kube-version", "v1.29.3-eks-1"), Mode.NATIVE),
        (("--mode", "container", "--kube-version", "1.33"), Mode.CONTAINER),
        (("--mode", "native", "--kube-version", "1.29"), Mode.NATIVE),
    ],
)
def test_the_mode_follows_the_cluster_unless_it_is_said(arguments, mode):
    """Native sidecars are on by default since 1.29."""
    assert mode is _options(*arguments).pod.mode


def test_every_option_has_its_argument():
    """All that may differ between pods, but for what the chart alone offers."""
    made = _options(
        *("--image", "r/i:1", "--pull-policy", "Always", "--data-port", "1", "--admin-port", "2"),
        *("--config-map", "c", "--secret", "s", "--secret", "t", "--tenant", "acme"),
        *("--uid", "7", "--env", "A=b=c", "--no-scrape", "--container", "app"),
        *("--requests", "cpu=1,memory=", "--limits", "memory=1Gi"),
    )
    parts = made.pod

    assert ("r/i:1", "Always", 1, 2, 3) == (
        parts.image,
        parts.pull_policy,
        parts.data_port,
        parts.admin_port,
        parts.operator_port,
    )
    assert ("c", ("s", "t"), "acme", 7) == (
        parts.config_map,
        parts.secrets,
        parts.tenant,
        parts.uid,
    )
    assert (({"name": "A", "value": "b=c"},), False) == (parts.env, parts.scrape)
    assert {"cpu": "1", "ephemeral-storage": "64Mi"} == parts.resources["requests"]
    assert ("app",) == made.only


def test_a_user_and_secrets_may_be_left_out():
    """For OpenShift, and for providers that need no key."""
    made = _options("--uid", "cluster", "--no-secret", "--operator-port", "5").pod

    assert (None, (), 5) == (made.uid, made.secrets, made.operator_port)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--uid", "0"], ["--uid", "x"], ["--data-port", "0"], ["--admin-port", "x"]),
        *(["--env", "A"], ["--env", "1=2"], ["--limits", "memory"], ["--kube-version", "new"]),
        *(["--mode", "both"], ["--data-port", "65536"], ["--config-map", "A"]),
        *(["--secret", "a_b"], ["--secret", ""], ["--config-map", "a" * 254], ["--secret", "a."]),
        *(["--env", "POD_NAMESPACE=x"], ["--env", "PLANO_TENANT=x"]),
    ],
)
def test_arguments_that_mean_nothing_are_usage_errors(arguments, capsys):
    """Before anything is read."""
    with pytest.raises(SystemExit) as ended:
        main(["inject", "-f", "-", *arguments])

    assert 64 == ended.value.code
    assert arguments[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data-port", "9901"], "three different ones"),
        (["--data-port", "9902"], "9902"),
        (["--operator-port", "12000"], "three different ones"),
        (["--admin-port", "65535"], "--operator-port"),
        (["--mode", "native", "--kube-version", "1.28"], "1.29"),
        (["--secret", "a", "--secret", "b", "--secret", "a"], "--secret a"),
        (["--no-secret", "--secret", "a"], "--no-secret"),
    ],
)
def test_arguments_that_contradict_each_other_are_usage_errors(run, arguments, message):
    """Nothing is printed that a cluster would refuse or that would not start."""
    code, out, (line,) = run(POD, options=arguments)

    assert (64, "") == (code, out)
    assert line.startswith("plano-sidecar inject: ")
    assert message in line
