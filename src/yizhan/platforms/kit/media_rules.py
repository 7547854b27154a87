"""The conversion that media need before a platform takes them, chosen by the properties of the bytes. Pure.

A recipe is a short text, which `MediaNeed`, stored handles and the table of variants contain:

    image;formats=jpeg+png;bytes=10485760;side=4096     a picture in one of these formats, at most this large
    image;formats=jpeg;animated=gif                     the same, but animations become a GIF
    thumb;side=240                                      a small JPEG of a picture
    voice;format=silk;rate=24000;seconds=60             a sound in that format
    mp4;bytes=31457280                                  H.264 and AAC in an MP4; left alone if it is that already
    cover;side=480                                      a JPEG of a video's first clear picture
    check;seconds=60                                    the same picture or sound, once it was seen to be whole and
                                                        no longer than that; a photograph is turned upright

The same recipe on the same bytes always gives the same variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported, did_you_mean
from yizhan.model import File, Image, Kind, Media, MiniProgram, Segment, Sticker, Video, Voice
from yizhan.platforms.rules import Rules

PICTURE_FORMATS = ("jpeg", "png", "gif")
"""The formats into which pictures can be made."""
VOICE_FORMATS = ("silk", "mp3", "ogg", "m4a", "amr", "wav")
"""The formats into which sounds can be made; those that phones play best come first."""
PLAIN_SOUNDS = ("mp3", "m4a", "aac", "wav", "ogg", "flac", "amr")
"""Sounds that open nearly everywhere when they arrive as a file."""
MAX_RECIPE = 120
"""Characters; the width of the column that keeps it."""

_OPTIONS: Mapping[str, frozenset[str]] = {
    "image": frozenset({"formats", "bytes", "side", "animated", "animated_bytes"}),
    "thumb": frozenset({"bytes", "side"}),
    "voice": frozenset({"format", "rate", "seconds", "bytes"}),
    "mp4": frozenset({"bytes", "side", "seconds"}),
    "cover": frozenset({"bytes", "side"}),
    "check": frozenset({"bytes", "seconds"}),
}
_WORDS = frozenset({"formats", "format", "animated"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe, taken apart."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read a recipe.

        Raises:
            Unsupported: there is no such recipe or option; the text names close ones.
        """
        name, *pairs = text.split(";")
        if name not in _OPTIONS:
            raise Unsupported(
                f"There is no recipe '{name}'.{did_you_mean(name, _OPTIONS)} Known: {', '.join(_OPTIONS)}."
            )
        options: dict[str, str] = {}
        for pair in pairs:
            key, _, value = pair.partition("=")
            if key not in _OPTIONS[name] or not (value if key in _WORDS else value.isascii() and value.isdigit()):
                raise Unsupported(f"The recipe '{text[:120]}' has no '{pair}'. {name} takes {_known(name)}.")
            options[key] = value
        return cls(name, options)

    def __str__(self) -> str:
        return ";".join([self.name, *(f"{key}={value}" for key, value in sorted(self.options.items()))])

    def number(self, name: str, default: int = 0) -> int:
        return int(self.options.get(name, default))

    def words(self, name: str, default: str = "") -> tuple[str, ...]:
        return tuple(word for word in self.options.get(name, default).split("+") if word)


def recipe(name: str, **options: int | str | tuple[str, ...]) -> str:
    """Return a recipe as text; options that are 0 or empty are left out."""
    given = {
        key: "+".join(value) if isinstance(value, tuple) else str(value) for key, value in options.items() if value
    }
    return str(Recipe.parse(";".join([name, *(f"{key}={value}" for key, value in given.items())])))


