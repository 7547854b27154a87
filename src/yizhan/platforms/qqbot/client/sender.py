"""Sends the parts of a message, with the fields that an answer needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from yizhan.errors import ContentRefused, HandleExpired, NotAllowed, OutcomeUnknown
from yizhan.model import Content, Handle, Reply, SendKey, Target
from yizhan.platforms.kit.limits import length_remedy
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.client.bot import Bot
from yizhan.platforms.qqbot.client.calls import SceneCalls, picture_part
from yizhan.platforms.qqbot.client.link_uploads import LinkKey, LinkUploads
from yizhan.platforms.qqbot.convert.bodies import Body, FormattedBody, GuildBody, LinkMessage, NativeBody
from yizhan.platforms.qqbot.wire.faults import KEYBOARD_FAULTS, LENGTH_FAULTS, MARKDOWN_FAULTS
from yizhan.platforms.qqbot.wire.files import Uploaded
from yizhan.platforms.qqbot.wire.guild import GuildMessage, SendToChannel, SendToDm
from yizhan.platforms.qqbot.wire.messages import TEXT, MediaInfo, SendMessage, Sent
from yizhan.platforms.rules import Rules
from yizhan.wire import Endpoint

_GUILD_CALLS: dict[str, Endpoint[Any, GuildMessage]] = {"channel": wire.SEND_TO_CHANNEL, "dm": wire.SEND_TO_DM}


@dataclass(frozen=True, slots=True)
class SentPart:
    answer: Sent | GuildMessage
    note: str = ""
    """A remark for the receipt that came up while sending."""


class Sender:
    """Sends for one bot.

    `handle_of`: makes a handle of an upload's answer. `open_media`: content by SHA-256, for pictures inside a message.
    """

    def __init__(
        self,
        bot: Bot,
        links: LinkUploads,
        handle_of: Callable[[str, Uploaded], Handle],
        open_media: Callable[[str], Content],
    ) -> None:
        self.bot = bot
        self.scenes: dict[str, SceneCalls] = {"user": bot.c2c, "group": bot.group}
        self._links = links
        self._handle_of = handle_of
        self._open_media = open_media

    async def send(self, body: Body, file_info: str, key: SendKey, reply: Reply | None, target: Target) -> SentPart:
        """Send one part's body. An answer carries `key.number` as `msg_seq`, by which the platform knows a repeat."""
        match body:
            case SendMessage():
                return SentPart(await self._send(body, file_info, key, reply, target))
            case LinkMessage():
                return SentPart(await self._send_by_link(body, key, reply, target))
            case GuildBody():
                return SentPart(await self._send_to_guild(body, reply))
            case FormattedBody():
                return await self._send_formatted(body, key, reply, target)
            case NativeBody(call, fields):
                return SentPart(await self._send_native(call, fields, key, reply, target))

    async def _send(self, body: SendMessage, file_info: str, key: SendKey, reply: Reply | None, target: Target) -> Sent:
        changes: dict[str, Any] = {"media": MediaInfo(file_info)} if file_info else {}
        if reply is not None:
            changes |= {_answer_field(reply): reply.id, "msg_seq": key.number}
        request = msgspec.structs.replace(body, **changes) if changes else body
        return await self.bot.call(self.scenes[target.kind].scene.send, request)

    async def _send_by_link(self, body: LinkMessage, key: SendKey, reply: Reply | None, target: Target) -> Sent:
        link = LinkKey(target.kind, body.file_type, body.url, body.name)

        async def upload() -> Handle:
            uploaded = await self.scenes[link.scene].files(
                target.id, file_type=link.file_type, url=link.url, file_name=link.name or None
            )
            return self._handle_of(link.scene, uploaded)

        handle = await self._links.handle(link, upload)
        try:
            return await self._send(body.message, handle.token, key, reply, target)
        except HandleExpired:
            self._links.forget(link, handle)
            handle = await self._links.handle(link, upload)
            return await self._send(body.message, handle.token, key, reply, target)

    async def _send_formatted(self, body: FormattedBody, key: SendKey, reply: Reply | None, target: Target) -> SentPart:
        """Send Markdown; without buttons, or as text, where the platform refuses the form.

        A refused message uses nothing up, so the next form goes under the same number.
        """
        message = body.message
        notes: list[str] = []
        while True:
            try:
                return SentPart(await self._send_any(message, key, reply, target), "; ".join(notes))
            except NotAllowed as error:
                if error.fault is None:
                    raise
                row = error.fault.row
                if row in KEYBOARD_FAULTS and message.keyboard is not None and body.listed is not None:
                    message = msgspec.structs.replace(message, markdown={"content": body.listed}, keyboard=None)
                    notes.append(f"the platform refused the buttons ({row.code}); they are listed in the text")
                elif row in MARKDOWN_FAULTS and message.markdown is not None and body.plain is not None:
                    message = msgspec.structs.replace(message, content=body.plain, markdown=None, keyboard=None)
                    if isinstance(message, SendMessage):
                        message = msgspec.structs.replace(message, msg_type=TEXT)
                    notes.append(f"the platform refused Markdown ({row.code}); it went as plain text")
                else:
                    raise

    async def _send_any(
        self, message: SendMessage | SendToChannel | SendToDm, key: SendKey, reply: Reply | None, target: Target
    ) -> Sent | GuildMessage:
        if isinstance(message, SendMessage):
            return await self._send(message, "", key, reply, target)
        return await self._send_to_guild(GuildBody(message), reply)

    async def _send_to_guild(self, body: GuildBody, reply: Reply | None) -> GuildMessage:
        changes: dict[str, Any] = {_answer_field(reply): reply.id} if reply is not None else {}
        if body.image is not None:
            changes["file_image"] = picture_part(self._open_media(body.image.sha256))
        request = msgspec.structs.replace(body.message, **changes) if changes else body.message
        kind = "channel" if isinstance(request, SendToChannel) else "dm"
        return await _unless_held(self.bot.call(_GUILD_CALLS[kind], request))

    async def _send_native(
        self, call: str, fields: dict[str, Any], key: SendKey, reply: Reply | None, target: Target
    ) -> Sent | GuildMessage:
        if reply is not None and not fields.get("is_wakeup"):
            numbered = {"msg_seq": key.number} if target.kind in self.scenes else {}
            fields = {_answer_field(reply): reply.id, **numbered, **fields}
        if call == wire.STREAM_TO_USER.name:
            return await self.bot.call_json(wire.STREAM_TO_USER, target.id, fields)
        if target.kind in self.scenes:
            return await self.bot.call_json(self.scenes[target.kind].scene.send, target.id, fields)
        return await _unless_held(self.bot.call_json(_GUILD_CALLS[target.kind], target.id, fields))


def naming_the_rule(error: ContentRefused, rules: Rules) -> ContentRefused:
    """Return a refusal for length with the rule that avoids it; any other refusal unchanged."""
    if error.fault is None or error.fault.row not in LENGTH_FAULTS:
        return error
    return ContentRefused(
        f"{error} {length_remedy(rules)}",
        fault=error.fault,
        account=error.account,
        endpoint=error.endpoint,
    )


def _answer_field(reply: Reply) -> str:
    return "event_id" if reply.kind == "event" else "msg_id"


async def _unless_held(call: Awaitable[GuildMessage]) -> GuildMessage:
    """Await a guild send. If it is held for review, the error names the audit id under which its end is reported."""
    try:
        return await call
    except OutcomeUnknown as error:
        match error.fault.data if error.fault else None:
            case {"message_audit": {"audit_id": audit_id}}:
                raise OutcomeUnknown(
                    f"{error} It is under review as {audit_id}; "
                    "MESSAGE_AUDIT_PASS or MESSAGE_AUDIT_REJECT tells the end.",
                    fault=error.fault,
                    account=error.account,
                    endpoint=error.endpoint,
                ) from error
        raise
