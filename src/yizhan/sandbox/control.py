"""The handlers of the control calls: each maps a request to a method of the sandbox."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import mimetypes
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from yizhan.errors import YizhanError
from yizhan.http.push import NotReached
from yizhan.http.router import Call, Router
from yizhan.model import Card, Kind
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.sandbox import wire
from yizhan.sandbox.access import refusal
from yizhan.sandbox.request_log import view
from yizhan.version import __version__
from yizhan.wire import Endpoint, Fault, HttpResponse, mask_value
from yizhan.world import Blob, Post, World

if TYPE_CHECKING:
    from yizhan.sandbox.state import SandboxState

T = TypeVar("T")


def control_router(sandbox: SandboxState) -> Router:
    """Return the control calls of `sandbox`, ready to be mounted."""
    router = Router("", wire.CONTROL, sandbox.world.blobs)
    router.prefixes = (wire.PREFIX,)
    control = Control(sandbox)
    for endpoint, handler in control.handlers():
        router.add(endpoint, _guarded(handler, sandbox.host))
    router.add(dataclasses.replace(wire.STATUS, path=wire.PREFIX), _guarded(control.status, sandbox.host))
    return router


def _guarded(handler: Callable[[Any], Awaitable[Any]], host: str) -> Callable[[Call[Any]], Awaitable[Any]]:
    """Refuse pages of other sites, and turn errors into the answers of the control calls."""

    async def answer(call: Call[Any]) -> Any:
        if refused := refusal(call.http, host):
            raise Fault(wire.FORBIDDEN, refused[0], data=refused[1])
        try:
            return await handler(call.request)
        except LookupError as error:
            raise Fault(wire.NOT_FOUND, str(error.args[0]) if error.args else str(error)) from error
        except (YizhanError, ValueError, NotReached, NotImplementedError) as error:
            raise Fault(wire.BAD_REQUEST, str(error) or type(error).__name__) from error

    return answer


class Control:
    """One method per control call; each takes the call's request struct and returns its answer."""

    def __init__(self, sandbox: SandboxState) -> None:
        self.sandbox = sandbox

    def handlers(self) -> list[tuple[Endpoint[Any, Any], Callable[[Any], Awaitable[Any]]]]:
        return [
            (wire.STATUS, self.status),
            (wire.RESET, self.reset),
            (wire.ADD_PEOPLE, self.add_people),
            (wire.SAY, self.say),
            (wire.EVENT, self.event),
            (wire.LOGIN, self.login),
            (wire.POSTS, self.posts),
            (wire.COUNT_POSTS, self.count_posts),
            (wire.BLOB, self.blob),
            (wire.ADD_BLOB, self.add_blob),
            (wire.REQUESTS, self.requests),
            (wire.COUNT_REQUESTS, self.count_requests),
            (wire.CLEAR_REQUESTS, self.clear_requests),
            (wire.RULES, self.rules),
            (wire.SET_RULES, self.set_rules),
            (wire.CLOCK, self.clock),
            (wire.TURN_CLOCK, self.turn_clock),
            (wire.CHAOS, self.chaos),
            (wire.SET_CHAOS, self.set_chaos),
            (wire.CLEAR_CHAOS, self.clear_chaos),
            (wire.SET_WEBHOOK, self.set_webhook),
        ]

    async def status(self, _: wire.Nothing) -> wire.Status:
        sandbox, world = self.sandbox, self.sandbox.world
        return wire.Status(
            version=__version__,
            url=sandbox.url,
            platforms={
                name: wire.PlatformView(
                    title=platform.title,
                    network=platform.network,
                    profile=sandbox.servers[name].rules.profile,
                    profiles=list(sandbox.servers[name].rules.profiles),
                    limits=sandbox.servers[name].rules.limited,
                    endpoints=len(sandbox.servers[name].router.endpoints),
                )
                for name, platform in sandbox.platforms.items()
            },
            counts={
                "people": sum(len(network.people) for network in world.networks.values()),
                "groups": sum(len(network.groups) for network in world.networks.values()),
                "posts": len(world.posts),
                "blobs": len(world.blobs),
                "requests": len(sandbox.request_log),
                "chaos": len(sandbox.chaos.views()),
            },
            clock=_clock(world),
            manual_logins=sandbox.options.manual_logins,
            type_api=sandbox.type_api_url,
        )

    async def reset(self, _: wire.Nothing) -> wire.Done:
        self.sandbox.reset()
        return wire.Done()

    async def add_people(self, request: wire.People) -> wire.Ids:
        return wire.Ids(self.sandbox.people(request.platform, request.kind, request.count))

    async def say(self, request: wire.Say) -> wire.Said:
        media = wire.SaidMedia(request.media) if isinstance(request.media, str) else request.media
        blob, kind, name = None, request.kind, request.name
        if media is not None:
            blob, guessed = await _add_media(self.sandbox.world, media)
            name = media.name or name
            kind = media.kind or kind or guessed or _kind_of(mimetypes.guess_type(name)[0] or "")
        said = await self.sandbox.say(
            request.platform, request.sender, request.to, text=request.text, media=blob, kind=kind or "file", name=name
        )
        return wire.Said(said)

    async def event(self, request: wire.PlayEvent) -> wire.Played:
        world = self.sandbox.world
        event = SimulatedEvent(
            request.event,
            request.sender,
            request.to,
            request.text,
            request.message_id,
            request.data,
            request.mentions,
            request.addressed,
            request.quote,
            [await _said(world, media) for media in request.media],
            Card(request.card.title, request.card.description, request.card.url, request.card.kind)
            if request.card
            else None,
            [
                SimulatedEvent(
                    "message", line.sender, text=line.text, media=[await _said(world, media) for media in line.media]
                )
                for line in request.lines
            ],
            forward=request.forward,
            body=request.body,
        )
        return wire.Played(await self.sandbox.event(request.platform, event))

    async def login(self, request: wire.Login) -> wire.Done:
        await self.sandbox.login(request.uuid, request.step, request.platform)
        return wire.Done()

    async def posts(self, request: wire.PostQuery) -> list[wire.PostView]:
        return [post_view(post) for post in _newest(select_posts(self.sandbox.world, request), request.limit)]

    async def count_posts(self, request: wire.PostQuery) -> wire.Count:
        return wire.Count(sum(1 for _ in select_posts(self.sandbox.world, request)))

    async def blob(self, request: wire.BlobQuery) -> HttpResponse:
        blob = _blob(self.sandbox.world, request.sha256)
        return HttpResponse(200, [("Content-Type", "application/octet-stream")], (blob,))

    async def add_blob(self, request: wire.NewBlob) -> wire.BlobView:
        if not isinstance(request.body, Blob):
            raise ValueError("the body is empty; it should be the bytes")
        return wire.BlobView(request.body.sha256, request.body.size)

    async def requests(self, request: wire.RequestQuery) -> list[wire.RequestView]:
        found = self.sandbox.request_log.select(**_filters(request))
        return [view(entry) for entry in _newest(found, request.limit)]

    async def count_requests(self, request: wire.RequestQuery) -> wire.Count:
        return wire.Count(self.sandbox.request_log.count(**_filters(request)))

    async def clear_requests(self, _: wire.Nothing) -> wire.Done:
        self.sandbox.request_log.clear()
        return wire.Done()

    async def rules(self, request: wire.RulesQuery) -> wire.RulesView:
        return _rules(request.platform, self.sandbox.server(request.platform).rules)

    async def set_rules(self, request: wire.SetRules) -> wire.RulesView:
        rules = self.sandbox.set_rules(request.platform, request.profile, request.changes, request.limits)
        return _rules(request.platform, rules)

    async def clock(self, _: wire.Nothing) -> wire.ClockView:
        return _clock(self.sandbox.world)

    async def turn_clock(self, request: wire.TurnClock) -> wire.ClockView:
        if (request.advance is None) == (request.at is None):
            raise ValueError('turn the clock by {"advance": seconds} or to {"at": time}, one of the two')
        if request.advance is not None:
            self.sandbox.clock.advance(request.advance)
        else:
            self.sandbox.clock.set(_moment(request.at))
        return _clock(self.sandbox.world)

    async def chaos(self, _: wire.Nothing) -> list[wire.ChaosView]:
        return self.sandbox.chaos.views()

    async def set_chaos(self, request: wire.SetChaos) -> list[wire.ChaosView]:
        self.sandbox.chaos.set(request.rules, replace=request.replace is True)
        return self.sandbox.chaos.views()

    async def clear_chaos(self, request: wire.ClearChaos) -> list[wire.ChaosView]:
        self.sandbox.chaos.clear(request.number)
        return self.sandbox.chaos.views()

    async def set_webhook(self, request: wire.SetWebhook) -> wire.Done:
        await self.sandbox.set_webhook(request.platform, request.url)
        return wire.Done()


