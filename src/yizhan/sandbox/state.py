"""The state of a sandbox: platforms over one world, with their rules, chaos and the request log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from yizhan.errors import ConfigError, did_you_mean
from yizhan.model import Kind
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import PlaysEvents, SaidMedia, Server, ServerOptions, SimulatedEvent
from yizhan.platforms.spec import Platform, platforms
from yizhan.sandbox.chaos import Chaos
from yizhan.sandbox.request_log import MAX_KEPT, RequestLog
from yizhan.wire import Endpoint
from yizhan.world import Blob, TurnableClock, World, populate

log = logging.getLogger(__name__)

_MEDIA: Mapping[str, Kind] = {"image": "image", "video": "video", "voice": "voice", "file": "file", "sticker": "image"}


class ExchangeObserver:
    """The observer of every router: chaos before and after an exchange, the request log at its end."""

    def __init__(self, chaos: Chaos, request_log: RequestLog) -> None:
        self.before = chaos.before
        self.after = chaos.after
        self.done = request_log.done


class SandboxState:
    """Everything of a sandbox but its sockets; the control calls act on it.

    Raises:
        ConfigError: the world file cannot be read, a platform is unknown, or two platforms serve the same path.
    """

    host = ""
    """The name or address that the sandbox was told to listen on."""
    url = ""
    """The one origin of all platforms, such as `http://127.0.0.1:8791`; empty until it listens."""
    type_api_url = ""
    """The origin of the second listener; empty without one."""

    def __init__(
        self,
        world_file: Path | str | None = None,
        manual_logins: bool = False,
        platforms: Iterable[str | Platform] | None = None,
        folder: Path | str | None = None,
        *,
        seed: int = 1,
        kept_requests: int = MAX_KEPT,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._world_file = Path(world_file) if world_file is not None else None
        self.options = ServerOptions(manual_logins, dict(extra or {}))
        self.world = World(seed=seed, folder=Path(folder) if folder is not None else None)
        self.request_log = RequestLog(self.world.now, kept_requests)
        self.chaos = Chaos(seed, self._endpoints)
        self.observer = ExchangeObserver(self.chaos, self.request_log)
        self.platforms: dict[str, Platform] = {}
        self.servers: dict[str, Server] = {}
        self._rules: dict[str, Rules] = {}
        try:
            populate(self.world, self._world_file)
            self._make_servers(platforms)
        except BaseException:
            self.world.close()
            raise

    @property
    def clock(self) -> TurnableClock:
        return self.world.clock

    def server(self, platform: str) -> Server:
        """Return the serving end of a platform.

        Raises:
            LookupError: this sandbox does not serve it; the text names close ones.
        """
        if platform not in self.servers:
            known = ", ".join(self.servers)
            raise LookupError(
                f"the platform '{platform}' is not served.{did_you_mean(platform, self.servers)} Served: {known}."
            )
        return self.servers[platform]

    async def say(
        self,
        platform: str,
        sender: str,
        to: str = "bot",
        *,
        text: str = "",
        media: Blob | bytes | None = None,
        kind: Kind = "file",
        name: str = "",
    ) -> str:
        """Let a simulated person say something; return the platform's own id of it.

        Raises:
            LookupError: no such platform, person or group.
            ValueError: neither text nor media was given.
        """
        if not text and media is None:
            raise ValueError("a person needs text or media to say")
        blob = await self.world.blobs.add(media) if isinstance(media, bytes) else media
        return await self.server(platform).say(sender, to, text=text, media=blob, kind=kind, name=name)

    async def event(self, platform: str, event: SimulatedEvent) -> str:
        """Let a simulated person do something other than writing text; return the platform's own id of it.

        Raises:
            LookupError: the platform has no such event, or it names a person, group or message that does not exist.
        """
        server = self.server(platform)
        if not isinstance(server, PlaysEvents):
            raise LookupError(f"'{platform}' plays no events but messages; use POST /_sandbox/say")
        return await server.event(self._sent_on(platform, event) if event.forward else event)

    def _sent_on(self, platform: str, event: SimulatedEvent) -> SimulatedEvent:
        """Return `event` with the content of the message that it sends on.

        Raises:
            LookupError: there is no such message, or its bytes never arrived.
        """
        post = self.world.find_post(platform, event.forward)
        if post is None:
            raise LookupError(f"there is no message '{event.forward}' on {platform} to send on")
        changed = replace(event, addressed=False)
        if "quoted" in post.extra:
            return replace(changed, text=post.text, quote=str(post.extra["quoted"]))
        if "xml" in post.extra and post.kind not in _MEDIA:
            return replace(changed, xml=str(post.extra["xml"]))
        if post.kind not in _MEDIA:
            return replace(changed, text=post.text)
        if post.blob is None:
            raise LookupError(f"the {post.kind} '{event.forward}' has no bytes to send on")
        sticker = post.kind == "sticker"
        media = SaidMedia(post.blob, "image" if sticker else _MEDIA[post.kind], post.name)
        return replace(changed, media=[media], data="sticker" if sticker else "")

    def people(self, platform: str, kind: Literal["user", "group"], count: int) -> list[str]:
        """Make people or groups who know the account; return the ids by which the platform addresses them."""
        return self.server(platform).people(kind, count)

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"], platform: str = "") -> None:
        """Play the phone in a QR login.

        Raises:
            LookupError: no platform has such a login.
        """
        if platform:
            return await self.server(platform).login(uuid, step)
        for server in self.servers.values():
            try:
                return await server.login(uuid, step)
            except LookupError:
                continue
        raise LookupError(f"no platform has a login '{uuid}'; it may have ended")

    def set_rules(
        self,
        platform: str,
        profile: str | None = None,
        changes: Mapping[str, Any] | None = None,
        limits: bool | None = None,
    ) -> Rules:
        """Change a platform's rules, in force from the next request on; return them.

        `profile` starts from that profile; without one, `changes` are added to the rules in force.

        Raises:
            LookupError: the platform is not served.
            ConfigError: no such profile, no such rule, or a value of the wrong kind.
        """
        server = self.server(platform)
        start = server.rules if profile is None else self.platforms[platform].rules(profile)
        server.rules = start.overridden({**(changes or {}), **({} if limits is None else {"limits": limits})})
        return server.rules

    async def set_webhook(self, platform: str, url: str) -> None:
        """Push that platform's events to `url`."""
        await self.server(platform).webhook(url)

    def reset(self) -> None:
        """Return to the start: world, clock, rules, chaos, the request log, and the memory of the servers."""
        self.world.reset()
        populate(self.world, self._world_file)
        self.chaos.reset()
        for name, server in self.servers.items():
            server.rules = self._rules[name]
            server.reset()
        self.request_log.clear()

    def _make_servers(self, wanted: Iterable[str | Platform] | None) -> None:
        for platform, required in _chosen(wanted):
            try:
                make = platform.load_server()
                rules = platform.rules()
                server = make(self.world, rules, self.options)
            except (ImportError, AttributeError, OSError) as error:
                if required:
                    raise ConfigError(f"The platform '{platform.name}' cannot be served: {error}") from error
                log.warning("platform left out", extra={"platform": platform.name, "reason": str(error)})
                continue
            server.router.observer = self.observer
            self.platforms[platform.name] = platform
            self.servers[platform.name] = server
            self._rules[platform.name] = rules

    def _endpoints(self) -> list[tuple[str, Sequence[Endpoint[Any, Any]]]]:
        return [(name, server.router.endpoints) for name, server in self.servers.items()]


def _chosen(wanted: Iterable[str | Platform] | None) -> list[tuple[Platform, bool]]:
    """Return the platforms to serve, each with whether it was requested by name."""
    known = platforms()
    if wanted is None:
        return [(platform, False) for platform in known.values()]
    chosen = []
    for item in wanted:
        if isinstance(item, str) and item not in known:
            raise ConfigError(f"There is no platform '{item}'.{did_you_mean(item, known)} Known: {', '.join(known)}.")
        chosen.append((known[item] if isinstance(item, str) else item, True))
    return chosen
