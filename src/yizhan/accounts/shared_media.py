"""Serves media under an address, for platforms that take nothing else; the server starts with the first address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yizhan.model import Clock, Media
from yizhan.storage.vault import Vault

if TYPE_CHECKING:
    from yizhan.media.library import Library
    from yizhan.media.share import ShareServer, ShareSettings


class SharedMedia:
    """Addresses of media. `settings`: where to listen; a free port of the loopback address if None."""

    def __init__(self, library: Library, vault: Vault, clock: Clock, settings: ShareSettings | None) -> None:
        self._library = library
        self._vault = vault
        self._clock = clock
        self._settings = settings
        self._server: ShareServer | None = None

    async def address(self, media: Media, seconds: float = 600.0) -> str:
        """Return an address under which `media` can be fetched until `seconds` from now.

        Raises:
            ConfigError: nothing can listen where the settings say.
            StorageError: the library does not hold the media.
        """
        from yizhan.media.share import ShareServer

        self._library.open(media)
        if self._server is None:
            secret = self._vault.derived("shared addresses")
            self._server = ShareServer(self._library, self._clock, secret, self._settings)
        return await self._server.address(media, seconds)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close()
