"""The client end of one robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from yizhan.errors import LoginNeeded, Rejected
from yizhan.model import Content, Handle, Message, PlatformId, SendKey, Target
from yizhan.platforms.adapter import Finding, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.kit.client import HttpAdapter
from yizhan.platforms.wecom import wire
from yizhan.platforms.wecom.convert import Draft, RobotComposer
from yizhan.wire import Base64, FormPart


class Adapter(HttpAdapter):
    """Posts with the key of the account. A robot's messages have no ids, so nothing can be recalled or quoted."""

    @property
    def key(self) -> str:
        return str(self.context.settings.key)

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return RobotComposer(target, self.context.rules).compose(message)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        kind: Literal["file", "voice"] = "voice" if need.use.startswith("voice ") else "file"
        part = FormPart("media", content, need.name, "application/octet-stream")
        answer = await self.place(wire.UPLOAD, wire.UploadMedia(self.key, kind, part), progress)
        return self.handle(answer.media_id, need)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        draft: Draft = part.body
        request = replace(draft.message, key=self.key)
        if draft.picture is not None:
            picture = Base64(self.context.open_media(draft.picture.sha256))
            request = replace(request, image=wire.Image(picture, draft.picture.md5))
        for handle in handles.values():
            request = replace(request, **{request.msgtype: wire.MediaId(handle.token)})
        await self.call(wire.SEND, request)
        return self.sent_without_id()

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Check the key, without posting anything."""
        await self._check_key()
        return f"robot {self.key[:4]}…"

    async def check(self) -> Sequence[Finding]:
        try:
            await self._check_key()
        except LoginNeeded as error:
            return [Finding("key", False, str(error), "Copy the robot's address from its group again.")]
        return [Finding("key", True)]

    async def _check_key(self) -> None:
        """Post a message of no type: a known key is told so, an unknown one that it is unknown.

        Raises:
            LoginNeeded: there is no robot with this key.
        """
        try:
            await self.call(wire.SEND, wire.Send(self.key, "none"))
        except Rejected as refusal:
            if refusal.fault is None or refusal.fault.row.code != wire.WRONG_MESSAGE_TYPE.code:
                raise
