"""What the variables of an app's container become, so that its calls go through the sidecar.

An app's own settings stay: a base URL or key that it names itself is left as it is. A proxy that it
uses must not be asked for the sidecar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sidecar.inject import pod

Variables = list[dict[str, Any]]
"""As a container's `env` has them."""

_PROXIES: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
_EXCEPTIONS: Final = ("NO_PROXY", "no_proxy")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_LLM: Final = ("OPENAI_", "ANTHROPIC_")
"""How the names begin that say that a container calls a model."""
_OURS: Final = re.compile(r"http://127\.0\.0\.1:\d{1,5}(?:/v1)?")
"""A base URL as it is written here, for any port."""


def calls_models(variables: Variables) -> bool:
    """Return whether a container's variables say that it calls a model."""
    return any(str(each.get("name", "")).startswith(_LLM) for each in variables)


def app_variables(
    variables: Variables, options: pod.PodOptions, *, has_more: bool
) -> tuple[Variables, list[str]]:
    """Return a container's variables as they should be, and what a person should know of them.

    Args: ``has_more`` says whether the container takes variables from ConfigMaps or Secrets too.
    """
    made, notes = _with_base_urls(variables, options)
    if has_more:
        notes.append(
            "takes variables from a ConfigMap or Secret (envFrom): what is set here goes before "
            "them, and a proxy in them needs localhost, 127.0.0.1 and ::1 in its NO_PROXY"
        )
    if any(str(each.get("name", "")).upper() in _PROXIES for each in variables):
        made = _with_exceptions(made, notes, has_more=has_more)
        notes.append(
            "uses a proxy, of which the sidecar knows nothing: if providers are reached through it "
            "alone, give the sidecar the variable too (--env HTTPS_PROXY=...)"
        )
    return made, notes


def _with_base_urls(variables: Variables, options: pod.PodOptions) -> tuple[Variables, list[str]]:
    made, notes = list(variables), []
    for wanted in pod.app_environment(options):
        name = wanted["name"]
        at = _place(made, name)
        if at is None:
            made.append(wanted)
        elif _is_ours(made[at], made):
            made[at] = {**made[at], "value": wanted["value"]}
        elif name.endswith("_BASE_URL") and made[at].get("value") != wanted["value"]:
            notes.append(f"sets {name} itself, so those calls do not go through the sidecar")
    return made, notes


def _is_ours(variable: dict[str, Any], variables: Variables) -> bool:
    """Return whether a base URL was written here before: one of the pod's own loopback, beside our
    placeholder of its key. An app may have a server of its own there.
    """
    name, value = str(variable.get("name", "")), str(variable.get("value", ""))
    if not name.endswith("_BASE_URL") or not _OURS.fullmatch(value):
        return False
    at = _place(variables, name.replace("_BASE_URL", "_API_KEY"))
    return at is not None and variables[at].get("value") == pod.PLACEHOLDER_KEY


def _with_exceptions(variables: Variables, notes: list[str], *, has_more: bool) -> Variables:
    """Return the variables with the loopback in both spellings of NO_PROXY; where more variables
    come from elsewhere, in those that are there, since one that is added would hide theirs.
    """
    made = list(variables)
    places = [_place(made, name) for name in _EXCEPTIONS]
    if any(at is not None and "valueFrom" in made[at] for at in places):
        notes.append(
            "takes NO_PROXY from elsewhere (valueFrom), which is left: it needs localhost, "
            "127.0.0.1 and ::1"
        )
        return made
    if has_more and None in places:
        notes.append(
            "may take NO_PROXY or no_proxy from a ConfigMap or Secret (envFrom), which is left: it "
            "needs localhost, 127.0.0.1 and ::1"
        )
    known = [str(made[at].get("value") or "") for at in places if at is not None]
    for name, at in zip(_EXCEPTIONS, places, strict=True):
        if at is not None:
            old = str(made[at].get("value") or "")
            made[at] = {**made[at], "value": _with_local(old)}
        elif not has_more:
            # Most libraries read the lower case alone where it is set: it must say no less.
            made.append({"name": name, "value": _with_local(known[0] if known else "")})
    return made


def _with_local(value: str) -> str:
    hosts = [each.strip() for each in value.split(",")]
    missing = [each for each in _LOCAL if each not in hosts]
    if "*" in hosts or not missing:
        return value
    return ",".join((*([value.rstrip(" ,")] if value.strip(" ,") else []), *missing))


def _place(variables: Variables, name: str) -> int | None:
    """Return where a variable stands. Of two with one name the last counts, as for Kubernetes."""
    return max(_places(variables, name), default=None)


def _places(variables: Variables, name: str) -> Iterator[int]:
    return (at for at, each in enumerate(variables) if each.get("name") == name)
