"""Forwards received media: by reference where that reaches every target, else downloaded once and sent anew."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from yizhan.accounts.received_media import ReceivedMedia
from yizhan.accounts.registry import Accounts
from yizhan.errors import LoginNeeded, PlatformError, Refused, Throttled, Unavailable, Unsupported
from yizhan.model import File, Forward, Image, Media, MediaSegment, Message, Segment, Sticker, Target, Video, Voice
from yizhan.platforms.spec import platform_named


async def reachable(
    message: Message, targets: Sequence[Target], accounts: Accounts, received: ReceivedMedia
) -> tuple[Message, str]:
    """Return `message` with every reference that does not reach all `targets` replaced by media, and a note on that.

    A reference reaches the targets of its own account, where the wire can forward it. Each is downloaded once, whatever
    the number of targets.

    Raises:
        Refused: it does not reach all of them, and cannot be downloaded either.
        Unavailable, Throttled: it could not be downloaded just now.
        LoginNeeded: the account that received it must log in before it can be downloaded.
        StorageError: the downloaded media could not be stored.
    """
    segments: list[Segment] = []
    notes: list[str] = []
    for segment in message.segments:
        if isinstance(segment, Forward) and segment.account:
            why = await _unreachable(segment, targets, accounts)
            if why:
                segments.append(await _sent_anew(segment, targets, received, why))
                notes.append(f"{segment.kind}: fetched once from {segment.account} and sent anew, since {why}")
                continue
        segments.append(segment)
    if not notes:
        return message, ""
    return msgspec.structs.replace(message, segments=tuple(segments)), "\n".join(notes)


async def _unreachable(forward: Forward, targets: Sequence[Target], accounts: Accounts) -> str:
    """Return why the reference does not reach one of `targets`; empty when it reaches all."""
    for (account, _), target in {(target.account, target.kind): target for target in targets}.items():
        if account != forward.account:
            return "a reference is good for the account that received it only."
        try:
            (await accounts.use(account)).adapter.compose(Message((forward,)), target)
        except Refused as error:
            return str(error)
    return ""


async def _sent_anew(forward: Forward, targets: Sequence[Target], received: ReceivedMedia, why: str) -> MediaSegment:
    try:
        media = await received.save(forward)
    except (Unavailable, Throttled, LoginNeeded):
        raise
    except (Refused, PlatformError) as error:
        raise Unsupported(
            f"A {forward.kind} that {forward.account} received cannot go to {targets[0]} by reference ({why}), and it "
            f"cannot be fetched either: {error} Leave it out, or send something else."
        ) from error
    return _segment(forward, media, targets)


def _segment(forward: Forward, media: Media, targets: Sequence[Target]) -> MediaSegment:
    """Return a segment of the kind that was received, if the bytes are of it, else a plain file."""
    name = forward.name or media.name
    match forward.kind, media.kind:
        case "sticker", "image" if all(_takes_stickers(target) for target in targets):
            return Sticker(media)
        case (("image" | "sticker"), "image"):
            return Image(media, name)
        case "video", "video":
            return Video(media, name)
        case "voice", "voice":
            return Voice(media, name)
    return File(media, name)


def _takes_stickers(target: Target) -> bool:
    known = platform_named(target.platform).capabilities.get(target.kind)
    return known is not None and "sticker" in known.segments
