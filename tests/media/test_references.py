"""Media by address, data URI, base64, digest and path: what arrives, and who may name what."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.media import support as make
from tests.media.support import files_in, library_in
from tests.support import PATIENCE
from yizhan.errors import MediaFormat, MediaTooLarge, Refused
from yizhan.media.address_guard import AllowList
from yizhan.media.download import DownloadLimits
from yizhan.media.library import Library
from yizhan.media.references import REMOTE, Trust, open_path
from yizhan.model import read_all

PNG = make.picture("PNG")
LARGE = bytes(range(251)) * 20_000


class Server:
    """Answers requests from a script, one answer after the other; the last one for good."""

    def __init__(self) -> None:
        self.url = ""
        self.script: list[bytes] = []
        self.heads: list[str] = []
        self.hang = False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.script.pop(0) if len(self.script) > 1 else self.script[0])
        if self.hang:
            await writer.drain()
            await reader.read()
        writer.close()

    def trust(self, **limits: Any) -> Trust:
        limits.setdefault("pause_seconds", 0)
        return Trust((), DownloadLimits(allowed=AllowList(("127.0.0.1",)), **limits))

    def ranges(self) -> list[str]:
        return [found[1] if (found := re.search(r"Range: (\S+)", head)) else "" for head in self.heads]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    listening.close()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return library_in(tmp_path)


def ok(body: bytes, *headers: str, length: int | None = None, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


async def test_an_address_becomes_media_under_the_name_in_its_path(server: Server, library: Library) -> None:
    server.script = [ok(PNG)]
    media = await library.add(f"{server.url}/a/{quote('图 1.png')}?token=secret", trust=server.trust())

    assert ("图 1.png", "png", PNG) == (media.name, media.format, await read_all(library.open(media)))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf", "报告.pdf"),
        ("attachment; filename=\"x.pdf\"; filename*=utf-8'zh'%E6%8A%A5.pdf", "报.pdf"),
        ('attachment; filename="a \\"b\\".pdf"', 'a "b".pdf'),
        ("inline; filename=plain.pdf", "plain.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd.png"),
        ('attachment; filename="%B1%A8%B8%E6.pdf"', "报告.pdf"),
        ("attachment; filename*=GB2312''%88%F3%B8%E6.pdf", "報告.pdf"),
        ('attachment; filename="=?GBK?B?sai45i5wZGY=?="', "报告.pdf"),
        ('attachment; filename="%E6%8A%A5.pdf"', "报.pdf"),
        ("attachment; filename*=nosuch''%FF.pdf", "file.bin"),
        ("attachment", "file.bin"),
    ],
)
async def test_the_name_in_the_header_wins(server: Server, library: Library, header: str, name: str) -> None:
    server.script = [ok(PNG, f"Content-Disposition: {header}")]

    assert name == (await library.add(server.url + "/file.bin", trust=server.trust())).name


@pytest.mark.parametrize("name", ["报告.pdf", "季度總結（终）.docx"])
async def test_a_name_in_raw_gbk_is_read(server: Server, library: Library, name: str) -> None:
    head = b'Content-Disposition: attachment; filename="' + name.encode("gbk") + b'"'
    server.script = [ok(PNG, head.decode("utf-8", "surrogateescape"))]

    assert name == (await library.add(server.url + "/x", trust=server.trust())).name


@pytest.mark.parametrize(
    ("tail", "name"),
    [
        ("files/download?id=12", "download.png"),
        ("export.php?what=report", "export.png"),
        ("f/8f3a99", "8f3a99.png"),
        ("release-1.2", "release-1.2.png"),
        ("photo.jpeg", "photo.jpeg"),
        ("%B1%A8%B8%E6.bin", "报告.bin"),
    ],
)
async def test_a_download_without_an_extension_gets_that_of_its_bytes(
    server: Server, library: Library, tail: str, name: str
) -> None:
    server.script = [ok(PNG)]

    assert name == (await library.add(f"{server.url}/{tail}", trust=server.trust())).name


async def test_a_name_that_the_caller_gives_stays_without_an_extension(server: Server, library: Library) -> None:
    server.script = [ok(PNG)]

    assert "Makefile" == (await library.add(server.url + "/x", "Makefile", trust=server.trust())).name


async def test_a_name_in_raw_utf8_is_read(server: Server, library: Library) -> None:
    server.script = [ok(PNG, 'Content-Disposition: attachment; filename="报告.pdf"')]

    assert "报告.pdf" == (await library.add(server.url + "/x", trust=server.trust())).name


async def test_a_download_that_breaks_off_is_taken_up_where_it_was(server: Server, library: Library) -> None:
    cut, second = 700_000, 1_500_000
    tag, total = 'ETag: "v1"', len(LARGE)
    server.script = [
        ok(LARGE[:cut], tag, length=total),
        b"",
        ok(LARGE[cut:second], tag, f"Content-Range: bytes {cut}-/{total}", length=total - cut, status="206 Partial"),
        ok(b"busy", status="503 Busy"),
        ok(LARGE[second:], tag, f"Content-Range: bytes {second}-/{total}", status="206 Partial"),
    ]
    media = await library.add(server.url + "/large", trust=server.trust())

    assert LARGE == await read_all(library.open(media))
    assert ["", f"bytes={cut}-", f"bytes={cut}-", f"bytes={second}-", f"bytes={second}-"] == server.ranges()
    assert 'If-Range: "v1"' in server.heads[1]


async def test_a_download_that_often_breaks_off_does_not_wait_longer_each_time(
    server: Server, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("yizhan.media.download.asyncio.sleep", sleep)
    tag = 'ETag: "v1"'
    server.script = [ok(b"0", tag, length=8)]
    for at in range(1, 8):
        server.script += [
            ok(b"", status="503 Busy"),
            ok(b"%d" % at, tag, f"Content-Range: bytes {at}-/8", length=8 - at, status="206 Partial"),
        ]
    media = await library.add(server.url + "/large", trust=server.trust(pause_seconds=3.0))

    assert b"01234567" == await read_all(library.open(media))
    # Broken off after a byte, and then once more before any.
    assert [3.0, 6.0] * 7 == waited


async def test_no_pause_goes_beyond_the_time_that_a_download_may_take(server: Server, library: Library) -> None:
    server.script = [b""]
    await refused(library, server, "took longer than 0.2 s", max_seconds=0.2, pause_seconds=1000.0)


async def test_a_server_without_ranges_sends_it_all_again_and_the_known_part_is_skipped(
    server: Server, library: Library
) -> None:
    tag = "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT"
    server.script = [ok(LARGE[:1000], tag, length=len(LARGE)), ok(LARGE, tag)]
    media = await library.add(server.url + "/large", trust=server.trust())

    assert LARGE == await read_all(library.open(media))


async def refused(
    library: Library, server: Server, words: str, kind: type[Exception] = MediaFormat, **more: Any
) -> None:
    with pytest.raises(kind, match=words):
        await library.add(server.url + "/x?token=secret", trust=server.trust(**more))
    assert [] == files_in(library.blobs.staging.parent)


async def test_a_file_that_changes_between_two_tries_is_refused(server: Server, library: Library) -> None:
    server.script = [ok(b"old", 'ETag: "1"', length=10), ok(b"new content", 'ETag: "2"')]
    await refused(library, server, "changed while it was downloaded")


async def test_another_range_than_the_requested_one_is_refused(server: Server, library: Library) -> None:
    server.script = [
        ok(b"abc", 'ETag: "1"', length=10),
        ok(b"abc", 'ETag: "1"', "Content-Range: bytes 0-/10", status="206 Partial"),
    ]
    await refused(library, server, "another part")


async def test_without_a_version_a_broken_download_is_not_pieced_together(server: Server, library: Library) -> None:
    server.script = [ok(b"abc", length=10)]
    await refused(library, server, "broke off after 3 bytes")

    assert 1 == len(server.heads)


async def test_a_missing_server_is_reported(library: Library, server: Server) -> None:
    allowed = server.trust(tries=2)

    with pytest.raises(MediaFormat, match=r"could not be fetched: .*\. Check the address, or try again later\."):
        await library.add("http://127.0.0.1:9/x?token=secret", trust=allowed)


async def test_a_server_that_stays_busy_is_given_up(server: Server, library: Library) -> None:
    server.script = [ok(b"", status="503 Busy")]
    await refused(library, server, "503 Busy", tries=3)

    assert 3 == len(server.heads)


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "401 Unauthorized", "410 Gone", "400 Bad"])
async def test_a_final_answer_is_reported_without_the_secrets_of_the_address(
    server: Server, library: Library, status: str
) -> None:
    server.script = [ok(b"", status=status)]
    with pytest.raises(MediaFormat, match=status) as caught:
        await library.add(server.url + "/x?token=secret", trust=server.trust())

    assert "secret" not in str(caught.value)
    assert 1 == len(server.heads)


async def test_an_announced_size_over_the_limit_is_refused_before_a_byte_is_read(
    server: Server, library: Library
) -> None:
    server.script = [ok(b"x", length=10_000)]
    await refused(library, server, "has 10000 bytes; downloads are limited to 5000", MediaTooLarge, max_bytes=5000)


async def test_more_than_the_limit_is_refused_although_nothing_was_announced(server: Server, library: Library) -> None:
    server.script = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(10_000)]
    await refused(library, server, "limited to 5000", MediaTooLarge, max_bytes=5000)


async def test_packed_bytes_are_unpacked_and_counted_unpacked(server: Server, library: Library) -> None:
    server.script = [ok(gzip.compress(PNG), "Content-Encoding: gzip")]
    media = await library.add(server.url + "/x", trust=server.trust())
    assert PNG == await read_all(library.open(media))

    server.script = [ok(gzip.compress(bytes(50 << 20)), "Content-Encoding: gzip")]
    with pytest.raises(MediaTooLarge):
        await library.add(server.url + "/bomb", trust=server.trust(max_bytes=5000))


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [(b"xx", "br", "compressed as 'br'"), (b"not gzip", "gzip", "not compressed as its header says")],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(
    server: Server, library: Library, body: bytes, encoding: str, words: str
) -> None:
    server.script = [ok(body, f"Content-Encoding: {encoding}")]
    await refused(library, server, words)


async def test_a_download_takes_no_longer_than_it_may(server: Server, library: Library) -> None:
    server.script, server.hang = [ok(b"abc", length=10)], True
    await refused(library, server, "took longer than 0.05 s", max_seconds=0.05)


async def test_an_empty_answer_is_empty_media(server: Server, library: Library) -> None:
    server.script = [ok(b"")]
    await refused(library, server, "is empty")


TEXTS = [
    "data:image/png;base64," + base64.b64encode(PNG).decode(),
    "data:;base64," + quote(base64.b64encode(PNG).decode(), safe=""),
    "data:image/png;name=x;BASE64," + base64.urlsafe_b64encode(PNG).decode().rstrip("="),
    "data:image/png;base64," + base64.encodebytes(PNG).decode(),
    "data:image/png," + quote(PNG),
    "base64://" + base64.b64encode(PNG).decode(),
]


@pytest.mark.parametrize("text", TEXTS)
async def test_text_that_encodes_bytes_is_decoded(library: Library, text: str) -> None:
    media = await library.add(text, trust=REMOTE)

    assert PNG == await read_all(library.open(media))


async def test_large_base64_is_decoded_piece_by_piece_with_line_ends_anywhere(library: Library) -> None:
    data = bytes(range(256)) * 12_000
    text = base64.encodebytes(data).decode()

    assert data == await read_all(library.open(await library.add("base64://" + text)))


@pytest.mark.parametrize(
    "text", ["data:image/png;base64", "base64://a", "base64://!!!!", "data:;base64,AA=A~", "s3://b/x"]
)
async def test_text_that_encodes_nothing_is_refused(library: Library, text: str) -> None:
    with pytest.raises(MediaFormat):
        await library.add(text)


async def test_a_digest_names_what_is_in_the_library(library: Library) -> None:
    media = await library.add(PNG, name="a.png")

    assert media == await library.add("sha256:" + media.sha256)
    assert media == await library.add(media.sha256, trust=REMOTE)
    with pytest.raises(Refused, match="holds no media"):
        await library.add("sha256:" + "0" * 64)


async def test_a_file_url_is_a_path(library: Library, tmp_path: Path) -> None:
    (tmp_path / "图 1.png").write_bytes(PNG)

    assert "图 1.png" == (await library.add(f"file://{quote(str(tmp_path))}/{quote('图 1.png')}")).name
    with pytest.raises(Refused, match="not below a folder"):
        await library.add(f"file://{quote(str(tmp_path))}/{quote('图 1.png')}", trust=REMOTE)


async def test_remote_callers_name_files_below_allowed_folders_only(library: Library, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside, tmp_path / "in2"):
        folder.mkdir()
        (folder / "a.png").write_bytes(PNG)
    (inside / "link.png").symlink_to(outside / "a.png")
    (inside / "dir").symlink_to(outside)
    (outside / "back").symlink_to(inside)
    trust = Trust((inside,))

    for allowed in (inside / "a.png", outside / "back" / "a.png", inside / ".." / "in" / "a.png"):
        assert "png" == (await library.add(str(allowed), trust=trust)).format
    for named in (
        outside / "a.png",
        tmp_path / "in2" / "a.png",
        inside / "link.png",
        inside / "dir" / "a.png",
        inside / ".." / "out" / "a.png",
        outside / "missing.png",
        "/etc/passwd",
        "/proc/self/environ",
        "~/x",
        "a\0b",
    ):
        with pytest.raises(Refused, match="not below a folder"):
            await library.add(str(named), trust=trust)


SWAPS = {
    "the file": lambda inside, outside: (inside / "sub" / "a.png", outside / "a.png"),
    "its folder": lambda inside, outside: (inside / "sub", outside),
}


@pytest.mark.parametrize("swapped", SWAPS)
async def test_a_link_put_in_place_after_the_check_leads_nowhere(
    library: Library, tmp_path: Path, swapped: str
) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(PNG)
    opened = open_path(inside / "sub" / "a.png", Trust((inside,)))
    place, to = SWAPS[swapped](inside, outside)
    place.rename(tmp_path / "moved away")
    place.symlink_to(to)

    with pytest.raises(Refused, match="not below a folder"):
        await anext(opened.chunks)


async def test_a_pipe_below_an_allowed_folder_is_refused_without_waiting_for_its_writer(
    library: Library, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(MediaFormat, match="not a regular file"):
            await library.add(str(tmp_path / "pipe"), trust=Trust((tmp_path,)))
        with pytest.raises(MediaFormat, match="is a folder"):
            await library.add(str(tmp_path), trust=Trust((tmp_path,)))
        with pytest.raises(MediaFormat, match="There is no file"):
            await library.add(str(tmp_path / "missing"), trust=Trust((tmp_path,)))


@pytest.mark.parametrize(
    "address",
    [f"http://{'a' * 64}.example/x", "http://a..example/x", f"http://{'é' * 70}.example/x", "http://\udc80.example/x"],
    ids=ascii,
)
async def test_an_invalid_host_name_is_refused_in_words(library: Library, address: str) -> None:
    with pytest.raises(Refused):
        await library.add(address)


async def test_downloads_can_be_switched_off(library: Library) -> None:
    with pytest.raises(Refused, match="switched off"):
        await library.add("https://example.com/x.png", trust=Trust((), None))


async def test_remote_callers_reach_nothing_inside(library: Library) -> None:
    with pytest.raises(Refused, match="not a public address"):
        await library.add("http://127.0.0.1:1/x.png", trust=REMOTE)
