"""Messages to users and groups: checks of target, quota and content; streams and recall.

The checks have the platform's order as far as it is known: target, mute, the answered message, its time, its
number of answers, the sequence number, the content. A refused message uses up no quota and no number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.address_book import AddressBook
from yizhan.platforms.qqbot.server.event_source import Answerable, EventSource
from yizhan.platforms.qqbot.server.files import Files, PlacedFile
from yizhan.platforms.qqbot.server.images import Images
from yizhan.platforms.qqbot.server.quotas import Quotas
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults, messages
from yizhan.platforms.qqbot.wire.events import ANSWERABLE, clock_text
from yizhan.platforms.qqbot.wire.messages import (
    ExtInfo,
    Recall,
    SendMessage,
    Sent,
    StreamMessage,
    StreamSent,
)
from yizhan.platforms.qqbot.wire.quotas import active
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Fault
from yizhan.world import Group, Person, Post

Commit = Callable[[], None]
"""Counts an accepted message against its quota or the message that it answers."""

DAY = 86400.0
_ADDRESS = re.compile(r"\w+://\S+|(?<![\w.\-])(?:[a-z0-9\-]+\.)+[a-z]{2,24}(?![\w\-])(?:[/:?]\S*)?", re.I | re.A)
"""Addresses as the platform sees them: also `crawler.py` and `1.sh` (openclaw-qqbot#39, botpy#144), but no numbers and
no versions, whose last part is no word."""
ARK_TEMPLATES = (23, 24, 37)


@dataclass(slots=True)
class DisplayedMessage:
    """A message as people see it."""

    kind: str
    text: str = ""
    file: PlacedFile | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Messages:
    def __init__(
        self,
        state: ServerState,
        access: Access,
        address_book: AddressBook,
        event_source: EventSource,
        files: Files,
        quotas: Quotas,
        images: Images,
    ) -> None:
        self.state = state
        self.address_book = address_book
        self.event_source = event_source
        self.files = files
        self.quotas = quotas
        self.images = images
        self.streams: dict[str, Post] = {}
        """Unfinished streams, by the id of their first piece."""
        self.wakeups: dict[str, tuple[float, set[int]]] = {}
        """By person: the time of the last word that counts, and the periods since then that are used up."""
        for scene in wire.SCENES.values():
            self._serve(access, scene)
        access.serve(wire.STREAM_TO_USER, self.stream)

    def reset(self) -> None:
        self.streams.clear()
        self.wakeups.clear()

    def _serve(self, access: Access, scene: Scene) -> None:
        async def send(call: Call[SendMessage]) -> Sent:
            if call.request.markdown:
                await self.images.show(call.request.markdown)
            return self.send(call.request, scene.name)

        async def recall(call: Call[Recall]) -> Nothing:
            return self.recall(call.request, scene.name)

        access.serve(scene.send, send)
        access.serve(scene.recall, recall)

    def send(self, request: SendMessage, scene: str) -> Sent:
        place = self.address_book.find(scene, request.openid)
        if isinstance(place, Group) and place.muted:
            raise Fault(faults.BOT_MUTED)
        if request.msg_type is None:
            request.msg_type = messages.implied_type(request)
        commit = self._allowed(request, scene, place)
        shown = self._shown(request, scene)
        if request.msg_type == messages.TYPING:
            # A typing notice leaves nothing behind and uses nothing up.
            return self._sent(self.event_source.new_message_id())
        commit()
        return self._sent(self._post(wire.SCENES[scene].send.name, scene, request.openid, shown))

    def check_active(self, scene: str, place: Person | Group) -> Commit:
        """Return the commit of an active message to `place`.

        Raises:
            Fault: refused by the user, the group's owner, the platform, or a quota.
        """
        rules = self.state.rules
        if not rules[f"active.{scene}.allowed"]:
            raise Fault(faults.ACTIVE_WITHDRAWN)
        if not place.active_allowed:
            raise Fault(faults.USER_REFUSES if isinstance(place, Person) else faults.ACTIVE_NOT_ALLOWED)
        groups, quotas = active(scene), self.quotas
        broken = quotas.exceeded(groups, place.id)
        if broken:
            # The monthly quota of the classic pages answered 22009.
            raise Fault(faults.LIMIT_EXCEEDED if broken.endswith("per_month") else faults.ACTIVE_TOO_OFTEN)
        return lambda: quotas.note(groups, place.id)

    def post_file(self, call: str, scene: str, place: Person | Group, placed: PlacedFile) -> str:
        """Send an uploaded file at once (`srv_send_msg`), and return the message's id.

        Raises:
            Fault: an active message is not allowed.
        """
        self.check_active(scene, place)()
        return self._post(call, scene, place.id, DisplayedMessage(placed.kind, "", placed))

    # --- permission ---------------------------------------------------------------------------------------------------

    def _allowed(self, request: SendMessage | StreamMessage, scene: str, place: Person | Group) -> Commit:
        if request.msg_seq is not None and request.msg_seq < 0:
            raise Fault(faults.BAD_FORM_BODY, "msg_seq须为非负整数")
        if request.is_wakeup:
            return self._wakeup(request, scene)
        if request.msg_id:
            answered = self.event_source.messages.get(request.msg_id)
            if answered is None or (answered.scene, answered.target) != (scene, place.id):
                raise Fault(faults.MSG_ID_WRONG)
            return self._answer(request, scene, answered, Fault(faults.MSG_ID_EXPIRED))
        if request.event_id:
            answered = self.event_source.events.get(request.event_id)
            if answered is None or (answered.scene, answered.target) != (scene, place.id):
                raise Fault(faults.EVENT_ID_WRONG)
            if answered.event not in ANSWERABLE[scene]:
                raise Fault(faults.EVENT_NOT_ANSWERABLE)
            return self._answer(request, scene, answered, Fault(faults.EVENT_ID_EXPIRED))
        return self.check_active(scene, place)

    def _answer(self, request: SendMessage | StreamMessage, scene: str, answered: Answerable, expired: Fault) -> Commit:
        rules = self.state.rules
        if rules.limited:
            if self.state.now() - answered.at > rules.number(f"passive.{scene}.seconds"):
                raise expired
            count = rules.number(f"passive.{scene}.count")
            if count and answered.answers >= count:
                raise Fault(faults.ANSWERS_USED_UP)
        seq = 1 if request.msg_seq is None else request.msg_seq
        if seq in answered.seqs:
            raise Fault(faults.DUPLICATE)

        def commit() -> None:
            answered.answers += 1
            answered.seqs.add(seq)

        return commit

    def _wakeup(self, request: SendMessage | StreamMessage, scene: str) -> Commit:
        """Return the commit of a wake-up message: one is allowed in each period since the user's last word."""
        if request.msg_id or request.event_id:
            raise Fault(faults.BAD_FORM_BODY, "is_wakeup与msg_id、event_id互斥")
        rules, openid = self.state.rules, request.openid
        if scene != "user" or not rules["wakeup.allowed"]:
            raise Fault(faults.WAKEUP_UNSUPPORTED)
        last_word = self.event_source.last_word.get(openid)
        if last_word is None:
            raise Fault(faults.WAKEUP_USED_UP)
        days = (self.state.now() - last_word) / DAY
        period = next((n for n, until in enumerate(rules["wakeup.until_days"]) if days < until), None)
        since, used = self.wakeups.get(openid, (0.0, set()))
        if since != last_word:
            used = set()
        if period is None or period in used:
            raise Fault(faults.WAKEUP_USED_UP)
        taken = used | {period}
        return lambda: self.wakeups.__setitem__(openid, (last_word, taken))

    # --- content ---------------------------------------------------------------------------------------------

    def _shown(self, request: SendMessage, scene: str) -> DisplayedMessage:
        if request.keyboard is not None and not self.state.rules["keyboard.allowed"]:
            raise Fault(faults.KEYBOARD_NOT_ALLOWED)
        self._check_keyboard(request.keyboard)
        match request.msg_type:
            case messages.TEXT:
                shown = DisplayedMessage("text", request.content or "")
                if not shown.text:
                    raise Fault(faults.MESSAGE_EMPTY)
            case messages.MARKDOWN:
                shown = self._markdown(request)
            case messages.ARK:
                shown = self._ark(request)
            case messages.TYPING if scene == "user":
                return self._typing(request)
            case messages.MEDIA:
                placed = self.files.find((request.media and request.media.file_info) or "", scene)
                shown = DisplayedMessage(placed.kind, request.content or "", placed)
            case _:
                raise Fault(faults.GROUP_TYPE_INVALID if scene == "group" else faults.CONTENT_INVALID)
        self.check_text(shown.text)
        if request.message_reference is not None:
            shown.extra["quoted"] = request.message_reference.message_id
        if request.keyboard is not None:
            shown.extra["keyboard"] = request.keyboard
        return shown

    def check_text(self, text: str) -> None:
        limit = self.state.rules.number("text.max_chars")
        if limit and len(text) > limit:
            raise Fault(faults.TOO_LONG)
        if not self.state.rules["text.urls_allowed"]:
            found = _ADDRESS.search(text)
            if found:
                raise Fault(faults.URL_REFUSED, f"{faults.URL_REFUSED.message} {found[0]}")

    def _markdown(self, request: SendMessage) -> DisplayedMessage:
        markdown = request.markdown or {}
        content, template = markdown.get("content"), markdown.get("custom_template_id")
        if request.content:
            raise Fault(faults.TYPE_MISMATCH)
        if request.media is not None or request.ark is not None:
            raise Fault(faults.MARKDOWN_ALONE)
        if content and template:
            raise Fault(faults.MARKDOWN_EITHER)
        if not isinstance(content or template, str):
            raise Fault(faults.MARKDOWN_INVALID)
        if content and not self.state.rules["markdown.free_form"]:
            raise Fault(faults.MARKDOWN_NOT_ALLOWED)
        return DisplayedMessage("markdown", content or "", extra={"markdown": markdown})

    def _ark(self, request: SendMessage) -> DisplayedMessage:
        template = (request.ark or {}).get("template_id")
        allowed = self.state.rules["ark.allowed"] and str(template) in {str(number) for number in ARK_TEMPLATES}
        if not allowed:
            raise Fault(faults.ARK_NOT_ALLOWED)
        return DisplayedMessage("ark", extra={"ark": request.ark})

    def _typing(self, request: SendMessage) -> DisplayedMessage:
        notify = request.input_notify
        if notify is None or notify.input_type != 1 or not 1 <= (notify.input_second or 0) <= 60:
            raise Fault(faults.INPUT_TYPE_WRONG)
        return DisplayedMessage("typing")

    def _check_keyboard(self, keyboard: dict[str, Any] | None) -> None:
        match keyboard:
            case None | {"id": str()}:
                return
            case {"content": {"rows": list(rows)}}:
                limits = self.state.rules
                if len(rows) > limits.number("keyboard.max_rows"):
                    raise Fault(faults.KEYBOARD_TOO_LARGE)
                for row in rows:
                    buttons = row.get("buttons") if isinstance(row, dict) else None
                    if not isinstance(buttons, list):
                        raise Fault(faults.BAD_FORM_BODY, "keyboard格式错误")
                    if len(buttons) > limits.number("keyboard.max_buttons"):
                        raise Fault(faults.KEYBOARD_TOO_LARGE)
            case _:
                raise Fault(faults.BAD_FORM_BODY, "keyboard格式错误")

    # --- sending ------------------------------------------------------------------------------------------------------

    def _post(self, call: str, scene: str, openid: str, shown: DisplayedMessage) -> str:
        message_id = self.event_source.new_message_id()
        placed = shown.file
        app_id = self.state.app_id
        self.state.record(
            call,
            app_id,
            openid,
            shown.kind,
            account=app_id,
            target_kind=scene,
            message_id=message_id,
            text=shown.text,
            name=placed.name if placed else "",
            blob=placed.blob if placed else None,
            extra=shown.extra,
        )
        return message_id

    def _sent(self, message_id: str) -> Sent:
        at = clock_text(int(self.state.now()))
        return Sent(message_id, at, ExtInfo(self.event_source.reference_of(message_id)))

    async def stream(self, call: Call[StreamMessage]) -> StreamSent:
        """Take a piece of a stream. Only the first piece counts as a message."""
        request = call.request
        person = self.address_book.user(request.openid)
        if request.input_mode not in ("append", "replace") or request.input_state not in (1, 10):
            raise Fault(faults.BAD_FORM_BODY, "input_mode或input_state错误")
        if request.stream_msg_id:
            post = self.streams.get(request.stream_msg_id)
            if post is None or post.target != request.openid:
                raise Fault(faults.BAD_FORM_BODY, "stream_msg_id无效")
            post.text = self._grown(request, post.text)
        else:
            commit = self._allowed(request, "user", person)
            if not request.content_raw:
                raise Fault(faults.MESSAGE_EMPTY)
            self.check_text(request.content_raw)
            commit()
            shown = DisplayedMessage("markdown" if request.content_type == "markdown" else "text", request.content_raw)
            message_id = self._post(call.endpoint.name, "user", request.openid, shown)
            post = self.streams[message_id] = self._found(message_id)
        if request.input_state == 10:
            self.streams.pop(post.message_id, None)
        sent = self._sent(post.message_id)
        left = max(0, self.state.rules.number("text.max_chars") - len(post.text))
        return StreamSent(sent.id, sent.timestamp, sent.ext_info, left)

    def _grown(self, request: StreamMessage, delivered: str) -> str:
        text = delivered + request.content_raw if request.input_mode == "append" else request.content_raw
        if not text.startswith(delivered):
            raise Fault(faults.STREAM_NOT_A_CONTINUATION)
        self.check_text(text)
        return text

    def recall(self, request: Recall, scene: str) -> Nothing:
        place = self.address_book.find(scene, request.openid)
        post = self.state.world.find_post("qqbot", request.message_id)
        if post is None or post.target_kind not in ("user", "group"):
            raise Fault(faults.RECALL_BAD_ID if scene == "user" else faults.RECALL_BAD_PARAMETER)
        if post.call == "say":
            # A bot that is an administrator may recall messages of ordinary members.
            if not (isinstance(place, Group) and place.extra.get("bot_admin") and post.target == place.id):
                raise Fault(faults.RECALL_NO_RIGHT if scene == "group" else faults.RECALL_BAD_ID)
        elif (post.target_kind, post.target) != (scene, request.openid):
            raise Fault(faults.RECALL_WRONG_USER if scene == "user" else faults.RECALL_NO_RIGHT)
        if self.state.rules.limited and self.state.now() - post.at > self.state.rules.number("recall.seconds"):
            raise Fault(faults.RECALL_TOO_LATE)
        post.recalled = True
        return Nothing()

    def _found(self, message_id: str) -> Post:
        post = self.state.world.find_post("qqbot", message_id)
        assert post is not None
        return post
