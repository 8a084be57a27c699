"""What a config says about the ports: the one that apps call, and those of probes and operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from msgspec import Meta

from sidecar.config.operator_address import (
    LOOPBACK,
    OperatorAddress,
    default_operator_address,
    read_operator_address,
)
from sidecar.config.schema_providers import Section, Text
from sidecar.runtime.hosts import bracketed, host_of, is_loopback

Port = Annotated[int, Meta(ge=0, le=65535)]

OF_THE_HOST = frozenset({"host.docker.internal", "host.containers.internal", "host.lima.internal"})
"""By these containers of Docker, Podman and Lima reach the loopback interface of their host. Nobody
can register a name below ``internal``.
"""
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - kubelet and Prometheus call the pod's IP


class Listener(Section, frozen=True):
    """A port that apps call."""

    type: Annotated[Literal["model"], Meta(description="plano's other types are not served")] = (
        "model"
    )
    name: Annotated[Text | None, Meta(description="for people")] = None
    address: Annotated[Text | None, Meta(description="IP address; unset: 127.0.0.1 and ::1")] = None
    port: Annotated[Port, Meta(description="TCP port; 0 picks a free one")] = 12000
    allow_origins: Annotated[
        tuple[Text, ...],
        Meta(
            description="web origins whose pages may call and read the responses (CORS); any other "
            "Origin is refused"
        ),
    ] = ()
    allow_hosts: Annotated[
        tuple[Text, ...] | None,
        Meta(
            description="names, beside localhost and loopback addresses, by which apps may call; "
            "any other Host is refused with 421. Unset: on loopback those by which a container "
            "reaches its host (`host.docker.internal`), on another address any"
        ),
    ] = None
    timeout: Annotated[Any, Meta(description="plano's; not served (see `timeouts`)")] = None
    max_retries: Annotated[Any, Meta(description="plano's; not served (see `limits.attempts`)")] = (
        None
    )

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IP addresses to bind."""
        return LOOPBACK if self.address in {None, "localhost"} else (str(self.address),)

    def hosts_at(self, addresses: Iterable[str]) -> frozenset[str] | None:
        """Return the names by which apps may call the listener, beside those of loopback, in lower
        case; None where they may call it by any.

        Args: ``addresses`` are those that it is bound to, which a reload does not change.
        """
        if self.allow_hosts is not None:
            hosts = (host_of(bracketed(each)) for each in self.allow_hosts)
            return frozenset(host for host in hosts if host)
        return OF_THE_HOST if all(map(is_loopback, addresses)) else None


class AdminSettings(Section, frozen=True):
    """The port of probes and metrics, and the listener of operators' pages."""

    address: Annotated[
        Text | None, Meta(description="IP address; unset: all addresses of both families")
    ] = None
    port: Annotated[Port, Meta(description="TCP port; 0 picks a free one")] = 9901
    operator_address: Annotated[
        Text | None,
        Meta(
            description="where operators' pages are: a loopback address with a port, `unix:/path`, "
            "or `off`; unset: the port after `port`, on 127.0.0.1 and ::1"
        ),
    ] = None
    mutations: Annotated[
        bool,
        Meta(
            description="let operators' pages change something over TCP; over a Unix socket they "
            "always may"
        ),
    ] = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IP addresses to bind."""
        if self.address is None:
            return _EVERYWHERE
        return LOOPBACK if self.address == "localhost" else (self.address,)

    @property
    def operators(self) -> OperatorAddress:
        """Where operators' pages are, of a config that was checked."""
        if self.operator_address is None:
            return default_operator_address(self.port)
        place = read_operator_address(self.operator_address)
        return place if isinstance(place, OperatorAddress) else OperatorAddress()
