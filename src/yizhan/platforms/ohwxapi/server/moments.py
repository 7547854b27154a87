"""Moments and mini programs."""

from __future__ import annotations

from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.server.accounts import Account, Accounts, Commands
from yizhan.platforms.ohwxapi.server.sockets import Sockets
from yizhan.platforms.ohwxapi.wire import EventName
from yizhan.platforms.wechat_xml.xml import find, parse_fragment, text_of
from yizhan.wire import Fault

PAGE = 10
LIKE, COMMENT = 1, 2
TAKE_COMMENT_BACK = 4


class Moments:
    """Entries, newest first."""

    def __init__(self, server: SandboxServer, accounts: Accounts, sockets: Sockets) -> None:
        self.world = server.world
        self.accounts = accounts
        self.sockets = sockets
        self.entries: list[wire.SnsObject] = []

    def reset(self) -> None:
        self.entries.clear()

    def commands(self) -> Commands:
        return [
            (wire.SNS_POST, self.post),
            (wire.SNS_DETAIL, self.detail),
            (wire.SNS_TIMELINE, self.timeline),
            (wire.SNS_USER_PAGE, self.user_page),
            (wire.SNS_COMMENT, self.comment),
            (wire.SNS_SYNC, self.sync),
            (wire.SNS_OPERATE, self.operate),
            (wire.JS_LOGIN, self.mini_program_code),
            (wire.JS_OPERATE, self.mini_program_data),
        ]

    async def post(self, account: Account, asked: wire.SnsPost) -> wire.SnsPosted:
        try:
            timeline = find(parse_fragment(asked.XmlContent), "TimelineObject")
        except ValueError as error:
            raise Fault(wire.PARAMETER, "param error: XmlContent") from error
        if timeline is None:
            raise Fault(wire.PARAMETER, "param error: XmlContent")
        id = str(self.world.random.getrandbits(62) | 1 << 62)
        entry = wire.SnsObject(id, account.wxid, account.name, int(self.world.now()), asked.XmlContent)
        self.entries.insert(0, entry)
        self.world.post(
            network="wechat",
            platform="ohwxapi",
            call="SnsPost",
            account=account.wxid,
            sender=account.wxid,
            target="moments",
            target_kind="channel",
            kind="moment",
            text=text_of(find(timeline, "contentDesc")),
            message_id=id,
        )
        for other in self.accounts.online():
            if other is not account:
                data = wire.EventData(FromUserName=account.wxid, Content=asked.XmlContent, EventName=EventName.SNS_NEW)
                self.sockets.push(other.wxid, data)
        return wire.SnsPosted(id)

    async def detail(self, _account: Account, asked: wire.SnsDetail) -> wire.SnsObject:
        return self._find(asked.Id)

    async def timeline(self, _account: Account, asked: wire.SnsTimeline) -> wire.SnsObjects:
        return self._page(self.entries, asked.MaxId)

    async def user_page(self, _account: Account, asked: wire.SnsUserPage) -> wire.SnsObjects:
        self.accounts.person(asked.UserName)
        return self._page([e for e in self.entries if e.UserName == asked.UserName], asked.MaxId)

    async def sync(self, _account: Account, _asked: wire.SnsSync) -> wire.SnsObjects:
        return self._page(self.entries, 0)

    async def comment(self, account: Account, asked: wire.SnsAddComment) -> wire.SnsObject:
        entry = self._find(asked.Id)
        if asked.Type not in (LIKE, COMMENT) or (asked.Type == COMMENT and not asked.Content):
            raise Fault(wire.PARAMETER, "param error: Content" if asked.Type == COMMENT else "param error: Type")
        number = max((c.CommentId for c in entry.CommentUserList), default=0) + 1
        entry.CommentUserList.append(
            wire.SnsComment(number, account.wxid, account.name, asked.Type, asked.Content, int(self.world.now()))
        )
        return _counted(entry)

    async def operate(self, account: Account, asked: wire.SnsOperate) -> wire.Nothing:
        entry = self._find(asked.Id)
        match asked.OpType:
            case 1 if entry.UserName == account.wxid:
                self.entries.remove(entry)
            case 1:
                raise Fault(wire.NOT_ALLOWED)
            case 4 | 5:
                kind = COMMENT if asked.OpType == TAKE_COMMENT_BACK else LIKE
                entry.CommentUserList = [
                    c
                    for c in entry.CommentUserList
                    if c.UserName != account.wxid or c.Type != kind or asked.CommentId not in (0, c.CommentId)
                ]
                _counted(entry)
            case _:
                raise Fault(wire.PARAMETER, "param error: OpType")
        return wire.Nothing()

    async def mini_program_code(self, _account: Account, asked: wire.MiniProgramLogin) -> wire.MiniProgramCode:
        if not asked.AppId:
            raise Fault(wire.PARAMETER, "param error: AppId")
        return wire.MiniProgramCode(self.world.hex(32))

    async def mini_program_data(self, _account: Account, asked: wire.MiniProgramOperate) -> wire.MiniProgramData:
        if not asked.AppId:
            raise Fault(wire.PARAMETER, "param error: AppId")
        return wire.MiniProgramData("{}")

    def _find(self, id: wire.SnsId) -> wire.SnsObject:
        entry = next((e for e in self.entries if e.Id == str(id)), None)
        if entry is None:
            raise Fault(wire.PARAMETER, "param error: Id")
        return entry

    def _page(self, entries: list[wire.SnsObject], before: wire.SnsId) -> wire.SnsObjects:
        ids = [entry.Id for entry in entries]
        start = ids.index(str(before)) + 1 if str(before) in ids else 0
        return wire.SnsObjects(entries[start : start + PAGE])


def _counted(entry: wire.SnsObject) -> wire.SnsObject:
    entry.LikeCount = sum(1 for c in entry.CommentUserList if c.Type == LIKE)
    entry.CommentCount = sum(1 for c in entry.CommentUserList if c.Type == COMMENT)
    return entry
