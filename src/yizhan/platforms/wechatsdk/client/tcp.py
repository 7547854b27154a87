"""A listener for pushes over TCP: a connection per push, four bytes of length, then the text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from yizhan.errors import ConfigError
from yizhan.platforms.wechatsdk import Settings, wire
from yizhan.platforms.wechatsdk.client.listen import MAX_PUSH

log = logging.getLogger(__name__)

SECONDS = 30.0
"""How long one push may take to arrive."""


class TcpListener:
    """Hands every push to `take`. Any program that reaches the port can send events: this transport has no secret."""

    def __init__(self, settings: Settings, take: Callable[[bytes], None]) -> None:
        self._settings = settings
        self._take = take
        self._server: asyncio.Server | None = None
        self._port = 0

    async def open(self) -> None:
        """Start listening. ConfigError when the address cannot be bound."""
        host, port = self._settings.listen_host, self._settings.listen_port
        try:
            self._server = await asyncio.start_server(self._connected, host, port)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"Cannot listen on {host}:{port}: {error}. Choose another port, or 0.") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def handler(self) -> wire.AddHandler:
        """The handler to register with the client."""
        try:
            given = urlsplit(self._settings.callback_url)
            host, port = given.hostname or self._settings.listen_host, given.port or self._port
        except ValueError as error:
            raise ConfigError(f"callback_url: {error}. Write it as tcp://HOST:PORT.") from error
        return wire.AddHandler(protocol=wire.BY_TCP, host=host, port=port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                length = wire.tcp_length(await reader.readexactly(4), MAX_PUSH)
                self._take(await reader.readexactly(length))
        except (EOFError, OSError, ValueError, TimeoutError) as error:
            log.warning("push left out", extra={"reason": str(error) or type(error).__name__})
        finally:
            writer.close()
