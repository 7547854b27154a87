"""Relay between two conversations, on any platforms: python bridge.py STORE TARGET TARGET."""

import asyncio
import sys

import yizhan
from yizhan import EventKind, Forward, Link, Mention, Quote, Target, Text, YizhanError


def told(event):
    """Return an event as any platform can carry it: the sender's name, then text and media; other segments as text."""
    yield Text(f"{event.sender_name or event.sender}: ")
    for segment in event.segments:
        match segment:
            case Text() | Forward():
                yield segment
            case Mention(user, name):
                yield Text(f"@{name or user} ")
            case Quote(text=text):
                yield Text(f"「{text}」\n")
            case Link(url, title):
                yield Text(f"{title} {url}")
            case other:
                yield Text(f"[{type(other).__name__}]")


async def bridge(store, here, there):
    ends = {Target.parse(here): there, Target.parse(there): here}
    async with yizhan.open(store) as yz:
        async for event in yz.events({end.account for end in ends}, reader="bridge"):
            if event.kind is EventKind.MESSAGE and event.message and event.target in ends:
                try:
                    await yz.submit(ends[event.target], *told(event), key=f"{event.account} {event.id}")
                except YizhanError as error:
                    print(f"not relayed: {error}", file=sys.stderr)


asyncio.run(bridge(*sys.argv[1:]))
