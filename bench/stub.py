"""The other end for measurements: answers the QQ bot's calls with as little work as a server can do.

Run as a process of its own, `python -m bench.stub`; prints its port. A faster server makes the client's own cost weigh
more, so this is the harder baseline than the sandbox.
"""

from __future__ import annotations

import itertools
import sys

from aiohttp import web

from yizhan.net.loop import new_loop

numbers = itertools.count(1)
JSON = {"Content-Type": "application/json"}


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


def main() -> None:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/app/getAppAccessToken", token)
    for scene in ("users", "groups"):
        app.router.add_post(f"/v2/{scene}/{{openid}}/messages", message)
        app.router.add_post(f"/v2/{scene}/{{openid}}/files", files)

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
