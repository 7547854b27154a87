"""Downloads received media into the library."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from yizhan.accounts.registry import Accounts
from yizhan.errors import MediaFormat, MediaTooLarge, Refused
from yizhan.media.received import Announced, receive
from yizhan.model import Forward, Media

if TYPE_CHECKING:
    from yizhan.media.library import Library
    from yizhan.media.variants import Variants

log = logging.getLogger(__name__)

PLAYABLE_VOICE = "voice;format=wav;rate=24000"
"""SILK has no rate of its own: WeChat's clients play it at this one."""


class ReceivedMedia:
    """Media that accounts received, fetched through the account that received them."""

    def __init__(self, accounts: Accounts, library: Library, variants: Variants) -> None:
        self._accounts = accounts
        self._library = library
        self._variants = variants

    async def save(self, forward: Forward, name: str | None = None) -> Media:
        """Download the media of `forward` as they are, trying again after failures that may pass.

        Raises:
            Refused: it is not known which account received it.
            NotAsAnnounced: other bytes came than the platform announced.
            PlatformError: the platform no longer has it, or could not be reached.
        """
        if not forward.account:
            raise Refused("It is not known which account received this. Use save(account, reference).")
        adapter = (await self._accounts.use(forward.account)).adapter
        reference = dict(forward.reference)
        return await receive(
            self._library,
            lambda: adapter.open_reference(dict(reference)),
            Announced.by(forward),
            account=forward.account,
            name=name or forward.name or None,
        )

    async def playable(self, media: Media) -> Media:
        """Return a SILK voice as WAV, since little else plays SILK; other media, and broken voices, as they are."""
        if media.format not in ("silk", "silk3"):
            return media
        try:
            return await self._variants.variant(media, PLAYABLE_VOICE)
        except (MediaFormat, MediaTooLarge) as error:
            log.warning("voice kept as received", extra={"sha256": media.sha256, "reason": str(error)})
            return media
