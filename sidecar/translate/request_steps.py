"""The long lists of a request, read in steps: turns and tools."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from sidecar.translate.conversation import ConversationTurn, Role, ToolOffer
from sidecar.translate.pacing import (
    LONG_BYTES,
    STEP_BYTES,
    STEP_TURNS,
    TOOLS_BYTES,
    SideSize,
    check_count,
    check_size,
    pace,
)
from sidecar.translate.raw_json import Json, Members, is_null
from sidecar.translate.reading import Reading
from sidecar.translate.turn_features import TurnFeatures


def turns_in_steps(
    reading: Reading, members: Members, name: str, read: Callable[[Json], ConversationTurn | None]
) -> Generator[None, None, tuple[ConversationTurn, ...]]:
    """Return the turns of a conversation; others go on wherever this yields. Raises: InvalidBody.

    Args: ``name`` is the member that holds it; ``read`` reads one turn, None where nothing of it is
        carried.
    """
    raw = members.get(name)
    if raw is None or is_null(raw):
        raise reading.wrong(name, "a list")
    features = TurnFeatures(reading.features)
    side, turns, size = SideSize(), list[ConversationTurn](), 0
    for at, each in enumerate((yield from reading.elements(raw, name))):
        if size > STEP_BYTES or at % STEP_TURNS == STEP_TURNS - 1:
            yield
            size = 0
        size += len(each)
        reading.at = f"{name}[{at}]"
        if len(each) > LONG_BYTES:
            check_size(each)
            yield from pace(bytes(each))
        turn = read(each)
        if turn is not None:
            side.add(each, is_assistant=turn.role is Role.ASSISTANT)
            turns.append(turn)
            features.add(turn)
    features.end()
    return tuple(turns)


def tools_in_steps(
    reading: Reading, members: Members, name: str, read: Callable[[Json], Iterable[ToolOffer]]
) -> Generator[None, None, tuple[int, tuple[ToolOffer, ...]]]:
    """Return how many tools a request offers, and those that can be carried; others go on wherever
    this yields. Raises: InvalidBody.

    Args: ``name`` is the member that holds the list; ``read`` reads one element of it, and gives no
        tool where nothing of it is carried.
    """
    raw = members.get(name)
    if raw is None or is_null(raw):
        return 0, ()
    if len(raw) > TOOLS_BYTES:
        raise reading.wrong(name, "shorter")
    found = list((yield from reading.elements(raw, name)))
    check_count(len(found))
    for each in found:
        if len(each) > LONG_BYTES:
            yield from pace(bytes(each))
    tools = list[ToolOffer]()
    for at, each in enumerate(found):
        reading.at = f"{name}[{at}]"
        tools += read(each)
    return len(found), tuple(tools)
