"""Received media on their way to others: by reference where that reaches, else fetched once and sent anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from yizhan.errors import LoginNeeded, PlatformError, Refused, Throttled, Unavailable, Unsupported
from yizhan.model import File, Forward, Image, Media, MediaSegment, Message, Segment, Sticker, Target, Video, Voice
from yizhan.platforms.adapter import Adapter
from yizhan.platforms.spec import platform_named

Fetch = Callable[[Forward], Awaitable[Media]]


class Account(Protocol):
    adapter: Adapter


async def reachable(
    message: Message, targets: Sequence[Target], opened: Callable[[str], Awaitable[Account]], fetch: Fetch
) -> tuple[Message, str]:
    """Return `message` with every reference that does not reach all `targets` replaced by media, and a note on that.

    A reference reaches where its own account sends it and the wire can send it on. Each is fetched once, whatever the
    number of targets.

    Raises:
        Refused: it reaches not all of them, and cannot be fetched either.
        Unavailable, Throttled: it could not be fetched just now.
        LoginNeeded: the account that received it must log in before it can be fetched.
        StorageError: what was fetched could not be kept.
    """
    segments: list[Segment] = []
    notes: list[str] = []
    for segment in message.segments:
        if isinstance(segment, Forward) and segment.account:
            why = await _kept_back(segment, targets, opened)
            if why:
                segments.append(await _anew(segment, targets, fetch, why))
                notes.append(f"{segment.kind}: fetched once from {segment.account} and sent anew, since {why}")
                continue
        segments.append(segment)
    if not notes:
        return message, ""
    return msgspec.structs.replace(message, segments=tuple(segments)), "\n".join(notes)


async def _kept_back(forward: Forward, targets: Sequence[Target], opened: Callable[[str], Awaitable[Account]]) -> str:
    """Return why the reference does not reach one of `targets`; empty when it reaches all."""
    for (account, _), target in {(target.account, target.kind): target for target in targets}.items():
        if account != forward.account:
            return "a reference is good for the account that received it only."
        try:
            (await opened(account)).adapter.compose(Message((forward,)), target)
        except Refused as error:
            return str(error)
    return ""


async def _anew(forward: Forward, targets: Sequence[Target], fetch: Fetch, why: str) -> MediaSegment:
    try:
        media = await fetch(forward)
    except (Unavailable, Throttled, LoginNeeded):
        raise
    except (Refused, PlatformError) as error:
        raise Unsupported(
            f"A {forward.kind} that {forward.account} received cannot go to {targets[0]} by reference ({why}), and it "
            f"cannot be fetched either: {error} Leave it out, or send something else."
        ) from error
    return _segment(forward, media, targets)


def _segment(forward: Forward, media: Media, targets: Sequence[Target]) -> MediaSegment:
    """What it was, if the bytes bear that out; a plain file otherwise."""
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
