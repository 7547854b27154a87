"""Contacts, labels and groups."""

from __future__ import annotations

from collections.abc import Sequence

from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.server.accounts import FILE_HELPER, Account, Accounts, Commands, qr_picture
from yizhan.platforms.ohwxapi.server.messages import Messages
from yizhan.platforms.ohwxapi.wire import EventName, OpType
from yizhan.platforms.wechat_xml.xml import attributes
from yizhan.wire import Fault
from yizhan.world import Group, Person

_ADMIN = 2049
"""`ChatroomMemberFlag` of an administrator, as seen in a push."""


class Contacts:
    """The contacts of the accounts, and their groups."""

    def __init__(self, server: SandboxServer, accounts: Accounts, messages: Messages) -> None:
        self.server = server
        self.world = server.world
        self.accounts = accounts
        self.messages = messages
        self.network = accounts.network

    def commands(self) -> Commands:
        return [
            (wire.GET_CONTACT, self.details),
            (wire.BATCH_BRIEF, self.brief),
            (wire.ADDRESS_BOOK, self.address_book),
            (wire.SEARCH_CONTACT, self.search),
            (wire.VERIFY_USER, self.verify),
            (wire.OPERATE, self.operate),
            (wire.GET_PROFILE, self.profile),
            (wire.ADD_LABEL, self.add_label),
            (wire.DELETE_LABEL, self.delete_label),
            (wire.RENAME_LABEL, self.rename_label),
            (wire.SET_LABELS, self.set_labels),
            (wire.LIST_LABELS, self.list_labels),
            (wire.CREATE_GROUP, self.create_group),
            (wire.ADD_MEMBERS, self.add_members),
            (wire.INVITE_MEMBERS, self.add_members),
            (wire.REMOVE_MEMBERS, self.remove_members),
            (wire.GROUP_DETAILS, self.group_details),
            (wire.GROUP_MEMBERS, self.group_members),
            (wire.TRANSFER_GROUP, self.transfer),
            (wire.SET_ANNOUNCEMENT, self.announce),
            (wire.GET_QR_CODE, self.qr_code),
            (wire.RESOLVE_URL, self.resolve),
        ]

    # --- people ---

    async def details(self, _account: Account, asked: wire.GetContact) -> list[wire.Contact]:
        found = [self._contact(id) for id in [*_list(asked.Wxid), *_list(asked.ChatroomID)] if self._exists(id)]
        if not found:
            raise Fault(wire.NO_TARGET)
        return found

    async def brief(self, _account: Account, asked: wire.BatchBrief) -> list[wire.ContactBrief]:
        return [
            wire.ContactBrief(c.UserName, c.NickName, c.SmallHeadImgUrl)
            for c in (self._contact(id) for id in _list(asked.Wxid) if self._exists(id))
        ]

    async def address_book(self, account: Account, _asked: wire.AddressBook) -> wire.AddressBookPage:
        people_known = [person.id for person in self.network.people.values() if person.friends]
        groups = [g.id for g in self.network.groups.values() if not g.gone and g.id not in account.left]
        return wire.AddressBookPage([*people_known, FILE_HELPER, *groups], 700000100, 700000042, 0)

    async def search(self, _account: Account, asked: wire.SearchContact) -> wire.FoundContact:
        people = self.network.people
        word = asked.UserName
        person = people.get(word) or next((p for p in people.values() if word and word in (p.name, _v3(p.id))), None)
        if person is None:
            raise Fault(wire.NO_TARGET)
        return wire.FoundContact(_v3(person.id), person.name, _v4(person.id), _picture(person.id))

    async def verify(self, account: Account, asked: wire.VerifyUser) -> wire.Nothing:
        if asked.VerifyType not in (1, 2, 3):
            raise Fault(wire.PARAMETER, "param error: VerifyType")
        person = next((p for p in self.network.people.values() if asked.V1Username in (_v3(p.id), p.id)), None)
        if person is None:
            raise Fault(wire.NO_TARGET)
        # A simulated person agrees at once.
        person.friends = True
        self.messages.notice(account, person.id, f"你已添加了{person.name}，现在可以开始聊天了。")
        self._changed(account, person.id)
        return wire.Nothing()

    def ask_to_be_friend(self, person: Person, account: Account, words: str) -> str:
        """Push a stranger's request; returns the token by which it is accepted."""
        values = {
            "fromusername": person.id,
            "encryptusername": _v3(person.id),
            "fromnickname": person.name,
            "content": words,
            "shortpy": "",
            "imagestatus": "3",
            "scene": "30",
            "country": "",
            "province": "",
            "city": "",
            "sign": "",
            "percard": "1",
            "sex": "0",
            "alias": "",
            "weibo": "",
            "ticket": _v4(person.id),
            "bigheadimgurl": "",
            "smallheadimgurl": "",
        }
        data = wire.EventData(Content=f"<msg{attributes(values)}/>", EventName=EventName.FRIEND_REQ)
        self.messages.sockets.push(account.wxid, data)
        return _v3(person.id)

    async def operate(self, account: Account, asked: wire.Operate) -> wire.Nothing:
        """Change a contact or group."""
        id = asked.UserName
        if not self._exists(id):
            raise Fault(wire.NO_TARGET)
        group = self.network.groups.get(id)
        person = self.network.people.get(id)
        match asked.OpType:
            case OpType.REMARK if person:
                person.remark = asked.Remark
            case OpType.DELETE if person:
                person.friends = False
            case OpType.BLOCK if person:
                (account.blocked.add if asked.Value else account.blocked.discard)(id)
            case OpType.RENAME_GROUP if group:
                if not asked.NickName:
                    raise Fault(wire.PARAMETER, "param error: NickName")
                group.name = asked.NickName
            case OpType.LEAVE_GROUP if group:
                account.left.add(id)
            case OpType.ADMINISTRATOR if group:
                group.extra["administrators"] = _list(asked.Wxid) if asked.Value else []
            case OpType.SAVE | OpType.PIN | OpType.MUTE | OpType.INVITE_CONFIRM:
                pass
            case _:
                raise Fault(wire.PARAMETER, "param error: OpType")
        self._changed(account, id)
        return wire.Nothing()

    async def profile(self, account: Account, _asked: wire.GetProfile) -> wire.Contact:
        return self._contact(account.wxid)

    # --- labels ---

    async def add_label(self, account: Account, asked: wire.AddLabel) -> wire.Labels:
        if not asked.LabelName.strip():
            raise Fault(wire.PARAMETER, "param error: LabelName")
        number = next((n for n, name in account.labels.items() if name == asked.LabelName), 0)
        number = number or max(account.labels, default=0) + 1
        account.labels[number] = asked.LabelName
        return wire.Labels([wire.Label(number, asked.LabelName)])

    async def delete_label(self, account: Account, asked: wire.DeleteLabel) -> wire.Nothing:
        if account.labels.pop(asked.LabelId, None) is None:
            raise Fault(wire.PARAMETER, "param error: LabelId")
        return wire.Nothing()

    async def rename_label(self, account: Account, asked: wire.RenameLabel) -> wire.Nothing:
        if asked.LabelId not in account.labels:
            raise Fault(wire.PARAMETER, "param error: LabelId")
        account.labels[asked.LabelId] = asked.LabelName
        return wire.Nothing()

    async def set_labels(self, account: Account, asked: wire.SetLabels) -> wire.Nothing:
        for id in _list(asked.Wxid):
            if not self._exists(id):
                raise Fault(wire.NO_TARGET)
            account.labelled[id] = asked.LabelIdList
        return wire.Nothing()

    async def list_labels(self, account: Account, _asked: wire.ListLabels) -> wire.Labels:
        return wire.Labels([wire.Label(number, name) for number, name in account.labels.items()])

    # --- groups ---

    async def create_group(self, account: Account, asked: wire.CreateGroup) -> wire.CreatedGroup:
        members = list(dict.fromkeys(self._person(id) for id in _list(asked.Wxid) if id != account.wxid))
        if len(members) < 2:
            raise Fault(wire.PARAMETER, "param error: Wxid")
        name = asked.NickName or "、".join(self.accounts.name_of(id) for id in members[:3])
        group = self.network.add_group(self.new_group_id(), name, members, owner=account.wxid)
        self._changed(account, group.id)
        return wire.CreatedGroup(group.id)

    async def add_members(self, account: Account, asked: wire.Members) -> wire.Nothing:
        group = self.accounts.group(account, asked.ChatroomID)
        who = self.accounts.name_of(account.wxid)
        for id in [self._person(id) for id in _list(asked.Wxid)]:
            known = self.accounts.known.get(id)
            if group.id in known.left if known else id not in group.members:
                if known:
                    known.left.discard(group.id)
                else:
                    group.members.append(id)
                # Clients read the new member's name out of these very words.
                self._note(group, f'"{who}"邀请"{self.accounts.name_of(id)}"加入了群聊')
                self._invited(group, account.wxid, id)
        self._changed_for_all(group)
        return wire.Nothing()

    async def remove_members(self, account: Account, asked: wire.Members) -> wire.Nothing:
        group = self.accounts.group(account, asked.ChatroomID)
        gone = set(_list(asked.Wxid))
        group.members = [id for id in group.members if id not in gone]
        for other in self.accounts.in_group(group):
            if other.wxid in gone:
                other.left.add(group.id)
        self._changed_for_all(group)
        return wire.Nothing()

    async def group_details(self, account: Account, asked: wire.OfGroup) -> wire.GroupDetails:
        group = self.accounts.group(account, asked.ChatroomID)
        announcement = str(group.extra.get("announcement", ""))
        return wire.GroupDetails(group.id, group.name, group.owner, announcement, self._members(group), 700000042)

    async def group_members(self, account: Account, asked: wire.OfGroup) -> list[wire.Member]:
        wanted = _list(asked.Wxid)
        members = self._members(self.accounts.group(account, asked.ChatroomID))
        return [member for member in members if not wanted or member.Wxid in wanted]

    async def transfer(self, account: Account, asked: wire.TransferGroup) -> wire.Nothing:
        group = self.accounts.group(account, asked.ChatroomID)
        if asked.Wxid not in {member.Wxid for member in self._members(group)}:
            raise Fault(wire.NO_TARGET)
        group.owner = asked.Wxid
        self._changed_for_all(group)
        return wire.Nothing()

    async def announce(self, account: Account, asked: wire.SetAnnouncement) -> wire.Nothing:
        group = self.accounts.group(account, asked.ChatroomID)
        group.extra["announcement"] = asked.Announcement
        self._changed_for_all(group)
        return wire.Nothing()

    async def qr_code(self, account: Account, asked: wire.GetQrCode) -> wire.QrCode:
        if asked.UserName == account.wxid:
            return wire.QrCode(qr_picture(f"https://u.wechat.com/{account.wxid}"))
        group = self.accounts.group(account, asked.UserName)
        return wire.QrCode(qr_picture(_join_url(group)))

    async def resolve(self, account: Account, asked: wire.ResolveUrl) -> wire.ResolvedUrl:
        """Open a link. That of a group's QR code joins the group."""
        group = next((g for g in self.network.groups.values() if _join_url(g) == asked.Url), None)
        if group is not None and not group.gone:
            account.left.discard(group.id)
            owner = self.accounts.name_of(group.owner)
            self._note(group, f'"{self.accounts.name_of(account.wxid)}"通过扫描"{owner}"分享的二维码加入群聊')
            self._changed(account, group.id)
        elif not asked.Url.startswith(("http://", "https://")):
            raise Fault(wire.PARAMETER, "param error: Url")
        return wire.ResolvedUrl(asked.Url)

    def new_group_id(self) -> str:
        return f"{self.world.random.randrange(10**10, 10**11)}@chatroom"

    # --- acts of simulated people ---

    def join(self, group: Group, person: str) -> None:
        """Let a person join by the invitation of the owner; clients are told by a notice and an event."""
        if person not in group.members:
            group.members.append(person)
        self._note(group, f'"{self.accounts.name_of(group.owner)}"邀请"{self.accounts.name_of(person)}"加入了群聊')
        self._invited(group, group.owner, person)
        self._changed_for_all(group)

    def leave(self, group: Group, person: str) -> None:
        """Let a person leave; clients compare the members of the changed group."""
        group.members[:] = [id for id in group.members if id != person]
        self._changed_for_all(group)

    def invite(self, group: Group, account: Account) -> None:
        """Let the owner invite an account."""
        account.left.discard(group.id)
        self._invited(group, group.owner, account.wxid)

    # --- small things ---

    def _exists(self, id: str) -> bool:
        return id in self.network.people or id in self.network.groups or id in self.accounts.known or id == FILE_HELPER

    def _person(self, id: str) -> str:
        if id not in self.accounts.known:
            self.accounts.person(id)
        return id

    def _contact(self, id: str) -> wire.Contact:
        group = self.network.groups.get(id)
        if group is not None:
            return wire.Contact(
                UserName=id,
                NickName=group.name,
                SmallHeadImgUrl=_picture(id),
                BigHeadImgUrl=_picture(id, 0),
                ChatRoomOwner=group.owner,
                EncryptUsername=_v3(id),
                ChatRoomMember=self._members(group),
                ChatroomVersion=700000042,
            )
        person = self.accounts.person(id)
        labels = self.accounts.first.labelled.get(id, "")
        return wire.Contact(
            UserName=id,
            NickName=person.name,
            SmallHeadImgUrl=_picture(id),
            BigHeadImgUrl=_picture(id, 0),
            Remark=person.remark,
            LabelLists=labels,
            EncryptUsername=_v3(id),
        )

    def _members(self, group: Group) -> list[wire.Member]:
        ids = dict.fromkeys([*group.members, *(a.wxid for a in self.accounts.in_group(group))])
        administrators = group.extra.get("administrators", ())
        return [wire.Member(id, self.accounts.name_of(id), _ADMIN if id in administrators else 1) for id in ids]

    def _note(self, group: Group, words: str) -> None:
        for listener in self.accounts.in_group(group):
            self.messages.notice(listener, group.id, words)

    def _invited(self, group: Group, by: str, who: str) -> None:
        for listener in self.accounts.in_group(group):
            data = wire.EventData(
                FromUserName=group.id,
                InviteUserName=by,
                InviteNickName=self.accounts.name_of(by),
                InvitedUserName=who,
                InvitedNickName=self.accounts.name_of(who),
                EventName=EventName.CHATROOM_INVITE if who == listener.wxid else EventName.CHATROOM_INVITE_OTHER,
            )
            self.messages.sockets.push(listener.wxid, data)

    def _changed_for_all(self, group: Group) -> None:
        for listener in self.accounts.in_group(group):
            self._changed(listener, group.id)

    def _changed(self, listener: Account, id: str) -> None:
        data = wire.EventData(Contact=self._contact(id), EventName=EventName.CONTACT_CHANGE)
        self.messages.sockets.push(listener.wxid, data)


def _list(value: Sequence[str] | str) -> list[str]:
    if isinstance(value, str):
        return [piece for piece in value.split(",") if piece]
    return list(value)


def _v3(id: str) -> str:
    return f"v3_020b3826fd0301{id.encode().hex()}@stranger"


def _v4(id: str) -> str:
    return f"v4_000b708f0b0401{id.encode().hex()}@stranger"


def _picture(id: str, size: int = 132) -> str:
    return f"https://wx.example.org/{id}/{size}"


def _join_url(group: Group) -> str:
    return f"https://weixin.qq.com/g/{group.id.encode().hex()}"
