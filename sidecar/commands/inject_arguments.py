"""The arguments of `plano-sidecar inject`, which are many; nothing is imported that is slow."""

from __future__ import annotations

import argparse
import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PORT_AT_MOST: Final = 65535
_AMOUNT: Final = re.compile(r"([a-z-]+(?:\.[a-z./-]+)?)=([0-9][0-9.]*[A-Za-z]*)?")
_OBJECT: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_OBJECT_CHARACTERS_AT_MOST: Final = 253
_OWN: Final = ("POD_NAMESPACE", "PLANO_TENANT")
"""Variables that the sidecar's container has by itself."""
NATIVE_SINCE: Final = (1, 29)
"""The version of Kubernetes."""
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
    add("--config-map", metavar="NAME", type=_object, default="plano-sidecar", help=text)
    text = (
        "a Secret whose keys are files below /var/run/secrets/plano-sidecar; may be repeated "
        "(default: plano-sidecar-keys)"
    )
    add("--secret", metavar="NAME", type=_object, action="append", help=text)
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


def contradiction(arguments: argparse.Namespace) -> str | None:
    """Return what is wrong with arguments that are right by themselves; None if nothing is."""
    admin, operator = arguments.admin_port, operator_port(arguments)
    ports = (arguments.data_port, admin, operator)
    if operator > _PORT_AT_MOST:
        return f"the operators' port would be {operator}: choose one by --operator-port"
    if len(set(ports)) < len(ports):
        named = "data {}, admin {}, operator {}".format(*ports)
        return f"the sidecar's ports must be three different ones: {named}"
    version = arguments.kube_version
    if arguments.mode == "native" and version is not None and version < NATIVE_SINCE:
        return "--mode native needs Kubernetes 1.29 or later"
    secrets = arguments.secret or ()
    twice = [each for each in secrets if secrets.count(each) > 1]
    if twice:
        return f"--secret {twice[0]} stands twice"
    if secrets and arguments.no_secret:
        return "--secret and --no-secret contradict each other"
    return None


def operator_port(arguments: argparse.Namespace) -> int:
    """Return the port for operators, which follows the admin port."""
    return int(arguments.operator_port or arguments.admin_port + 1)


def _object(text: str) -> str:
    if len(text) > _OBJECT_CHARACTERS_AT_MOST or not _OBJECT.fullmatch(text) or _has_gap(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of an object in Kubernetes")
    return text


def _has_gap(text: str) -> bool:
    return any(each in text for each in ("..", ".-", "-."))


def _port(text: str) -> int:
    """Return a port. Raises: argparse.ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _PORT_AT_MOST:
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
    if name in _OWN:
        raise argparse.ArgumentTypeError(f"{text!r}: the sidecar has that variable; see --tenant")
    return name, value


def _amounts(text: str) -> dict[str, str]:
    found = [_AMOUNT.fullmatch(each) for each in text.split(",")]
    if None in found:
        raise argparse.ArgumentTypeError(f"{text!r} is not like cpu=100m,memory=128Mi")
    return {each[1]: each[2] or "" for each in found if each is not None}