@dataclass(frozen=True, slots=True)
class MediaRule:
    """The media of one kind that a platform takes. 0 and empty mean: no such limit.

    `formats`: taken as they are. `soft_bytes`: above it the platform shows it as a plain file (or its clients choke);
    pictures are made smaller to stay below. `max_bytes`: above it the platform refuses. `as_file`: what fits no other
    way may go as a plain file, with a note. `source` names where the numbers come from, for the error texts.
    """

    kind: Kind
    formats: tuple[str, ...] = ()
    soft_bytes: int = 0
    max_bytes: int = 0
    max_side: int = 0
    """Pixels of the longer side."""
    max_seconds: int = 0
    rate: int = 24000
    """Samples a second of a voice that is made."""
    as_file: bool = False
    source: str = ""
    animated: tuple[str, ...] = ()
    """Formats for animations, where they differ from those for still pictures."""
    animated_bytes: int = 0
    min_bytes: int = 0
    """Below it the platform refuses, also as a file."""
    name: str = ""
    """The name in the rules and in error texts, where it is not the kind's: `sticker`, `cover`."""

    @classmethod
    def of(cls, rules: Rules, kind: Kind, *, as_file: bool = False, name: str = "") -> MediaRule:
        """Read the rule from `NAME.formats`, `.min_bytes`, `.max_bytes`, `.soft_bytes`, `.side`, `.seconds`, `.rate`.

        `name` is `kind` if empty. Sizes and seconds count only while the rules are in force.
        """

        def number(limit: str) -> int:
            return int(rules.get(f"{name or kind}.{limit}", 0)) if rules.limited else 0

        soft, most = number("soft_bytes"), number("max_bytes")
        if as_file and rules.limited and (file_bytes := int(rules.get("file.max_bytes", 0))):
            soft, most = min(filter(None, (soft, most)), default=0), file_bytes
        least = max(number("min_bytes"), int(rules.get("file.min_bytes", 0)) if as_file and rules.limited else 0)
        return cls(
            kind,
            tuple(rules.get(f"{name or kind}.formats") or ()),
            soft,
            most,
            number("side"),
            number("seconds"),
            int(rules.get(f"{kind}.rate", 24000)),
            as_file,
            f"rules {rules.profile}",
            min_bytes=least,
            name="" if name == kind else name,
        )

    @property
    def bytes(self) -> int:
        """The size that a variant should stay below."""
        return min((limit for limit in (self.soft_bytes, self.max_bytes) if limit), default=0)


@dataclass(frozen=True, slots=True)
class Choice:
    """How media go: through `recipe` (empty: as they are), as `kind`, with `note` for the receipt."""

    recipe: str
    kind: Kind
    note: str = ""


def choose(media: Media, rule: MediaRule) -> Choice:
    """Return what must be done so that a platform takes `media` under `rule`. Pure.

    Raises:
        MediaFormat: the bytes cannot be made into that kind.
        MediaTooLarge: they cannot be made small or short enough, and may not go as a file.
    """
    if media.size < rule.min_bytes:
        raise MediaFormat(
            f"{_shown(media)} is too small: {rule.min_bytes} bytes are the least that go as {rule.kind} "
            f"({_limit(rule, 'min_bytes')}). Give a file with something in it."
        )
    try:
        return Choice(_CHOOSERS[rule.kind](media, rule), rule.kind)
    except (MediaFormat, MediaTooLarge) as error:
        if not rule.as_file or rule.kind == "file" or (rule.max_bytes and media.size > rule.max_bytes):
            raise
        return Choice("", "file", f"sent as a plain file: {error}")


def check_of(rule: MediaRule) -> str:
    """Return the recipe for a picture or a sound that goes unchanged: the same checks as before a conversion."""
    return recipe("check", bytes=rule.bytes, seconds=rule.max_seconds)


_NAMES: Mapping[type[Segment], tuple[Kind, str]] = {
    Image: ("image", "image"),
    Video: ("video", "video"),
    Voice: ("voice", "voice"),
    File: ("file", "file"),
    Sticker: ("image", "sticker"),
    MiniProgram: ("image", "cover"),
}
_LIMITS = ("formats", "min_bytes", "max_bytes", "soft_bytes", "seconds")


