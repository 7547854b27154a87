"""Answer every message with its own content: python reply_bot.py STORE ACCOUNT [ACCOUNT …]."""

import asyncio
import sys

import yizhan
from yizhan import EventKind, Forward, YizhanError


async def answer(yz, event):
    media = [segment for segment in event.segments if isinstance(segment, Forward)]
    try:
        # Sent on by reference: nothing is downloaded and nothing uploaded.
        await yz.reply(event, *(media or [f"You said: {event.text}"]), key=f"answer {event.id}")
    except YizhanError as error:
        print(f"not answered: {error}", file=sys.stderr)


async def main(store, *accounts):
    async with yizhan.open(store) as yz:
        async for event in yz.events(accounts, reader="reply bot"):
            if event.kind is EventKind.MESSAGE and event.message:
                await answer(yz, event)


asyncio.run(main(*sys.argv[1:]))
