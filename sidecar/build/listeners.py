"""The servers of the ports."""

from __future__ import annotations

from aiohttp import web

from sidecar.build.foundation import Foundation
from sidecar.generation import Generation
from sidecar.listener.admin import Admin, PinPages
from sidecar.listener.server import DataServer, is_loopback, make_admin_server


def build_servers(generation: Generation, foundation: Foundation) -> tuple[DataServer, web.Server]:
    """Make the servers of the data port and of the admin port; neither listens yet."""
    config, handler = generation.loaded.config, generation.handler
    pins = PinPages(foundation.store.pins, may_change=config.admin.mutations)
    admin = Admin(foundation.latch, foundation.telemetry.metrics.render, is_loopback, pins)
    data_server = DataServer(
        handler.handle, handler.handle_parse_error, head_s=config.timeouts.request_header_s
    )
    return data_server, make_admin_server(admin.handle)