def rule_of(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return the rule for the media of `segment`; None where the rules say nothing of its kind.

    Where the rules have `file.*`, media that fit no other way go as a plain file; the cover of a card cannot.
    """
    kind, name = _NAMES.get(type(segment), ("file", ""))
    if not _has(rules, name):
        return None
    as_file = name not in ("file", "cover") and _has(rules, "file")
    return MediaRule.of(rules, kind, as_file=as_file, name=name)


def voice_as_file(rules: Rules) -> MediaRule:
    """Return the rule for voices on a wire without voice messages: sounds that open everywhere, sent as files."""
    most = int(rules.get("file.max_bytes", 0)) if rules.limited else 0
    least = int(rules.get("file.min_bytes", 0)) if rules.limited else 0
    source = f"rules {rules.profile}"
    return MediaRule("voice", PLAIN_SOUNDS, max_bytes=most, as_file=True, source=source, min_bytes=least)


def _has(rules: Rules, name: str) -> bool:
    return any(rules.get(f"{name}.{limit}") is not None for limit in _LIMITS)


def _image(media: Media, rule: MediaRule) -> str:
    if media.kind != "image":
        raise _wrong(media, rule, "Give a picture, or send it as a file.")
    side = max(media.width, media.height)
    if _taken(media, rule) and not (rule.max_side and side > rule.max_side):
        return ""
    formats = tuple(form for form in PICTURE_FORMATS if form in rule.formats) or (
        () if rule.formats else PICTURE_FORMATS
    )
    if not formats:
        raise _wrong(media, rule, "Convert it, or send it as a file.")
    return recipe(
        "image",
        formats=formats,
        bytes=rule.bytes,
        side=rule.max_side,
        animated=rule.animated,
        animated_bytes=rule.animated_bytes,
    )


def _voice(media: Media, rule: MediaRule) -> str:
    if media.kind != "voice":
        raise _wrong(media, rule, "Give a sound (MP3, WAV, M4A, OGG, FLAC, AMR or SILK), or send it as a file.")
    if rule.max_seconds and media.duration_ms > rule.max_seconds * 1000:
        raise MediaTooLarge(
            f"{_shown(media)} lasts {media.duration_ms / 1000:.1f} s; at most {rule.max_seconds} s go as a voice "
            f"({_limit(rule, 'seconds')}). Cut it, or send it as a file."
        )
    if _taken(media, rule):
        return ""
    form = next((form for form in VOICE_FORMATS if form in rule.formats), "" if rule.formats else "mp3")
    if not form:
        raise _wrong(media, rule, "Convert it, or send it as a file.")
    rate = rule.rate if form in ("silk", "wav") else 0
    return recipe("voice", format=form, rate=rate, seconds=rule.max_seconds, bytes=rule.bytes)


def _video(media: Media, rule: MediaRule) -> str:
    if media.kind != "video":
        raise _wrong(media, rule, "Give a video, or send it as a file.")
    if rule.max_seconds and media.duration_ms > rule.max_seconds * 1000:
        raise MediaTooLarge(
            f"{_shown(media)} lasts {media.duration_ms / 1000:.0f} s; at most {rule.max_seconds} s go as a video "
            f"({_limit(rule, 'seconds')}). Cut it, or send it as a file."
        )
    if rule.formats and "mp4" not in rule.formats:
        if _taken(media, rule):
            return ""
        raise _wrong(media, rule, "Convert it, or send it as a file.")
    # Whether the streams inside an MP4 play everywhere is seen when it is opened; one that fits stays as it is.
    return recipe("mp4", bytes=rule.bytes, side=rule.max_side, seconds=rule.max_seconds)


def _file(media: Media, rule: MediaRule) -> str:
    limit = rule.max_bytes or rule.soft_bytes
    if limit and media.size > limit:
        raise MediaTooLarge(
            f"{_shown(media)} is over the {limit} bytes that go as a file ({_limit(rule, 'max_bytes')}). "
            "Split it, or send a link to it."
        )
    if rule.formats and media.format not in rule.formats:
        raise _wrong(media, rule, "Pack it into one of them.")
    return ""


_CHOOSERS = {"image": _image, "voice": _voice, "video": _video, "file": _file}


def _taken(media: Media, rule: MediaRule) -> bool:
    return (not rule.formats or media.format in rule.formats) and not (rule.bytes and media.size > rule.bytes)


def _wrong(media: Media, rule: MediaRule, remedy: str) -> MediaFormat:
    taken = f"taken are {', '.join(rule.formats)} ({_limit(rule, 'formats')}). " if rule.formats else ""
    return MediaFormat(f"{_shown(media)} cannot go as {rule.name or rule.kind}; {taken}{remedy}")


def _shown(media: Media) -> str:
    what = f"{media.format or 'unknown format'}, {media.size} bytes"
    return f"'{media.name}' ({what})" if media.name else f"{media.sha256[:12]} ({what})"


def _limit(rule: MediaRule, name: str) -> str:
    return ", ".join(word for word in (f"{rule.name or rule.kind}.{name}", rule.source) if word)


def _known(name: str) -> str:
    return ", ".join(sorted(_OPTIONS[name]))