def select_posts(world: World, query: wire.PostQuery) -> Iterable[Post]:
    """Yield the matching posts in order; posts of simulated people only if the query asks for them."""
    wanted = {n: getattr(query, n) for n in ("kind", "call", "account", "message_id") if getattr(query, n)}
    if query.recalled is not None:
        wanted["recalled"] = query.recalled
    said = query.said or query.call == "say"
    for post in world.select(platform=query.platform or None, target=query.target or None, since=query.since, **wanted):
        if said or post.call != "say":
            yield post


def post_view(post: Post) -> wire.PostView:
    """Return a post as the control calls show it."""
    return wire.PostView(
        number=post.number,
        at=post.at,
        platform=post.platform,
        account=post.account,
        sender=post.sender,
        target=post.target,
        target_kind=post.target_kind,
        kind=post.kind,
        text=post.text,
        name=post.name,
        size=post.blob.size if post.blob is not None else 0,
        sha256=post.blob.sha256 if post.blob is not None else "",
        call=post.call,
        message_id=post.message_id,
        recalled=post.recalled,
        extra=mask_value(post.extra),
    )


async def _add_media(world: World, media: wire.SaidMedia) -> tuple[Blob, Kind | None]:
    """Return the bytes of `media`, and the kind that a data URI names."""
    if bool(media.data) == bool(media.sha256):
        raise ValueError("media need data (base64 or a data URI) or a sha256, one of the two")
    known = world.blobs.find(media.sha256 or media.data)
    if known is not None:
        return known, None
    if media.sha256:
        return _blob(world, media.sha256), None
    head, comma, data = media.data.partition(",") if media.data.startswith("data:") else ("", "", media.data)
    try:
        if comma and not head.endswith(";base64"):
            raise ValueError("a data URI must be base64")
        return await world.blobs.add(base64.b64decode(data, validate=True)), _kind_of(head[5:]) if head else None
    except binascii.Error as error:
        raise ValueError(f"media data are not base64: {error}") from error


