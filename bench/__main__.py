"""Run the measurements and print the table."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import delivery, fanout, media, startup
from bench.common import Row
from yizhan.runtime.event_loop import run


def measurements(quick: bool) -> dict[str, Callable[[], list[Row]]]:
    many = 2_000 if quick else 5_000
    return {
        "client": lambda: run(delivery.client_overhead(many)),
        "pipeline": lambda: run(delivery.pipeline(many)),
        "fanout": lambda: run(fanout.fan_out(200 if quick else 1_000, 10 << 20)),
        "scale": lambda: run(delivery.scale(1_000, 10_000 if quick else 100_000)),
        "overtaking": lambda: run(delivery.overtaking(10_000, 300)),
        "ingest": lambda: media.ingest(256 if quick else 1024),
        "media": lambda: run(media.media(quick)),
        "import": startup.import_time,
    }


def main(arguments: list[str]) -> int:
    quick = "--quick" in arguments
    known = measurements(quick)
    names = [name for name in arguments if not name.startswith("-")] or list(known)
    unknown = set(names) - set(known)
    if unknown:
        print(f"no measurement {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        return 2
    print(f"{'what':<66} {'ratio':>8}  {'target':<14} {'met':<4} detail")
    missed = 0
    for name in names:
        for row in known[name]():
            missed += not row.met
            met = "yes" if row.met else "NO"
            print(f"{row.what:<66} {row.ratio:>8.2f}  {row.target:<14} {met:<4} {row.detail}", flush=True)
    return 0 if not missed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
