"""Uploads in one request, also those that are sent at once, and the merge of uploads in chunks."""

from __future__ import annotations

import base64
import binascii

from yizhan.http.loopback_fetch import FetchedTooLarge, NotFetched, fetch_loopback
from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.address_book import AddressBook
from yizhan.platforms.qqbot.server.chunks import Chunks
from yizhan.platforms.qqbot.server.files import Files, PlacedFile
from yizhan.platforms.qqbot.server.messages import Messages
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.files import KINDS, Upload, Uploaded
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.wire import Endpoint, Fault
from yizhan.world import Blob, Group


class Uploads:
    def __init__(
        self,
        state: ServerState,
        access: Access,
        address_book: AddressBook,
        files: Files,
        chunks: Chunks,
        messages: Messages,
    ) -> None:
        self.state = state
        self.access = access
        self.address_book = address_book
        self.files = files
        self.chunks = chunks
        self.messages = messages
        for scene in wire.SCENES.values():
            for endpoint in (scene.upload_and_send, scene.upload):
                self._serve(endpoint, scene)

    def _serve(self, endpoint: Endpoint[Upload, Uploaded], scene: Scene) -> None:
        async def upload(call: Call[Upload]) -> Uploaded:
            return await self.upload(call, scene)

        self.access.serve(endpoint, upload)

    async def upload(self, call: Call[Upload], scene: Scene) -> Uploaded:
        request = call.request
        place = self.address_book.find(scene.name, request.openid)
        if isinstance(place, Group) and place.muted:
            raise Fault(faults.MUTED)
        if request.srv_send_msg is None and not request.upload_id and self.state.rules["files.srv_send_msg_required"]:
            raise Fault(faults.BAD_FORM_BODY, "缺少srv_send_msg")
        sends = request.srv_send_msg or call.endpoint is scene.upload_and_send
        if sends:
            # Checked before the file is received: a send that is not allowed leaves no file behind.
            self.messages.check_active(scene.name, place)
        placed, raw_url = await self._receive(call, scene.name)
        ttl = self.state.rules.number("handle.seconds")
        answer = Uploaded(placed.file_uuid, placed.file_info, ttl, raw_url=raw_url)
        if sends:
            answer.id = self.messages.post_file(call.endpoint.name, scene.name, place, placed)
        return answer

    async def _receive(self, call: Call[Upload], scene: str) -> tuple[PlacedFile, str | None]:
        """Take the file from the first source in the request: the parts of an upload, the bytes themselves, a link."""
        request = call.request
        if request.upload_id:
            return await self.chunks.merge(call, scene)
        file_type = self.files.check_type(request.file_type)
        if request.file_data:
            blob = await self._decode(request.file_data)
        elif request.url:
            blob = await self._fetch(request.url, file_type)
        else:
            raise Fault(faults.UNSUPPORTED_OPERATION, "缺少url或file_data")
        return self.files.place(scene, file_type, blob, request.file_name or ""), None

    async def _decode(self, file_data: object) -> Blob:
        if not isinstance(file_data, str):
            raise Fault(faults.BAD_FORM_BODY, "file_data须为base64字符串")
        try:
            return await self.state.world.blobs.add(base64.b64decode(file_data, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Fault(faults.BAD_FORM_BODY, f"file_data不是base64: {error}") from error

    async def _fetch(self, url: str, file_type: int) -> Blob:
        if not url.startswith(("http://", "https://")):
            raise Fault(faults.DOWNLOAD_FAILED, "请求参数url无效")
        limit = self.state.rules.number(f"{KINDS[file_type]}.max_bytes")
        try:
            return await self.state.world.blobs.keep(fetch_loopback(url, limit))
        except FetchedTooLarge as error:
            raise Fault(faults.FILE_TOO_LARGE) from error
        except NotFetched as error:
            slow = isinstance(error.__cause__, TimeoutError)
            raise Fault(faults.DOWNLOAD_TIMEOUT if slow else faults.DOWNLOAD_FAILED) from error
