"""The sandbox of the demo as a process: `python -m yizhan.cli.demo.network PORT FOLDER`.

It ends when its standard input does, so that it never outlives a demo that was killed, unless it has read a line there
before: then it stays.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path


def main() -> int:
    from yizhan.cli.exits import SENT, USAGE
    from yizhan.errors import ConfigError
    from yizhan.sandbox import serve

    logging.basicConfig(level=logging.CRITICAL)
    threading.Thread(target=_end_with_the_demo, daemon=True).start()
    try:
        serve(port=int(sys.argv[1]), folder=Path(sys.argv[2]))
    except ConfigError as error:
        sys.stdout.write(f"{error}\n")
        return USAGE
    return SENT


def _end_with_the_demo() -> None:
    # Read without a buffer: a thread that waits in one keeps Python from ending.
    if not os.read(0, 1):
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
