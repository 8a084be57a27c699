"""The servers of the ports."""

from __future__ import annotations

import msgspec

from sidecar.build.foundation import Foundation
from sidecar.build.operator_pages import build_operator_pages
from sidecar.generation import Generation
from sidecar.listener.admin import Admin
from sidecar.listener.operators import OperatorAccess, Operators
from sidecar.listener.page_room import PageLimits
from sidecar.listener.page_server import PageServer
from sidecar.listener.server import DataServer
from sidecar.runtime.descriptors import DescriptorShares


class Servers(msgspec.Struct, frozen=True):
    """The servers of all listeners; none listens yet."""

    data: DataServer
    admin_handler: Admin
    admin: PageServer
    operators_handler: Operators
    operators: PageServer


def build_servers(
    generation: Generation, foundation: Foundation, shares: DescriptorShares
) -> Servers:
    """Make the servers of the data port, of the admin port and of the operators' listener, each
    with its share of connections.
    """
    config, handler = generation.loaded.config, generation.handler
    admin = Admin(foundation.latch, foundation.telemetry.metrics.pages.page)
    access = OperatorAccess(
        is_unix_socket=bool(config.admin.operators.path), mutations=config.admin.mutations
    )
    operators = Operators(build_operator_pages(foundation), access)
    kept = foundation.kept_connections
    kept.at_most = shares.calls
    data_server = DataServer(
        handler.handle,
        handler.handle_parse_error,
        kept,
        head_memory=foundation.memory.heads,
        unread_memory=foundation.memory.unread,
    )
    limits = PageLimits(connections=shares.pages)
    pages, probes = PageServer(operators.handle, limits), PageServer(admin.handle, limits)
    return Servers(data_server, admin, probes, operators, pages)


def swap_handlers(servers: Servers, generation: Generation) -> None:
    """Let a generation serve the requests that come from now on, on open connections too."""
    config, handler = generation.loaded.config, generation.handler
    servers.data.swap(handler.handle, handler.handle_parse_error)
    operators = servers.operators_handler
    operators.access = msgspec.structs.replace(operators.access, mutations=config.admin.mutations)
