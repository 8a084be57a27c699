"""Servers are made before a port is opened."""

from __future__ import annotations

from sidecar.build.foundation import build_foundation
from sidecar.build.generation import build_generation
from sidecar.build.listeners import build_servers
from sidecar.build.live_page import build_live_page
from sidecar.build.operator_pages import build_operator_pages
from sidecar.config.load import load_config
from sidecar.dialects.registry import DIALECTS
from sidecar.runtime.descriptors import descriptor_shares


def _loaded(tmp_path):
    file = tmp_path / "sidecar.yaml"
    file.write_text(
        '{"version": "v0.4.0", "model_providers": [{"model": "openai/gpt-4o", "access_key": "k"}]}'
    )
    return load_config(file, {})


async def test_servers_are_made_without_a_connection(tmp_path):
    """Whoever wants to look into a sidecar without ports makes them and opens none."""
    loaded = _loaded(tmp_path)
    foundation = build_foundation(loaded, {}, DIALECTS, lambda: None)
    generation = build_generation(loaded, foundation)

    servers = build_servers(generation, foundation, descriptor_shares(4096))

    assert [[], [], []] == [
        list(each.connections) for each in (servers.data, servers.admin, servers.operators)
    ]
    await generation.aclose()


async def test_every_page_of_operators_has_a_path_of_its_own(tmp_path):
    """And a line in the list of pages."""
    foundation = build_foundation(_loaded(tmp_path), {}, DIALECTS, lambda: None)
    pages = build_operator_pages(foundation)
    paths = [page.path for page in pages]

    assert sorted(set(paths)) == sorted(paths)
    assert {"/", "/status", "/affinity/", "/affinity/session"} <= set(paths)
    assert all(page.help and page.methods for page in pages)


async def test_the_live_page_is_made_before_there_is_anything_to_show(tmp_path):
    """Its numbers are read when somebody asks, and not before."""
    asked: list[str] = []

    def serving():
        asked.append("generation")

    foundation = build_foundation(_loaded(tmp_path), {}, DIALECTS, serving)
    page = build_live_page(foundation, str)

    assert (["/", "/status"], []) == ([each.path for each in page.pages()], asked)
