"""The arguments of `plano-sidecar inject`, which are many; nothing is imported that is slow."""

from __future__ import annotations

import argparse
import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_AMOUNT: Final = re.compile(r"([a-z-]+(?:\.[a-z./-]+)?)=([0-9][0-9.]*[A-Za-z]*)?")
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:[.+-].*)?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the command's parser."""
    add = parser.add_argument
    text = "a file of manifests, YAML or JSON; - is stdin; may be repeated"
    add("-f", "--file", metavar="FILE", action="append", required=True, help=text)
    text = "print what could be done, with the rest as it was; the exit code is 1 all the same"
    add("--keep-going", action="store_true", help=text)
    _add_container(parser)
    text = "the ConfigMap whose key config.yaml is the sidecar's config (default: %(default)s)"
    add("--config-map", metavar="NAME", default="plano-sidecar", help=text)
    text = (
        "a Secret whose keys are files below /var/run/secrets/plano-sidecar; may be repeated "
        "(default: plano-sidecar-keys)"
    )
    add("--secret", metavar="NAME", action="append", help=text)
    add("--no-secret", action="store_true", help="mount no Secret")
    text = "the sessions' tenant, as PLANO_TENANT (default: the pod's namespace)"
    add("--tenant", metavar="NAME", default="", help=text)
    text = "a variable of the sidecar; may be repeated"
    add("--env", metavar="NAME=VALUE", action="append", type=_variable, help=text)
    text = (
        "a container that gets the base URLs; may be repeated (default: all of the app's, and init "
        "containers that have variables of OpenAI or Anthropic)"
    )
    add("--container", metavar="NAME", action="append", help=text)
    text = "add no prometheus.io annotations: a PodMonitor scrapes"
    add("--no-scrape", action="store_true", help=text)


def _add_container(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--image", metavar="IMAGE", help="the sidecar's image (default: plano-sidecar:VERSION)")
    policies = ("Always", "IfNotPresent", "Never")
    add("--pull-policy", choices=policies, default="IfNotPresent", help="(default: %(default)s)")
    text = (
        "native: an init container that stays, for Kubernetes 1.29 and later; container: an "
        "ordinary one; auto: native unless --kube-version is older (default: %(default)s)"
    )
    add("--mode", choices=("auto", "native", "container"), default="auto", help=text)
    add("--kube-version", metavar="VERSION", type=_version, help="the cluster's version, for auto")
    for name, default, text in (
        ("data", 12000, "listeners[].port of the sidecar's config"),
        ("admin", 9901, "admin.port of it"),
        ("operator", None, "the port of admin.operator_address (default: the admin port + 1)"),
    ):
        shown = "" if default is None else f" (default: {default})"
        add(f"--{name}-port", metavar="PORT", type=_port, default=default, help=text + shown)
    text = "the sidecar's user, a number, or `cluster` to let the cluster choose, as OpenShift does"
    add("--uid", metavar="UID", type=_uid, default=65532, help=f"{text} (default: %(default)s)")
    text = "what the sidecar {0}, as in cpu=100m,memory=128Mi; an empty amount takes one away"
    for name, verb in (("requests", "asks for"), ("limits", "may use")):
        add(f"--{name}", metavar="AMOUNTS", type=_amounts, help=text.format(verb))


def _port(text: str) -> int:
    """Return a port. Raises: argparse.ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _uid(text: str) -> int | None:
    if text == "cluster":
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a user's number but 0 nor `cluster`")
    return int(text)


def _version(text: str) -> tuple[int, int]:
    found = _VERSION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 1.29")
    return int(found[1]), int(found[2])


def _variable(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given or not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _amounts(text: str) -> dict[str, str]:
    found = [_AMOUNT.fullmatch(each) for each in text.split(",")]
    if None in found:
        raise argparse.ArgumentTypeError(f"{text!r} is not like cpu=100m,memory=128Mi")
    return {each[1]: each[2] or "" for each in found if each is not None}
