"""Place a file once and send it to many: python upload_once.py STORE FILE TARGET [TARGET …] (or #tag)."""

import asyncio
import sys

import yizhan
from yizhan import File, State


async def main(store, file, *targets):
    async with yizhan.open(store) as yz:
        media = await yz.upload(file)
        broadcast = await yz.broadcast(targets, File(media))
        counts = await broadcast.wait()
        print(", ".join(f"{count} {state}" for state, count in counts.items()))
        for receipt in await broadcast.receipts([State.FAILED, State.UNKNOWN]):
            print(receipt.target, receipt.detail)


asyncio.run(main(*sys.argv[1:]))
