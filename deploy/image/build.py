"""Runs a Dockerfile's steps, each in the root of its stage."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy.image.bases import BASES, base_root
from deploy.image.dockerfile import Stage, Step, command_of, expand, pairs_of
from deploy.image.namespace import Entry, command_line

_KEPT: Final = ("https_proxy", "http_proxy", "no_proxy", "PIP_INDEX_URL")
"""Variables of this machine that a step sees: those by which it reaches packages."""


class StepFailed(Exception):
    """A step failed; the message has the step and what it printed."""


class Image:
    """A root, and what an image says of it."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.environment = dict(environment)
        self.user = "0"
        self.folder = "/"
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.labels: dict[str, str] = {}


class Builder:
    """Builds the last stage of a Dockerfile, and those before it.

    Args: ``context`` is the folder of COPY's sources; bases are kept in ``cache``, and so is what
        the steps before a stage's first COPY made; ``arguments`` replace the defaults of ARG.
    """

    def __init__(
        self,
        context: Path,
        cache: Path,
        arguments: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._context = context
        self._cache = cache
        self._arguments = arguments
        self._tell = tell
        self._images: dict[str, Image] = {}

    def build(self, stages: list[Stage], work: Path) -> Image:
        """Run every step. Args: the stages' roots are made in the folder ``work``.

        Raises: BaseMissing, StepFailed.
        """
        image = Image(work, {})
        for number, stage in enumerate(stages):
            self._tell(f"FROM {stage.base}")
            image = self._stage(stage, work / str(number))
            self._images[stage.name or str(number)] = image
        return image

    def _stage(self, stage: Stage, root: Path) -> Image:
        earlier, steps = self._images.get(stage.base), stage.steps
        if earlier is not None:
            _copy_root(earlier.root, root)
            image = Image(root, earlier.environment)
            image.user, image.folder = earlier.user, earlier.folder
        else:
            before_copy = itertools.takewhile(lambda step: step.word != "COPY", steps)
            image, steps = self._begin(stage.base, list(before_copy), steps)
            _copy_root(image.root, root)
            image.root = root
        variables: dict[str, str] = {}
        for step in steps:
            self._run(step, image, variables)
        return image

    def _begin(self, base: str, head: list[Step], steps: list[Step]) -> tuple[Image, list[Step]]:
        """Return the image that a base and the steps ``head`` make, kept from an earlier run where
        there is one, and the steps that are left.
        """
        origin = base_root(base, self._cache)
        kept = self._cache / "kept" / hashlib.sha256(repr((base, head)).encode()).hexdigest()[:16]
        is_new = not kept.is_dir()
        image = Image(kept.with_suffix(".unfinished") if is_new else kept, BASES[base].environment)
        if is_new:
            shutil.rmtree(image.root, ignore_errors=True)
            _copy_root(origin, image.root)
        for step in head:
            if is_new or step.word != "RUN":
                self._run(step, image, {})
        if is_new:
            image.root.rename(kept)
            image.root = kept
        return image, steps[len(head) :]

    def _run(self, step: Step, image: Image, variables: dict[str, str]) -> None:
        word, text = step
        known = {**variables, **image.environment}
        if word == "ARG":
            name, _, default = text.partition("=")
            variables[name] = self._arguments.get(name, default)
        elif word == "RUN":
            self._tell(f"RUN {text}")
            command = command_of(text) or ["/bin/sh", "-c", text]
            _run_in(image, command, {**_machine(), **known})
        elif word == "COPY":
            self._copy(expand(text, known).split(), image)
        elif word == "WORKDIR":
            image.folder = os.path.join(image.folder, expand(text, known))  # noqa: PTH118 - inside the root
            _inside(image.root, image.folder).mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            image.environment.update(pairs_of(text, known))
        elif word == "LABEL":
            image.labels.update(pairs_of(text, known))
        elif word == "USER":
            image.user = text
        elif word in ("ENTRYPOINT", "CMD"):
            words = command_of(text) or ["/bin/sh", "-c", text]
            setattr(image, {"ENTRYPOINT": "entrypoint", "CMD": "command"}[word], words)

    def _copy(self, words: list[str], image: Image) -> None:
        source_root = self._context
        if words[0].startswith("--from="):
            source_root = self._images[words.pop(0).removeprefix("--from=")].root
        *sources, target = words
        goal = _inside(image.root, os.path.join(image.folder, target))  # noqa: PTH118
        for source in sources:
            origin = _inside(source_root, source)
            if origin.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.so")
                shutil.copytree(
                    origin,
                    goal,
                    symlinks=True,
                    dirs_exist_ok=True,
                    ignore=ignored if source_root == self._context else None,
                )
            else:
                into_folder = target.endswith("/") or len(sources) > 1
                where = goal / origin.name if into_folder else goal
                where.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, where)


def _machine() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _copy_root(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def _run_in(image: Image, command: list[str], environment: Mapping[str, str]) -> None:
    """Run a command in an image's root. Names and certificates are this machine's, as an engine's
    are.

    Raises: StepFailed.
    """
    files = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")
    entry = Entry(
        str(image.root),
        command,
        environment,
        folder=image.folder,
        user=image.user,
        binds={name: name for name in files if Path(name).exists()},
    )
    done = subprocess.run(
        command_line(entry),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailed(f"{' '.join(command)}\n{done.stdout}")
