"""Each provider family as its maker documents it: real SDKs call it by the sidecar's own row, at
the provider's own name over TLS, and it sees its own path, its own key and nobody else's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.domain.call import EMBEDDINGS, DialectName
from tests.support.every_provider import EveryProvider, every_provider
from tests.support.in_process import running_app
from tests.support.provider_table import CLAUDE, SERVED
from tests.support.sdk_matrix import ARGUMENTS, answer
from tests.support.sdks import Sdks, open_sdks
from tests.support.tool_loops import converse

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY_HEADERS = {"authorization", "x-api-key", "api-key", "x-goog-api-key"}
OF_THE_APP = {"api-key": "sk-app", "x-goog-api-key": "sk-app", "cookie": "c=sk-app"}
"""Beside the two that the SDKs send."""
SPOKEN = [
    (family, model, dialect)
    for table, model in ((SERVED, "m"), (CLAUDE, "claude-x"))
    for family, served in table.items()
    for dialect in served
]
GENERATED = [each for each in SPOKEN if each[2] != EMBEDDINGS]
EMBEDDED = [each for each in SPOKEN if each[2] == EMBEDDINGS]


def _own_host(family: str) -> str:
    """Where a family's servers stand whose address only the operator knows."""
    return f"{family.replace('_', '-')}.test"


def _place(family: str, place: str) -> str:
    host, slash, path = place.partition("/")
    return (_own_host(family) if host == "own" else host) + slash + path


def _documented(family: str, model: str, dialect: DialectName) -> tuple[str, tuple[str, str]]:
    """Host with path, and the header of the key ``sk-<family>``."""
    place, line = (CLAUDE if model == "claude-x" else SERVED)[family][dialect]
    header, _, value = line.partition(": ")
    return _place(family, place), (header.lower(), value.removesuffix("k") + f"sk-{family}")


def _entry(family: str, trusted: str) -> dict[str, object]:
    entry: dict[str, object] = {
        "model": f"{family}/*",
        "access_key": f"sk-{family}",
        "tls": {"ca_file": trusted},
    }
    if any(place.startswith("own/") for place, _ in SERVED[family].values()):
        entry["base_url"] = f"https://{_own_host(family)}"
    return entry


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[EveryProvider, Sdks]]:
    """One sidecar with an entry of each family, and nothing in it but model and key."""
    work = tmp_path_factory.mktemp("families")
    places = [_place(family, place) for family in SERVED for place, _ in SERVED[family].values()]
    hosts = {place.partition("/")[0] for place in places}
    entries = [_entry(family, str(work / "ca.pem")) for family in SERVED]
    async with (
        every_provider(hosts, work) as (provider, proxy),
        running_app({"model_providers": entries}, work, {"HTTPS_PROXY": proxy}) as app,
        open_sdks(f"http://127.0.0.1:{app.ports.data}", "async") as sdks,
    ):
        yield provider, sdks


def _assert_as_documented(provider: EveryProvider, expected: tuple[str, tuple[str, str]]) -> None:
    """All that the provider was asked came to the documented place with the documented key, and
    brought nothing of the app's.
    """
    asked, provider.asked = provider.asked, []
    keys = [
        {name: value for name, value in headers.items() if name in KEY_HEADERS}
        for _, headers in asked
    ]
    place, (header, value) = expected
    assert {place} == {each for each, _ in asked}
    assert [{header: value}] * len(asked) == keys
    assert "sk-app" not in repr(asked)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("family", "model", "dialect"), GENERATED)
async def test_a_family_generates_as_its_maker_says(world, family, model, dialect, is_streamed):
    """Words, a tool's call and words about its result, whole or streamed."""
    provider, sdks = world
    said = await converse(
        sdks, dialect, is_streamed=is_streamed, model=f"{family}/{model}", extra_headers=OF_THE_APP
    )

    assert (answer(model), ARGUMENTS, answer(model)) == said
    assert 3 == len(provider.asked)
    _assert_as_documented(provider, _documented(family, model, dialect))


@pytest.mark.parametrize(("family", "model", "dialect"), EMBEDDED)
async def test_a_family_embeds_as_its_maker_says(world, family, model, dialect):
    """One vector for one text."""
    provider, sdks = world
    reply = await sdks.openai.embeddings.create(
        model=f"{family}/{model}", input="Hello", extra_headers=OF_THE_APP
    )

    assert 1 == len(reply.data)
    _assert_as_documented(provider, _documented(family, model, dialect))