async def _said(world: World, media: wire.EventMedia) -> SaidMedia:
    blob, guessed = await _add_media(world, media)
    kind = media.kind or guessed or _kind_of(mimetypes.guess_type(media.name)[0] or "")
    return SaidMedia(blob, kind, media.name, media.transcript)


def _kind_of(mime: str) -> Kind:
    for kind, start in (("image", "image/"), ("video", "video/"), ("voice", "audio/")):
        if mime.startswith(start):
            return kind  # type: ignore[return-value]
    return "file"


def _blob(world: World, sha256: str) -> Blob:
    blob = world.blobs.find(sha256.lower())
    if blob is None:
        raise LookupError(f"no bytes with the SHA-256 '{sha256}' have arrived")
    return blob


def _filters(request: wire.RequestQuery) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("platform", "endpoint", "target", "status", "since")}


def _newest(items: Iterable[T], limit: int) -> list[T]:
    found = list(items)
    return found[-limit:] if limit else found


def _rules(platform: str, rules: Rules) -> wire.RulesView:
    return wire.RulesView(platform, rules.profile, list(rules.profiles), rules.limited, rules.all())


def _clock(world: World) -> wire.ClockView:
    now = world.now()
    try:
        text = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        text = ""
    return wire.ClockView(now, text, world.clock.turned)


def _moment(at: float | str | None) -> float:
    """Return seconds since the epoch; a time without a zone is UTC."""
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError as error:
            raise ValueError(f"'{at}' is not a time; expected seconds, or ISO 8601 such as 2026-10-01T08:00") from error
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if at is None or not 0 <= at < wire.MAX_TIME:
        raise ValueError("the clock goes from 1970 to 2070")
    return float(at)
