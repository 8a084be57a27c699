"""Reads a Dockerfile into stages and steps: those words that ours uses, and no others."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Final, NamedTuple

_WORDS: Final = frozenset(
    {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "RUN", "USER", "WORKDIR"}
)
_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class DockerfileError(Exception):
    """A line that cannot be read; the message has its text."""


class Step(NamedTuple):
    """One instruction: its word in capitals, and all that follows it, on one line."""

    word: str
    text: str


class Stage(NamedTuple):
    """What stands between a FROM and the next."""

    base: str
    """The name of an image, or of an earlier stage."""
    name: str
    """Empty where it has none."""
    steps: list[Step]


def read_dockerfile(text: str) -> list[Stage]:
    """Return its stages in order. Raises: DockerfileError."""
    stages: list[Stage] = []
    for line in _instructions(text):
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()
        if word == "FROM":
            base, *name = rest.split()
            if name and (len(name) != 2 or name[0].upper() != "AS"):
                raise DockerfileError(line)
            stages.append(Stage(base, name[1] if name else "", []))
        elif word in _WORDS and stages:
            stages[-1].steps.append(Step(word, rest))
        else:
            raise DockerfileError(line)
    if not stages:
        raise DockerfileError("no FROM")
    return stages


def _instructions(text: str) -> list[str]:
    """Join continued lines, and leave out comments, within a continued line too."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Put variables' values in the place of ``$NAME`` and ``${NAME}``; unknown ones are empty."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


def command_of(text: str) -> list[str] | None:
    """Return the words of the exec form, a JSON array; None for the shell form."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError as error:
        raise DockerfileError(text) from error
    return [str(word) for word in words]


def pairs_of(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs of an ENV or LABEL. Raises: DockerfileError."""
    pairs = {}
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not equals:
            raise DockerfileError(text)
        pairs[name] = expand(value, variables)
    return pairs
