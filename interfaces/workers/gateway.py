"""Role `gateway`: WebSockets on an epoll loop, one process of several on the same port."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog
import uvloop

from domain.errors import InvalidInput
from interfaces.gateway import tcp_info
from interfaces.gateway.addresses import TrustedNetworks
from interfaces.gateway.connection import Services
from interfaces.gateway.keepalive import Policy
from interfaces.gateway.relay import Connect, Relay
from interfaces.gateway.server import Gateway
from interfaces.gateway.sources import Sources
from interfaces.gateway.tls import TlsWatch, server_tls
from interfaces.settings import Settings
from interfaces.workers.gateway_number import process_name

_BACKLOG: Final = 4_096
_DRAIN_S: Final = 1.5

_log = structlog.get_logger(__name__)


class GatewayParts(NamedTuple):
    """What the composition root builds for this role."""

    services: Services
    resources: Sequence[Any]
    """Opened in order, closed in order; each has `open` and `close`."""
    publish: Callable[[Gateway, str], Callable[[], None]]
    """Answers scrapes of the process of that name; returns how to stop it."""
    link: "Link | None" = None
    """To the machine of the log; None: it is this one."""


class Link(NamedTuple):
    """What a gateway without the log's files has in their place."""

    web: Connect
    """The way to the web role."""
    on_other_log: Callable[[Callable[[], None]], None]
    """Takes whom to tell when the log is not the one that was there."""


def run(settings: Settings, parts: GatewayParts) -> int:
    """Serve until SIGTERM; returns the exit status."""
    return uvloop.run(_serve(settings, parts))


async def _serve(settings: Settings, parts: GatewayParts) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    listener = _bound(settings.host, settings.port)
    status = 0
    if await _opened(parts.resources, stop):
        status = await _until_stopped(settings, parts, listener, stop)
    listener.close()
    for resource in parts.resources:
        await resource.close()
    return status


async def _until_stopped(
    settings: Settings, parts: GatewayParts, listener: socket.socket, stop: asyncio.Event
) -> int:
    """Returns the exit status: 1 if everybody has to begin again, because the log is another."""
    status = 0
    await parts.services.hub.open()
    relay = Relay(settings.web_socket_path if parts.link is None else parts.link.web)
    sources = sources_of(settings)
    gateway = Gateway(parts.services, relay, settings, sources=sources)
    watch = TlsWatch(sources.tls, asyncio.get_running_loop()) if sources.tls is not None else None
    unpublish = parts.publish(gateway, process_name())

    def other_log() -> None:
        nonlocal status
        status = 1
        stop.set()

    if parts.link is not None:
        parts.link.on_other_log(other_log)
    _begin(listener, settings)
    gateway.listen(listener)
    await stop.wait()
    unpublish()
    if watch is not None:
        watch.close()
    await gateway.close(_DRAIN_S)
    await parts.services.hub.close()
    return status


async def _opened(resources: Sequence[Any], stop: asyncio.Event) -> bool:
    """Open them all; False: it was to stop before that was done, as while a link is down."""

    async def open_all() -> None:
        for resource in resources:
            await resource.open()

    opening, stopping = asyncio.create_task(open_all()), asyncio.create_task(stop.wait())
    await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
    done = opening.done()
    for task in (opening, stopping):
        task.cancel()
    if done:
        opening.result()
    await asyncio.gather(opening, stopping, return_exceptions=True)
    return done


def sources_of(settings: Settings) -> Sources:
    """Where connections come from, by the settings.

    Raises:
        InvalidInput: the certificate can't be used.
    """
    proxies = TrustedNetworks(settings.trusted_proxies)
    return Sources(proxies, settings.proxy_protocol == "v2", server_tls(settings))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that other gateways may share: the kernel spreads connections over them
    (SO_REUSEPORT, socket(7)).

    Raises:
        InvalidInput: the address can't be listened on.
    """
    listener = _bound(host, port)
    listener.listen(_BACKLOG)
    return listener


def _begin(listener: socket.socket, settings: Settings) -> None:
    """Listen: not before connections are taken, so that a balancer sees that none are."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(settings.host, settings.port, error) from error


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tcp_info.give_up_after(listener, Policy().backstop_s())
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> InvalidInput:
    return InvalidInput(f"can't listen on {host}:{port}: {error.strerror}")
