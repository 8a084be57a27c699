"""The Dockerfile's steps make an image that runs as the chart runs it.

They are run here without a container engine, with the hot path left uncompiled: its compilation has
tests of its own. Bases and build tools are downloaded once.
"""

from __future__ import annotations

import os

import pytest

from deploy.image.__main__ import LIMITS, build, missing
from deploy.image.dockerfile import (
    DockerfileError,
    Step,
    command_of,
    expand,
    pairs_of,
    read_dockerfile,
)
from deploy.image.measure import Measuring, measure, uncompiled, what_should_not_be_there

STREAMS = 20


@pytest.fixture
def engine():
    """What builds and runs it."""
    reason = missing()
    if reason and os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.mark.timeout(900)
async def test_the_image_runs_as_the_chart_runs_it(engine, tmp_path_factory):
    """Without a shell, pip or build tools; as PID 1 and nobody in particular, on a read-only root,
    within the chart's memory; it ends with 0 on SIGTERM.
    """
    work = tmp_path_factory.mktemp("image")
    for folder in (work, *list(work.parents)[:2]):
        folder.chmod(0o755)  # the image's user looks into it
    said: list[str] = []
    image = build(work / "roots", compiled=False)
    # The chart's share in a CPU is a twentieth: beside other tests a start would take most of a minute.
    limits = LIMITS._replace(cpu_milli=1000)
    how = Measuring(limits, runs=1, streams=STREAMS, scenes=("redis",))
    (figures,) = await measure(image, how, work, said.append)
    print("\n".join(said))

    assert [] == what_should_not_be_there(image)
    assert [] == uncompiled(image)
    assert {"user": "65532", "privileges": "none", "PID": "1"} == figures.facts
    assert (STREAMS, 0) == (figures.served, figures.exit_code)
    assert 0 < figures.idle <= figures.loaded < LIMITS.memory_mib


def test_stages_and_steps_are_read_as_written():
    """Comments are left out, also within a continued line; words are taken in any case."""
    text = "# a\nfrom base:1 AS one\nRUN a \\\n  # why\n && b\nFROM one\nCOPY --from=one /a /b\n"

    assert [
        ("base:1", "one", [Step("RUN", "a   && b")]),
        ("one", "", [Step("COPY", "--from=one /a /b")]),
    ] == read_dockerfile(text)


@pytest.mark.parametrize(
    "text", ["", "RUN a", "FROM a AS", "FROM a\nHEALTHCHECK NONE", "FROM a\nADD b c"]
)
def test_what_would_be_left_out_is_refused(text):
    """An instruction that is not carried out would make another image than an engine makes."""
    with pytest.raises(DockerfileError):
        read_dockerfile(text)


def test_variables_and_arrays_are_read_as_an_engine_does():
    """Pairs with quotes; the exec form, and its broken JSON; unknown variables are empty."""
    known = {"PATH": "/bin"}

    assert "/a:/bin--" == expand("/a:$PATH-${NONE}-", known)
    assert {"PATH": "/a:/bin", "B": "c d"} == pairs_of('PATH=/a:$PATH B="c d"', known)
    assert (["a", "b"], None) == (command_of('["a", "b"]'), command_of("a b"))
    for broken in ("[a]", "[1"):
        with pytest.raises(DockerfileError):
            command_of(broken)
    with pytest.raises(DockerfileError):
        pairs_of("NAME value", known)
