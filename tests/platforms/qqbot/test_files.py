"""Uploads from both ends: sources, scenes, ends, formats, sizes, chunks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.platforms.qqbot.support import (
    GROUP,
    MP4,
    PNG,
    SILK,
    TO_GROUP,
    TO_USER,
    USER,
    adapter_for,
    bot_of,
    deliver,
    media_of,
    plain_of,
    stop_clock,
)
from tests.support import serve
from yizhan.errors import ContentRefused, HandleExpired, NotAllowed, Rejected, Throttled, Unavailable, WireMismatch
from yizhan.http.router import Exchange
from yizhan.model import BytesContent, File, Image, Message
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client.digests import compute_digests
from yizhan.platforms.qqbot.client.upload import upload_parts
from yizhan.platforms.qqbot.wire.files import PartSlot, Prepared
from yizhan.wire import HttpResponse

BLOCK = 1000
CHUNKED = {"limits": False, "files.inline_max_bytes": 100, "chunks.block_bytes": BLOCK, "chunks.retry_delay": 0}
DATA = bytes(range(250)) * 14
PAPER = Message((File(media_of(DATA, "file", "", "报告.bin")),))


@pytest.fixture
async def web_url() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        known = {"a.png": PNG, "empty": b"", "big.png": PNG + bytes(5000)}
        if request.path == "/moved":
            raise web.HTTPFound("/a.png")
        return web.Response(body=known[request.path[1:]]) if request.path[1:] in known else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_file_uploaded_by_link_or_inline_is_sent_by_its_file_info(web_url: str) -> None:
    async with bot_of() as (served, bot):
        by_link = await bot.c2c.files(USER, file_type=1, url=f"{web_url}/a.png", srv_send_msg=False)
        inline = await bot.c2c.files(USER, file_type=1, file_data=PNG)
        for placed in (by_link, inline):
            await bot.c2c.post_message(USER, media=placed, content="看")

        assert (86400, None) == (by_link.ttl, by_link.id)
        assert [("image", "看", PNG)] * 2 == [(p.kind, p.text, p.blob.read()) for p in served.world.posts if p.blob]


async def test_an_empty_link_beside_bytes_is_no_link() -> None:
    async with bot_of() as (_, bot):
        placed = await bot.group.files(GROUP, file_type=1, url="", file_data=PNG)

        assert placed.file_info


async def test_an_upload_with_srv_send_msg_is_an_active_message_with_an_id() -> None:
    async with bot_of() as (served, bot):
        placed = await bot.group.files(GROUP, file_type=2, file_data=MP4, srv_send_msg=True)

        (post,) = served.world.posts
        assert (placed.id, "video", "uploadAndSendToGroup") == (post.message_id, post.kind, post.call)
        served.world.network("qq").group(GROUP).active_allowed = False
        with pytest.raises(NotAllowed, match="40034105"):
            await bot.group.files(GROUP, file_type=2, file_data=MP4, srv_send_msg=True)
        assert 1 == len(served.server.files.placed)  # type: ignore[attr-defined]


async def test_parallel_uploads_with_srv_send_msg_cannot_exceed_a_quota(web_url: str) -> None:
    async with bot_of(rules={"active.group.target_per_minute": 2}) as (served, bot):
        sends = [bot.group.files(GROUP, file_type=1, url=f"{web_url}/a.png", srv_send_msg=True) for _ in range(5)]
        ends = await asyncio.gather(*sends, return_exceptions=True)

        assert 3 == sum(isinstance(end, Throttled) for end in ends)
        assert 2 == len(served.world.posts)


async def test_file_info_never_crosses_from_one_scene_to_the_other() -> None:
    async with bot_of() as (_, bot):
        for here, openid, there, other in ((bot.c2c, USER, bot.group, GROUP), (bot.group, GROUP, bot.c2c, USER)):
            placed = await here.files(openid, file_type=1, file_data=PNG)
            await here.post_message(openid, media=placed)
            with pytest.raises(HandleExpired, match="304080"):
                await there.post_message(other, media=placed)


async def test_file_info_serves_until_its_ttl() -> None:
    async with serve(PLATFORM, rules={"handle.seconds": 600}) as served:
        adapter = adapter_for(served)
        message = Message((Image(media_of(PNG)),))
        (part,) = adapter.compose(message, TO_USER)
        handle = await adapter.upload(part.needs[0], BytesContent(PNG), TO_USER)

        assert handle.expires_at is not None
        assert 600 == pytest.approx(handle.expires_at - served.world.now(), abs=2)
        served.world.clock.advance(599)
        await adapter.bot.c2c.post_message(USER, media=handle.token)
        served.world.clock.advance(2)
        with pytest.raises(HandleExpired):
            await adapter.bot.c2c.post_message(USER, media=handle.token)
        await adapter.close()


async def test_a_ttl_of_0_never_ends() -> None:
    async with serve(PLATFORM, rules={"handle.seconds": 0}) as served:
        adapter = adapter_for(served)
        (part,) = adapter.compose(Message((Image(media_of(PNG)),)), TO_USER)
        handle = await adapter.upload(part.needs[0], BytesContent(PNG), TO_USER)
        served.world.clock.advance(400 * 86400)
        await adapter.bot.c2c.post_message(USER, media=handle.token)

        assert handle.expires_at is None
        assert 1 == len(served.world.posts)
        await adapter.close()


@pytest.mark.parametrize(
    ("path", "code"), [("/missing", 850026), ("/moved", 850026), ("/big.png", 850031), ("/empty", 50035)]
)
async def test_an_upload_by_an_unreachable_link_is_refused(web_url: str, path: str, code: int) -> None:
    async with bot_of(rules={"image.max_bytes": 3000}) as (_, bot):
        with pytest.raises(Rejected, match=str(code)) as caught:
            await bot.c2c.files(USER, file_type=1, url=web_url + path)

        assert caught.value.fault is not None
        assert caught.value.fault.trace_id


FORMATS = [
    (1, PNG, True),
    (1, b"GIF89a" + bytes(20), True),
    (1, MP4, False),
    (1, b"hello", False),
    (2, MP4, True),
    (2, PNG, False),
    (3, SILK, True),
    (3, b"#!SILK_V3" + bytes(9), False),
    (3, b"ID3" + bytes(9), True),
    (3, b"RIFF\x00\x00\x00\x00WAVE", True),
    (3, b"OggS" + bytes(9), True),
    (4, b"anything", True),
]


@pytest.mark.parametrize(("file_type", "data", "taken"), FORMATS)
async def test_the_format_of_a_file_follows_from_its_bytes(file_type: int, data: bytes, taken: bool) -> None:
    async with bot_of() as (_, bot):
        if taken:
            assert (await bot.c2c.files(USER, file_type=file_type, file_data=data)).file_info
        else:
            with pytest.raises(ContentRefused, match="850019"):
                await bot.c2c.files(USER, file_type=file_type, file_data=data)


async def test_above_the_soft_limit_a_picture_arrives_as_a_file() -> None:
    async with serve(PLATFORM, rules={"image.soft_bytes": 50}) as served:
        adapter = adapter_for(served, rules={"image.soft_bytes": 50})
        message = Message((Image(media_of(PNG, name="季度.png")),))
        await deliver(adapter, message, TO_GROUP)

        (post,) = served.world.posts
        assert ("file", "季度.png") == (post.kind, post.name)
        await adapter.close()


async def test_the_upload_volume_of_a_day_is_limited_and_renewed_the_next_day() -> None:
    async with bot_of(rules={"files.volume_bytes_per_day": 150}) as (served, bot):
        await bot.c2c.files(USER, file_type=1, file_data=PNG)
        with pytest.raises(Throttled, match="40093002") as caught:
            await bot.c2c.files(USER, file_type=1, file_data=PNG)
        served.world.clock.advance(86400)
        await bot.c2c.files(USER, file_type=1, file_data=PNG)

        assert "target" == caught.value.concerns


# --- chunks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_index", [0, 1])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_parts_are_cut_by_position_and_not_by_index(first_index: int, concurrency: int) -> None:
    rules = {**CHUNKED, "chunks.first_index": first_index, "chunks.concurrency": concurrency}
    async with serve(PLATFORM, rules=rules) as served:
        adapter = adapter_for(served, rules=CHUNKED)
        await deliver(adapter, PAPER, TO_GROUP, DATA)

        (post,) = served.world.posts
        assert ("报告.bin", DATA) == (post.name, post.blob.read() if post.blob else b"")
        puts = [exchange.http for exchange in served.exchanges if exchange.endpoint == "putPart"]
        assert {str(first_index + n) for n in range(4)} == {http.query_value("partNumber") for http in puts}
        assert all(not http.header("authorization") for http in puts)
        await adapter.close()


async def test_confirmations_are_repeated_as_often_as_the_platform_asks() -> None:
    async with serve(PLATFORM, rules={**CHUNKED, "chunks.finish_retries": 3}) as served:
        adapter = adapter_for(served, rules=CHUNKED)
        await deliver(adapter, PAPER, TO_USER, DATA)

        assert (4, 16) == (served.calls("putPart"), served.calls("finishPartForUser"))
        assert 1 == len(served.world.posts)
        await adapter.close()


async def test_confirmations_are_given_up_after_the_platforms_retry_timeout() -> None:
    rules = {**CHUNKED, "chunks.finish_retries": 10**6, "chunks.retry_timeout": 0}
    async with serve(PLATFORM, rules=rules) as served:
        adapter = adapter_for(served, rules=CHUNKED)

        with pytest.raises(Exception, match="40093001"):
            await deliver(adapter, PAPER, TO_USER, DATA)
        assert [] == served.world.posts
        await adapter.close()


async def test_a_part_that_the_storage_dropped_is_put_again() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:
        failures = 2

        async def fail_twice(exchange: Exchange) -> HttpResponse | None:
            nonlocal failures
            if exchange.endpoint == "putPart" and failures:
                failures -= 1
                return HttpResponse(503, (), b"busy")
            return None

        served.before = fail_twice  # type: ignore[method-assign]
        adapter = adapter_for(served, rules=CHUNKED)
        sent: list[int] = []
        (part,) = adapter.compose(PAPER, TO_USER)
        await adapter.upload(part.needs[0], BytesContent(DATA), TO_USER, sent.append)

        assert 6 == served.calls("putPart")
        assert len(DATA) <= sum(sent)
        await adapter.close()


async def test_an_unreachable_storage_fails_the_upload_after_a_few_tries() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:

        async def fail(exchange: Exchange) -> HttpResponse | None:
            return HttpResponse(503, (), b"busy") if exchange.endpoint == "putPart" else None

        served.before = fail  # type: ignore[method-assign]
        adapter = adapter_for(served, rules=CHUNKED)

        with pytest.raises(Unavailable, match="503"):
            await deliver(adapter, PAPER, TO_USER, DATA)
        assert 4 == served.calls("putPart")
        await adapter.close()


async def test_an_upload_that_the_proxy_refuses_as_too_large_goes_in_chunks() -> None:
    async with serve(PLATFORM, rules={**CHUNKED, "files.proxy_max_bytes": 2000}) as served:
        adapter = adapter_for(served, rules={**CHUNKED, "files.inline_max_bytes": 10**6})
        await deliver(adapter, PAPER, TO_GROUP, DATA)

        assert (2, 4) == (served.calls("uploadToGroup"), served.calls("putPart"))
        assert 1 == len(served.world.posts)
        await adapter.close()


async def test_a_merge_needs_all_parts_and_only_the_upload_id() -> None:
    async with bot_of(rules=CHUNKED) as (served, bot):
        fields: dict[str, Any] = {
            "file_type": 1,
            "file_size": str(len(PNG)),
            "file_name": "季度.png",
            "md5": "",
            "sha1": "x",
        }
        prepared = await bot.c2c.upload_prepare(USER, **fields)
        with pytest.raises(Rejected, match="分片未全部完成"):
            await bot.c2c.files(USER, upload_id=prepared.upload_id)
        async with bot.caller._client().put(prepared.parts[0].presigned_url, data=PNG) as response:
            assert f'"{hashlib.md5(PNG).hexdigest()}"' == response.headers["ETag"]
        finish = {"upload_id": prepared.upload_id, "part_index": 1, "block_size": len(PNG)}
        with pytest.raises(Rejected, match="md5不符"):
            await bot.c2c.upload_part_finish(USER, **finish, md5="0" * 32)
        await bot.c2c.upload_part_finish(USER, **finish, md5=hashlib.md5(PNG).hexdigest())
        with pytest.raises(Rejected, match="upload_id"):
            await bot.group.files(GROUP, upload_id=prepared.upload_id)

        placed = await bot.c2c.files(USER, upload_id=prepared.upload_id)
        again = await bot.c2c.files(USER, upload_id=prepared.upload_id)
        for answer in (placed, again):
            await bot.c2c.post_message(USER, media=answer)
        assert [("image", "季度.png", PNG)] * 2 == [
            (p.kind, p.name, p.blob.read()) for p in served.world.posts if p.blob
        ]
        assert placed.raw_url is not None
        async with bot.caller._client().get(placed.raw_url) as response:
            assert PNG == await response.read()
        served.world.clock.advance(86401)
        async with bot.caller._client().get(placed.raw_url) as response:
            assert 404 == response.status


async def test_an_empty_sha1_is_refused_and_a_missing_one_is_not() -> None:
    async with plain_of() as plain:
        fields = {"file_type": 4, "file_size": 5, "file_name": "a", "md5": "x", "md5_10m": "x"}

        assert 200 == (await plain("POST", f"/v2/users/{USER}/upload_prepare", fields))[0]
        status, body, _ = await plain("POST", f"/v2/users/{USER}/upload_prepare", {**fields, "sha1": ""})
        assert (500, 850012, "call inner proxy error") == (status, body["code"], body["message"])


async def test_all_digests_are_computed_in_one_reading() -> None:
    reads = 0

    class Counted(BytesContent):
        def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
            nonlocal reads
            reads += 1
            return super().chunks(start, stop)

    data = bytes(10_002_432) + b"tail"
    digests = await compute_digests(Counted(data))

    assert 1 == reads
    assert hashlib.md5(data[:10_002_432]).hexdigest() == digests.md5_10m
    assert (hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest()) == (digests.md5, digests.sha1)


@pytest.mark.parametrize("etag", [None, "", '"not-a-digest"', f'"{"0" * 32}"', 'W/"x"'])
async def test_an_etag_that_is_no_md5_is_ignored(etag: str | None) -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:

        async def rewrite(exchange: Exchange) -> None:
            if exchange.endpoint == "putPart" and exchange.response is not None:
                exchange.response.headers = [] if etag is None else [("ETag", etag)]

        served.after = rewrite  # type: ignore[method-assign]
        adapter = adapter_for(served, rules=CHUNKED)
        await deliver(adapter, PAPER, TO_USER, DATA)

        (post,) = served.world.posts
        assert DATA == post.blob.read() if post.blob else b""
        assert 4 == served.calls("putPart")
        await adapter.close()


async def test_the_second_scene_does_not_read_the_file_again_for_its_digests() -> None:
    reads: list[int] = []

    class Counted(BytesContent):
        def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
            reads.append(start)
            return super().chunks(start, stop)

    async with serve(PLATFORM, rules=CHUNKED) as served:
        adapter = adapter_for(served, rules=CHUNKED)
        for target in (TO_USER, TO_GROUP):
            (part,) = adapter.compose(PAPER, target)
            await adapter.upload(part.needs[0], Counted(DATA), target)

        # Once for the digests, and every part once for each scene.
        assert sorted([0, *[0, 1000, 2000, 3000] * 2]) == sorted(reads)
        await adapter.close()


def test_the_size_of_a_part_comes_from_the_part_or_from_block_size() -> None:
    given = Prepared("u", "1000", [PartSlot(7, "a"), PartSlot(8, "b", "300"), PartSlot(9, "c")])

    parts = upload_parts(given, 1500)

    assert [(7, 0, 1000), (8, 1000, 300), (9, 1300, 200)] == [(part.index, part.start, part.size) for part in parts]


@pytest.mark.parametrize("parts", [[], [PartSlot(1, "a", "10")], [PartSlot(1, "a", "10"), PartSlot(2, "b", "0")]])
def test_parts_that_do_not_cover_the_file_are_a_mismatch(parts: list[PartSlot]) -> None:
    with pytest.raises(WireMismatch):
        upload_parts(Prepared("u", None, parts), 1500)


async def test_a_file_that_the_platform_has_already_is_not_uploaded_again() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:

        async def known(exchange: Exchange) -> HttpResponse | None:
            if exchange.endpoint != "prepareForUser":
                return None
            body = b'{"file_uuid":"FU_1","file_info":"known","ttl":60,"parts":[]}'
            return HttpResponse(200, [("Content-Type", "application/json")], body)

        served.before = known  # type: ignore[method-assign]
        adapter = adapter_for(served, rules=CHUNKED)
        (part,) = adapter.compose(PAPER, TO_USER)
        handle = await adapter.upload(part.needs[0], BytesContent(DATA), TO_USER)

        assert "known" == handle.token
        await adapter.close()


async def test_parallel_uploads_are_independent() -> None:
    async with serve(PLATFORM, rules={**CHUNKED, "chunks.concurrency": 3}) as served:
        adapter = adapter_for(served, rules=CHUNKED)
        files = [DATA + bytes([number]) * 500 for number in range(5)]
        messages = [Message((File(media_of(data, "file", "", f"{n}.bin")),)) for n, data in enumerate(files)]
        await asyncio.gather(*(deliver(adapter, m, TO_USER, d) for m, d in zip(messages, files, strict=True)))

        assert sorted(files) == sorted(post.blob.read() for post in served.world.posts if post.blob)
        await adapter.close()


@pytest.mark.parametrize(("ttl", "seconds"), [(b',"ttl":60', 60), (b',"ttl":0', None), (b"", 300)])
async def test_a_handle_ends_with_its_ttl_and_soon_if_none_was_given(ttl: bytes, seconds: float | None) -> None:
    async with serve(PLATFORM) as served:

        async def uploaded(exchange: Exchange) -> HttpResponse | None:
            if exchange.endpoint != "uploadToUser":
                return None
            body = b'{"file_uuid":"FU_1","file_info":"known"' + ttl + b"}"
            return HttpResponse(200, [("Content-Type", "application/json")], body)

        served.before = uploaded  # type: ignore[method-assign]
        stop_clock(served)
        adapter = adapter_for(served)
        (part,) = adapter.compose(Message((Image(media_of(PNG)),)), TO_USER)
        handle = await adapter.upload(part.needs[0], BytesContent(PNG), TO_USER)
        await adapter.close()

        assert (None if seconds is None else served.world.now() + seconds) == handle.expires_at
