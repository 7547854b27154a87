"""`python -m yizhan.sandbox`: the sandbox without the rest of the command line."""

from __future__ import annotations

import argparse
import logging
import sys

from yizhan.errors import ConfigError
from yizhan.sandbox.app import DEFAULT_PORT, serve


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m yizhan.sandbox", description="An offline WeChat and QQ.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (this machine only, by default)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--type-api-port", type=int, metavar="PORT", help='second listener for the local "type" API')
    parser.add_argument("--platform", action="append", metavar="NAME", help="serve only this one; may be repeated")
    parser.add_argument("--world", metavar="FILE.toml", help="the people and groups to begin with")
    parser.add_argument("--folder", metavar="DIR", help="keep the bytes that arrive here")
    parser.add_argument("--manual-logins", action="store_true", help="QR logins wait for a scan and a confirmation")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        serve(
            world_file=given.world,
            manual_logins=given.manual_logins,
            platforms=given.platform,
            host=given.host,
            port=given.port,
            type_api_port=given.type_api_port,
            folder=given.folder,
        )
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
