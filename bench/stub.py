"""The other end for measurements: answers the QQ bot's calls with as little work as a server can do.

Run as a process of its own, `python -m bench.stub`; prints its port. A faster server makes the client's own cost weigh
more, so this is the harder baseline than the sandbox.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys

from aiohttp import web

from yizhan.runtime.event_loop import new_loop

numbers = itertools.count(1)
JSON = {"Content-Type": "application/json"}
BLOCK = 5 << 20
"""Bytes of one part of a chunked upload, as the platform has it."""


async def token(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b'{"access_token":"bench-token-0123456789","expires_in":"7200"}', headers=JSON)


async def message(request: web.Request) -> web.Response:
    await request.read()
    number = next(numbers)
    return web.Response(body=b'{"id":"ROBOT1.0_%d","timestamp":"2026-11-21T10:00:00+08:00"}' % number, headers=JSON)


async def files(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b'{"file_uuid":"u","file_info":"info-%d","ttl":0}' % next(numbers), headers=JSON)


async def prepare(request: web.Request) -> web.Response:
    asked = json.loads(await request.read())
    size, base = int(asked["file_size"]), f"http://{request.host}"
    starts = range(0, size, BLOCK)
    parts = [
        {"index": i, "presigned_url": f"{base}/cos/{i}", "block_size": str(min(BLOCK, size - start))}
        for i, start in enumerate(starts, 1)
    ]
    config = {"concurrency": 2, "retry_timeout": 300, "retry_delay": 1}
    answer = {"upload_id": f"u{next(numbers)}", "block_size": str(BLOCK), "parts": parts, "upload_config": config}
    return web.Response(body=json.dumps(answer).encode(), headers=JSON)


async def put(request: web.Request) -> web.Response:
    """Take a part in as a storage does: counted and checked, then kept."""
    digest = hashlib.md5(usedforsecurity=False)
    async for data in request.content.iter_any():
        digest.update(data)
    return web.Response(headers={"ETag": f'"{digest.hexdigest()}"'})


async def finish(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b"{}", headers=JSON)


def main() -> None:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/app/getAppAccessToken", token)
    for scene in ("users", "groups"):
        app.router.add_post(f"/v2/{scene}/{{openid}}/messages", message)
        app.router.add_post(f"/v2/{scene}/{{openid}}/files", files)
        app.router.add_post(f"/v2/{scene}/{{openid}}/upload_prepare", prepare)
        app.router.add_post(f"/v2/{scene}/{{openid}}/upload_part_finish", finish)
    app.router.add_put("/cos/{part}", put)

    runner = web.AppRunner(app, access_log=None)
    loop = new_loop()
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    loop.run_until_complete(site.start())
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    loop.run_forever()


if __name__ == "__main__":
    main()
