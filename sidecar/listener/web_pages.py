"""What web pages in a browser on this machine may not do: call a listener on loopback by a name
that was rebound to it, or call any listener on behalf of another site.

A page's own script cannot choose ``Host``, ``Origin`` or ``Sec-Fetch-Site`` (the Fetch standard,
"forbidden request-header"), which is what all of this rests on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, final

from sidecar.domain.errors import HostRefused, MalformedRequest
from sidecar.runtime.hosts import host_of, is_loopback

OTHER_SITES: Final = frozenset({"cross-site", "same-site"})
"""What ``Sec-Fetch-Site`` says of requests that another site's page makes. Another port of the same
host is ``same-site``.
"""
_FETCH: Final = "sec-fetch-"
_NODES_OWN: Final = ("sec-fetch-mode", "cors")
"""Node's ``fetch`` sends it with every request, and none of the others."""
_HOST_SINCE: Final = (1, 1)
_QUOTED_AT_MOST: Final = 100


@final
class HostCheck:
    """The hosts by which a listener may be called."""

    def __init__(self, names: frozenset[str] | None = None) -> None:
        """Args: ``names``, in lower case, may call beside loopback's own names and addresses; None
        lets every host call that is well-formed.
        """
        self.known: bytes | None = None
        """The value of the last Host header that passed: most callers send the same one."""
        self._names = names

    def check(self, hosts: Sequence[bytes], authority: str, version: tuple[int, int]) -> None:
        """Refuse a request by the host that it is for.

        Args: ``hosts`` are the values of its Host headers; ``authority`` is that of an absolute
            target, which counts instead of them (RFC 9112, 3.2.2), empty for none; ``version`` is
            the request's.
        Raises: MalformedRequest unless there is one Host header, well-formed, or none below
            HTTP/1.1; HostRefused for a host that may not call.
        """
        if len(hosts) > 1 or (not hosts and version >= _HOST_SINCE):
            raise MalformedRequest("the request must have one Host header")
        for value in hosts:
            self._check_one(value.decode("latin-1"), is_decisive=not authority)
        if authority:
            self._check_one(authority, is_decisive=True)
        elif hosts:
            self.known = hosts[0]

    def _check_one(self, authority: str, *, is_decisive: bool) -> None:
        host = host_of(authority)
        if host is None:
            raise MalformedRequest("the request's host is none that RFC 3986 knows")
        names = self._names
        if is_decisive and names is not None and host not in names and not is_loopback(host):
            raise HostRefused(
                f"this listener is not called {host[:_QUOTED_AT_MOST]}: call it by localhost or "
                "127.0.0.1, or list the name in listeners[].allow_hosts"
            )


def is_of_other_site(fetch_sites: Iterable[bytes]) -> bool:
    """Return whether another site's page asks. Args: the values of ``Sec-Fetch-Site``."""
    return any(site.decode("latin-1").strip().lower() in OTHER_SITES for site in fetch_sites)


def is_of_browser(headers: Iterable[tuple[str, str]]) -> bool:
    """Return whether a browser made a request, as its headers, in any case, tell."""
    fields = ((name.lower(), value) for name, value in headers)
    return any(
        name == "origin" or (name.startswith(_FETCH) and (name, value) != _NODES_OWN)
        for name, value in fields
    )
