"""Variants: media converted by a recipe, once, and stored in the library like any other media."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from yizhan.errors import MediaFormat, MediaTooLarge
from yizhan.media.convert import ConversionPool
from yizhan.media.library import Library
from yizhan.media.names import named_as
from yizhan.media.staging import staged
from yizhan.model import File, Media, MediaSegment, Message, MiniProgram, Segment, Sticker, Variant
from yizhan.platforms.kit.media_rules import MAX_RECIPE, MediaRule, Recipe, check_of, choose
from yizhan.runtime.single_flight import SingleFlight

Progress = Callable[[float], None]
RuleOf = Callable[[Segment], MediaRule | None]
"""Returns the platform's rule for a segment's media; None if it takes them unchanged."""
REFUSALS_KEPT = 1000


class Variants:
    """Converts media in a pool of processes. A variant is identified by its source and recipe."""

    def __init__(self, library: Library, pool: ConversionPool | None = None) -> None:
        self.library = library
        self.pool = pool or ConversionPool()
        self._flights: SingleFlight[Variant] = SingleFlight()
        self._refusals: OrderedDict[tuple[str, str], MediaFormat | MediaTooLarge] = OrderedDict()
        self.on_progress: Callable[[Media, str, float], None] | None = None
        """Called during a conversion: media, recipe, share done from 0 to 1."""

    async def variant(self, media: Media, recipe: str, progress: Progress | None = None) -> Media:
        """Return `media` converted by `recipe`; concurrent callers share one conversion.

        The variant has the name of `media` with a fitting extension. An empty recipe returns `media`.

        Raises:
            Unsupported: there is no such recipe.
            MediaFormat: the bytes cannot be converted; the text names size, type and step. The refusal is remembered.
            MediaTooLarge: they cannot be made small or short enough.
        """
        return (await self.converted(media, recipe, progress)).media

    async def converted(self, media: Media, recipe: str, progress: Progress | None = None) -> Variant:
        """Return what `variant` returns, with what the conversion changed. It raises the same errors."""
        if not recipe:
            return Variant(media)
        key = media.sha256, str(Recipe.parse(recipe))[:MAX_RECIPE]
        if key in self._refusals:
            error = type(self._refusals[key])(str(self._refusals[key]))
            error.as_file = self._refusals[key].as_file
            raise error
        made = await self._kept(*key) or await self._flights.do(key, lambda: self._make(media, key[1], progress))
        return _named(made, media)

    async def fitted(self, message: Message, rule_of: RuleOf) -> tuple[Message, tuple[str, ...]]:
        """Return `message` with all media in a form that the platform takes, and notes for the receipt.

        Media that fit stay; others are replaced by a variant, or sent as a plain file if the rule allows it.

        Raises:
            MediaFormat, MediaTooLarge: some media cannot be made to fit; the text says what would work.
        """
        segments: list[Segment] = []
        notes: list[str] = []
        for segment in message.segments:
            rule = rule_of(segment) if isinstance(segment, MediaSegment) else None
            media = getattr(segment, "media", None)
            if rule is None or not isinstance(media, Media):
                segments.append(segment)
                continue
            fitted, note = await self._fitted(segment, media, rule)
            segments.append(fitted)
            notes += [note] if note else []
        return Message(tuple(segments), message.reply), tuple(notes)

    async def close(self) -> None:
        await self.pool.close()

    async def _fitted(self, segment: Any, media: Media, rule: MediaRule) -> tuple[Segment, str]:
        shown = getattr(segment, "name", "") or media.name
        note = ""
        try:
            choice = choose(media, rule)
            recipe = choice.recipe or (check_of(rule) if choice.kind in ("image", "voice") else "")
            variant, kind, note = await self.converted(media, recipe), choice.kind, choice.note
        except (MediaFormat, MediaTooLarge) as error:
            # Some problems show only when the bytes are decoded. Intact media may then go as a file, as the rule says.
            if not (rule.as_file and error.as_file) or (rule.max_bytes and media.size > rule.max_bytes):
                raise
            variant, kind, note = Variant(media), "file", f"sent as a plain file: {error}"
        made = variant.media
        if kind == "file" and not isinstance(segment, File):
            return File(msgspec.structs.replace(media, kind="file"), shown), note
        if isinstance(segment, (Sticker, MiniProgram)):
            return msgspec.structs.replace(segment, media=made), note or _change_note(shown, media, variant, rule)
        name = shown if made.sha256 == media.sha256 else named_as(shown, made.format)
        if name != shown:
            variant = Variant(made, (*variant.changes, f"name {shown} → {name}"))
        fitted: Segment = msgspec.structs.replace(segment, media=made, name=name)
        return fitted, note or _change_note(shown, media, variant, rule)

    async def _kept(self, sha256: str, recipe: str) -> Variant | None:
        kept = await self.library.index.variant(sha256, recipe)
        if kept is None or not await self.library.blobs.exists(kept.media.sha256):
            return None
        if kept.media.sha256 != sha256:
            # A variant that is its own source was touched when it was added.
            await self.library.index.touch(kept.media.sha256, self.library.clock.now())
        return kept

    async def _make(self, media: Media, recipe: str, progress: Progress | None) -> Variant:
        if (kept := await self._kept(media.sha256, recipe)) is not None:
            return kept
        try:
            made = await self._made(media, recipe, progress)
        except (MediaFormat, MediaTooLarge) as error:
            self._refusals[media.sha256, recipe] = error
            if len(self._refusals) > REFUSALS_KEPT:
                self._refusals.popitem(last=False)
            raise
        await self.library.index.add_variant(media.sha256, recipe, made)
        return made

    async def _made(self, media: Media, recipe: str, progress: Progress | None) -> Variant:
        def done(share: float) -> None:
            if progress is not None:
                progress(share)
            if self.on_progress is not None:
                self.on_progress(media, recipe, share)

        await self.library.open(media).prove()
        async with AsyncExitStack() as stack:
            source: Path = await stack.enter_async_context(self.library.blobs.local(media.sha256))
            result = stack.enter_context(staged(self.library.blobs.staging))
            made = await self.pool.make(recipe, source, Path(result.name), _shown(media), done)
            done(1.0)
            if made.same:
                return Variant(media, made.changes)
            return Variant(await self.library.add(Path(result.name), name=""), made.changes)


def _change_note(shown: str, media: Media, variant: Variant, rule: MediaRule) -> str:
    """Return the note of the receipt on media that were converted; empty if a person would notice nothing."""
    smaller = _shrink_note(shown, media, variant.media, rule)
    if not variant.changes:
        return smaller
    return f"{smaller or f'converted {shown or media.kind}'}: {', '.join(variant.changes)}"


def _shrink_note(shown: str, media: Media, made: Media, rule: MediaRule) -> str:
    """Return the note for a picture or video that a limit made smaller, or the empty string."""
    over = bool(rule.bytes) and media.size > rule.bytes
    large = bool(rule.max_side) and max(media.width, media.height) > rule.max_side
    if made.sha256 == media.sha256 or rule.kind not in ("image", "video") or not (over or large):
        return ""
    return f"made smaller for {rule.source or 'the platform'}: {_measures(media, shown)} became {_measures(made)}"


def _measures(media: Media, shown: str = "") -> str:
    sides = f", {media.width} x {media.height}" if media.width else ""
    return f"{shown} ({media.format}{sides}, {media.size} bytes)".strip()


def _named(made: Variant, media: Media) -> Variant:
    if made.media.sha256 == media.sha256:
        return Variant(media, made.changes)
    return Variant(msgspec.structs.replace(made.media, name=named_as(media.name, made.media.format)), made.changes)


def _shown(media: Media) -> str:
    return f"{media.name or media.sha256[:12]} ({media.format or 'unknown format'}, {media.size} bytes)"
