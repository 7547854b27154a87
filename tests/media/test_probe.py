"""What bytes are, told by the bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media import support as make
from tests.media.films import film, quarters
from yizhan.media.probe import Findings, probe


def look(data: bytes) -> Findings:
    return probe(io.BytesIO(data), len(data))


PICTURES: list[tuple[str, Callable[[], bytes], tuple[int, int]]] = [
    ("png", lambda: make.picture("PNG"), (64, 48)),
    ("jpeg", lambda: make.picture("JPEG"), (64, 48)),
    ("jpeg", lambda: make.picture("JPEG", progressive=True, comment=b"x" * 60_000), (64, 48)),
    ("gif", lambda: make.picture("GIF"), (64, 48)),
    ("gif", lambda: make.animation("GIF"), (40, 30)),
    ("webp", lambda: make.picture("WEBP"), (64, 48)),
    ("webp", lambda: make.picture("WEBP", lossless=True), (64, 48)),
    ("webp", lambda: make.animation("WEBP"), (40, 30)),
    ("bmp", lambda: make.picture("BMP"), (64, 48)),
    ("tiff", lambda: make.picture("TIFF"), (64, 48)),
    ("avif", lambda: make.picture("AVIF"), (64, 48)),
    ("png", lambda: make.picture("PNG", (1, 1)), (1, 1)),
    ("jpeg", lambda: make.picture("JPEG", (5000, 1)), (5000, 1)),
]


@pytest.mark.parametrize(("form", "data", "size"), PICTURES)
def test_pictures_are_measured_without_being_decoded(
    form: str, data: Callable[[], bytes], size: tuple[int, int]
) -> None:
    found = look(data())

    assert ("image", form, f"image/{form}", *size) == (found.kind, found.format, found.mime, found.width, found.height)


SOUNDS: list[tuple[str, Callable[[], bytes], int]] = [
    ("wav", lambda: make.wav(1.5), 1500),
    ("wav", lambda: make.wav(0.5, 8000, 2), 500),
    ("silk", lambda: make.silk(3.0), 3000),
    ("silk3", lambda: make.silk(1.0, tencent=False), 1000),
    ("mp3", lambda: make.sound("mp3", "libmp3lame"), 2000),
    ("mp3", lambda: b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + make.sound("mp3", "libmp3lame"), 2000),
    ("ogg", lambda: make.sound("ogg", "libopus", rate=48000), 2000),
    ("flac", lambda: make.sound("flac", "flac"), 2000),
    ("m4a", lambda: make.sound("ipod", "aac"), 2000),
    ("m4a", lambda: make.sound("mp4", "aac"), 2000),
    ("aac", lambda: make.sound("adts", "aac"), 2000),
    ("amr", lambda: make.sound("amr", "libopencore_amrnb", rate=8000), 2000),
    ("webm", lambda: make.sound("webm", "libopus", rate=48000), 2000),
]


@pytest.mark.parametrize(("form", "data", "duration_ms"), SOUNDS)
def test_sounds_are_voices_with_their_length(form: str, data: Callable[[], bytes], duration_ms: int) -> None:
    found = look(data())

    assert ("voice", form) == (found.kind, found.format)
    assert duration_ms == pytest.approx(found.duration_ms, rel=0.05)


def test_mp3_without_an_index_is_walked_frame_by_frame() -> None:
    data = make.sound("mp3", "libmp3lame", 3.0, write_xing="0", id3v2_version="0")
    found = look(data)

    assert (b"\xff", "mp3") == (data[:1], found.format)
    assert 3000 == pytest.approx(found.duration_ms, rel=0.05)


FILMS: list[tuple[str, Callable[[], bytes]]] = [
    ("mp4", lambda: make.film("mp4")),
    ("mp4", lambda: make.film("mp4", audio="aac")),
    ("mp4", lambda: make.film("mp4", options={"movflags": "faststart"})),
    ("mov", lambda: make.film("mov")),
    ("mkv", lambda: make.film("matroska")),
    ("webm", lambda: make.film("webm", "libvpx")),
    ("avi", lambda: make.film("avi", "mpeg4")),
    ("flv", lambda: make.film("flv", "flv")),
    ("3gp", lambda: make.film("3gp", "mpeg4")),
]


@pytest.mark.parametrize(("form", "data"), FILMS)
def test_films_are_measured_from_their_headers(form: str, data: Callable[[], bytes]) -> None:
    found = look(data())

    assert ("video", form, 96, 64) == (found.kind, found.format, found.width, found.height)
    assert 1000 == pytest.approx(found.duration_ms, rel=0.05)


def test_a_transport_stream_is_a_video_of_unknown_length() -> None:
    assert Findings("video", "video/mp2t", "ts") == look(make.film("mpegts"))


FILES: list[tuple[str, bytes]] = [
    ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    ("zip", make.zipped("a.txt")),
    ("docx", make.zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml")),
    ("docx", make.zipped(*(f"docProps/{i}.xml" for i in range(200)), "word/document.xml")),
    ("xlsx", make.zipped("[Content_Types].xml", "xl/workbook.xml")),
    ("pptx", make.zipped("[Content_Types].xml", "ppt/presentation.xml")),
    ("apk", make.zipped("AndroidManifest.xml", "classes.dex")),
    ("rar", b"Rar!\x1a\x07\x01\x00" + bytes(20)),
    ("7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(20)),
    ("gz", b"\x1f\x8b\x08\x00" + bytes(20)),
    ("xz", b"\xfd7zXZ\x00" + bytes(20)),
    ("tar", bytes(257) + b"ustar\x0000" + bytes(300)),
    ("txt", b"hello\r\n\tworld\n"),
    ("txt", "你好,世界。".encode()),
    ("txt", "你好,世界。".encode("gb18030")),
    ("txt", "\ufeffx".encode("utf-16-le")),
    ("txt", ("你" * 3000).encode()),
    ("html", b"\n<!DOCTYPE html><html></html>"),
    ("xml", b'<?xml version="1.0"?><a/>'),
    ("svg", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("txt", b"BM is how this text begins"),
    ("txt", b"MZ too"),
    ("txt", b"BZhello, this is no archive"),
    ("", bytes(range(256)) * 4),
    ("", b"\x00"),
    ("", b"\xff\xfb"),
]


@pytest.mark.parametrize(("form", "data"), FILES)
def test_anything_else_is_a_file_of_its_format(form: str, data: bytes) -> None:
    found = look(data)

    assert ("file", form) == (found.kind, found.format)


ALL = [data for _, data, _ in PICTURES] + [data for _, data, _ in SOUNDS] + [data for _, data in FILMS]


@pytest.mark.parametrize("data", ALL)
def test_cut_and_broken_headers_cost_measures_but_never_raise(data: Callable[[], bytes]) -> None:
    whole = data()

    for end in [*range(1, 64), 100, 200, len(whole) // 2, len(whole) - 1]:
        look(whole[:end])
    for at in range(min(len(whole), 400)):
        for value in (0, 0x7F, 0xFF):
            found = look(whole[:at] + bytes([value]) + whole[at + 1 :])
            assert min(found.width, found.height, found.duration_ms) >= 0


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"\0\0\0\x18ftypisom", b"OggS", b"ID3"]
    )
    | st.sampled_from(
        [b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0AVI ", b"FLV\1", b"\x02#!SILK_V3", b"PK\3\4"]
    )
    | st.sampled_from(
        [b"#!AMR\n", b"fLaC", b"\0\0\0\x18ftypheic", b"RIFF\0\0\0\0WEBPVP8X", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]
    ),
    st.binary(max_size=2000),
)
def test_no_bytes_make_the_probe_raise(start: bytes, rest: bytes) -> None:
    found = look(start + rest)

    assert found.kind in ("image", "video", "voice", "file")


def test_boxes_nested_without_end_are_left_alone() -> None:
    data = b""
    for _ in range(3000):
        data = struct.pack(">I4s", len(data) + 8, b"moov") + data

    assert "mp4" == look(b"\0\0\0\x10ftypisom\0\0\0\0" + data).format


@pytest.mark.parametrize(
    "flags", ["frag_keyframe+empty_moov", "frag_every_frame+empty_moov", "frag_keyframe+empty_moov+default_base_moof"]
)
def test_a_film_written_while_it_was_recorded_is_as_long_as_its_fragments(flags: str) -> None:
    data = film(quarters(), times=range(250), options={"movflags": flags})

    assert abs(probe(io.BytesIO(data), len(data)).duration_ms - 10_000) <= 40
