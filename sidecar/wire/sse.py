"""Where server-sent events end.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5: a line ends in LF,
CRLF or CR, an empty line ends an event.
"""

from __future__ import annotations

from typing import Final

BOUNDARY_BYTES: Final = 4
"""As many last bytes of a stream say whether an empty line ends it: two CRLF."""


def ends_event(tail: bytes) -> bool:
    r"""Tell whether a stream stands between two events: whether an empty line is its end.

    Args: ``tail`` is the end of the stream, at least `BOUNDARY_BYTES` of it. A stream that has not
        begun counts as ending in an empty line: start it with ``\n\n``.
    """
    line_ends = tail[len(tail.rstrip(b"\r\n")) :]
    return len(line_ends) - line_ends.count(b"\r\n") >= 2
