"""The user and password with which Redis is asked, as their files hold them now."""

from __future__ import annotations

import functools
import logging
from typing import Final

import msgspec

from sidecar.config.address import RedisAddress, is_same_server, read_redis_url
from sidecar.config.schema_routing import SessionCache
from sidecar.config.secret import Secret
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.hosts import host_port
from sidecar.runtime.single_flight import SingleFlight
from sidecar.runtime.timers import wait

WAIT_S: Final = 0.5
"""How long a connection waits for the files, which may be on a disk that is gone."""

_log: Final = logging.getLogger("sidecar.affinity")


class RedisLogin:
    """Reads the files of ``username``, ``password`` and ``url`` again for each connection: what is
    rotated while a connection stands is there when the next one is made. Of a URL only user and
    password are followed; another server needs a restart.
    """

    def __init__(self, cache: SessionCache) -> None:
        assert cache.url is not None  # the config was checked for that
        address = read_redis_url(cache.url.reveal())
        assert isinstance(address, RedisAddress)  # and for that
        self.address = address
        self._secrets = _Secrets(cache.url, cache.username, cache.password)
        self._flights: SingleFlight[str, _Secrets] = SingleFlight("read redis' password again")

    def words(self) -> tuple[str | None, str | None]:
        """Return user and password; ``username`` and ``password`` go before those of the URL."""
        return self._secrets.words()

    async def renew(self) -> None:
        """Read the files again; wait at most `WAIT_S`. Where one is empty or cannot be read, or the
        URL names another server, what it held before is used. Raises: nothing.
        """
        if not self._secrets.are_in_files():
            return
        before = self._secrets
        read = functools.partial(run_in_daemon_thread, before.renewed, name="read a password")
        flight = self._flights.get("") or self._flights.start("", read())
        await wait(flight, WAIT_S)
        if flight.done() and flight.exception() is None and self._secrets is before:
            self._secrets = flight.result()
            if self._secrets.words() != before.words():
                place = host_port(self.address.host, self.address.port)
                extra = event_fields("redis_login_renewed", place=place)
                _log.info("redis at %s: the files hold another login", place, extra=extra)


class _Secrets(msgspec.Struct, frozen=True):
    url: Secret
    username: Secret | None
    password: Secret | None

    def are_in_files(self) -> bool:
        """Return whether there is anything to be read again."""
        return any(each is not None and each.source is not None for each in self._all())

    def words(self) -> tuple[str | None, str | None]:
        """Return user and password."""
        address = read_redis_url(self.url.reveal())
        assert isinstance(address, RedisAddress)  # only such a URL is kept
        username = self.username.reveal() if self.username else address.username
        password = self.password or address.password
        return username, (password.reveal() or None) if password else None

    def renewed(self) -> _Secrets:
        """Return what the files hold now, and of a file that is of no use what it held. Reads the
        disk.
        """
        url, username, password = (
            each if each is None else (each.renewed() or each) for each in self._all()
        )
        assert url is not None
        return _Secrets(
            url if is_same_server(url.reveal(), self.url.reveal()) else self.url, username, password
        )

    def _all(self) -> tuple[Secret | None, ...]:
        return self.url, self.username, self.password
