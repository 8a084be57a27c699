"""The door for requests: read in the caller's API, weighed, and written in the candidate's."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.chat_reader import read_chat
from sidecar.translate.chat_writer import write_chat
from sidecar.translate.conversation import Conversation
from sidecar.translate.losses import Loss
from sidecar.translate.messages_reader import read_messages
from sidecar.translate.messages_writer import write_messages
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.responses_reader import read_responses
from sidecar.translate.responses_writer import write_responses
from sidecar.translate.targets import Target
from sidecar.translate.tool_names import sent_name
from sidecar.translate.weighing import weigh

_READERS: Final[Mapping[DialectName, Callable[[bytes], Generator[None, None, Conversation]]]] = {
    CHAT: read_chat,
    RESPONSES: read_responses,
    MESSAGES: read_messages,
}
_WRITERS: Final[
    Mapping[DialectName, Callable[[Conversation, Target], Generator[None, None, bytes]]]
] = {
    CHAT: write_chat,
    RESPONSES: write_responses,
    MESSAGES: write_messages,
}


def read_in_steps(source: DialectName, body: bytes) -> Generator[None, None, Conversation]:
    """Read a request body of the caller's API. Others go on wherever this yields.

    Raises: InvalidBody.
    """
    return _READERS[source](body)


def losses_of(conversation: Conversation, source: DialectName, target: Target) -> tuple[Loss, ...]:
    """Return what a target would not get of a conversation, by the caller's own names."""
    return weigh(conversation, source, target)


def write_in_steps(conversation: Conversation, target: Target) -> Generator[None, None, bytes]:
    """Write the whole body of a request to a target. Others go on wherever this yields."""
    return _WRITERS[target.dialect](conversation, target)


def reply_context(
    conversation: Conversation,
    body: bytes,  # noqa: ARG001 - what it holds was read
    source: DialectName,  # noqa: ARG001
    created_unix_s: int,
    request_id: str,
) -> ReplyContext:
    """Return what a writer of responses must know of the request."""
    names = {tool.name for tool in conversation.tools}
    return ReplyContext(
        created_unix_s,
        request_id,
        conversation.wants_usage,
        conversation.echoed,
        {sent_name(name): name for name in sorted(names) if sent_name(name) != name},
        frozenset(tool.name for tool in conversation.tools if tool.is_custom),
        conversation.has_legacy_functions,
    )
