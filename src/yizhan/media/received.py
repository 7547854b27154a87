"""Received media: fetched with retries, and refused when the bytes are not what the platform announced."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yizhan.errors import NotAsAnnounced, Throttled, Unavailable
from yizhan.model import Forward, Media

if TYPE_CHECKING:
    from yizhan.media.ingest import Digests
    from yizhan.media.library import Library
    from yizhan.media.probe import Findings

log = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_DELAY = 0.5
"""Seconds before the second attempt; each further wait is three times as long."""


@dataclass(frozen=True, slots=True)
class Announced:
    """Properties of media that a platform announces before they are fetched; 0 and "" are unknown."""

    size: int = 0
    """Bytes."""
    md5: str = ""
    kind: str = ""
    """`image`, `video` or `voice`; anything else fits any content."""

    @classmethod
    def by(cls, forward: Forward) -> Announced:
        """Return what the reference of a received segment announces.

        Sizes of pictures and videos are those of one of several renditions on most wires. They bind only beside a
        `content_type`, which describes the very bytes of the link (QQ).
        """
        reference = forward.reference
        exact = forward.kind == "file" or "content_type" in reference
        size = reference.get("size") or reference.get("file_size") if exact else 0
        md5 = reference.get("md5") if forward.kind == "file" else ""
        return cls(_number(size), str(md5 or "").lower(), "image" if forward.kind == "sticker" else forward.kind)

    def problem(self, digests: Digests, findings: Findings) -> str:
        """Return in which way the bytes differ from the announcement, or the empty string."""
        if self.size and digests.size != self.size:
            return f"{digests.size} bytes came, {self.size} were announced"
        if len(self.md5) == 32 and digests.md5 != self.md5:
            return f"their MD5 is {digests.md5}, {self.md5} was announced"
        # Formats of the vendor's own are not recognized, and pass.
        if self.kind in ("image", "video", "voice") and findings.kind == "file" and findings.format:
            return f"they are {findings.format}, and not the {self.kind} that was announced"
        return ""


async def receive(
    library: Library,
    fetch: Callable[[], AsyncIterator[bytes]],
    announced: Announced,
    *,
    account: str = "",
    name: str | None = None,
) -> Media:
    """Fetch received media into the library, trying again after failures that may pass.

    `fetch` starts the download anew each time. Bytes that are not as announced are not stored.

    Raises:
        NotAsAnnounced: also the last attempt brought other bytes.
        PlatformError: the platform no longer has them, or could not be reached.
    """

    def check(digests: Digests, findings: Findings) -> None:
        if problem := announced.problem(digests, findings):
            raise NotAsAnnounced(
                f"{account}: {name or 'received media'} cannot be used: {problem}. "
                "The link may have ended; ask for the file again.",
                account=account,
            )

    for attempt in range(ATTEMPTS):
        try:
            return await library.add(fetch(), name=name, check=check)
        except (Unavailable, Throttled, NotAsAnnounced) as error:
            if attempt == ATTEMPTS - 1:
                raise
            log.info("received media are fetched again", extra={"account": account, "reason": str(error)})
            wait = error.retry_after if isinstance(error, Throttled) else None
            await library.clock.sleep(wait or FIRST_DELAY * 3**attempt)
    raise AssertionError("the last attempt returns or raises")


def _number(value: object) -> int:
    text = str(value or 0)
    return int(text[:18]) if text.isascii() and text.isdecimal() else 0
