"""The simulated providers keep and find prefixes of prompts as the real ones do."""

from __future__ import annotations

from tests.support.simulator import chat_api, messages_api
from tests.support.simulator.prompt_cache import PromptCache, Read
from tests.support.simulator.values import Segment


def _blocks(count: int, *marked: int) -> list[Segment]:
    """Blocks of 100 tokens each."""
    return [Segment(b"%0400d" % at, at in marked) for at in range(count)]


def _marked(cache: PromptCache, segments: list[Segment], least: int = 0) -> Read:
    return cache.read_marked("a", "m", segments, 0.0, least)


def test_a_kept_prefix_is_found_twenty_blocks_back_and_no_further():
    """Counted with the block that has the mark."""
    near, far = PromptCache(300), PromptCache(300)
    for cache in (near, far):
        assert Read(0, 0, 500) == _marked(cache, _blocks(5, 4))

    assert Read(0, 500, 1900) == _marked(near, _blocks(24, 23))
    assert Read(0, 0, 2500) == _marked(far, _blocks(25, 24))


def test_each_mark_is_looked_back_from():
    """The first of them finds what is too far from the last one."""
    cache = PromptCache(300)
    _marked(cache, _blocks(5, 4))

    assert Read(0, 500, 2500) == _marked(cache, _blocks(30, 4, 29))


def test_a_prefix_that_is_too_short_is_not_kept():
    """Its mark is of no use, and costs nothing."""
    cache = PromptCache(300)

    assert Read(900, 0, 0) == _marked(cache, _blocks(9, 8), least=1000)
    assert Read(100, 0, 1000) == _marked(cache, _blocks(11, 4, 9), least=1000)
    assert Read(0, 1000, 100) == _marked(cache, _blocks(11, 10), least=1000)


def test_unmarked_prefixes_are_found_in_steps_of_128_tokens():
    """From 1,024 on, wherever messages end."""
    cache = PromptCache(300)

    def read(count: int) -> Read:
        return cache.read_any("a", "m", _blocks(count), 0.0, 1024)

    assert [Read(1000, 0, 0), Read(1000, 0, 0), Read(1100, 0, 0)] == [
        read(10),
        read(10),
        read(11),
    ]
    assert Read(1200 - 1024, 1024, 0) == read(12)
    assert Read(1200 - 1152, 1152, 0) == read(12)


def test_a_prompt_of_messages_is_read_block_by_block():
    """Tools, system, what was said; by what a block says, and not by its marks."""
    mark = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": "m",
        "tools": [{"name": "a"}, {"name": "b", **mark}],
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "x", **mark}]}]},
        ],
    }  # fmt: skip
    segments = messages_api.read(body).segments
    automatic = messages_api.read({**body, **mark}).segments

    assert [False, True, False, False, False, False] == [each.ends_prefix for each in segments]
    assert b"cache_control" not in b"".join(each.content for each in segments)
    assert automatic[-1].ends_prefix


def test_a_prompt_of_chat_is_read_message_by_message():
    """Behind its tools."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

    assert 2 == len(chat_api.read(body).segments)
