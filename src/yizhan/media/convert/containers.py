"""Opens sounds and videos with FFmpeg, using only the demuxer that the detected format names.

Left to guess, FFmpeg would also accept playlists, which make it open other files and addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av

from yizhan.media.convert.protocol import THREADS, Refusal
from yizhan.media.probe import probe

_DEMUXERS: Mapping[str, str] = {
    **dict.fromkeys(("mp4", "mov", "m4a", "3gp", "heic", "avif"), "mov"),
    **dict.fromkeys(("mkv", "webm"), "matroska"),
    **dict.fromkeys(("ogg", "ogv"), "ogg"),
    **{name: name for name in ("avi", "flv", "mp3", "wav", "flac", "aac", "amr", "aiff", "caf")},
    "ts": "mpegts",
    "mpg": "mpeg",
    "wmv": "asf",
}


def opened(source: Path) -> Any:
    """Return the opened container `source`.

    Raises:
        Refusal: there is no decoder for its format.
    """
    with source.open("rb") as file:
        found = probe(file, source.stat().st_size)
    demuxer = _DEMUXERS.get(found.format)
    if demuxer is None:
        raise Refusal(
            f"there is no decoder for {found.format or 'an unknown format'} here. Convert it yourself first.",
            as_file=True,
        )
    container: Any = av.open(
        str(source), format=demuxer, options={"protocol_whitelist": "file"}, metadata_errors="ignore"
    )
    for stream in (*container.streams.video, *container.streams.audio):
        if stream.codec_context is not None:
            stream.codec_context.thread_count = THREADS
    return container


def frames_of(packet: Any) -> list[Any]:
    """Decode one packet; a damaged one, at most a click or a blink, has no frames."""
    try:
        return list(packet.decode())
    except av.InvalidDataError:
        return []
