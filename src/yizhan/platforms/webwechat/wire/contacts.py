"""The address book, and rooms with their members.

Sources: iKuiki/wwdk doc/protocol/contact.md and message/contactType.md; the browser bundle of 2022-03-01.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import Credentials, NumberOrText
from yizhan.platforms.webwechat.wire.endpoints import get, post
from yizhan.wire import Query

CONTACT_DOC = "iKuiki/wwdk: doc/protocol/contact.md"


class Member(Struct):
    """A member of a room, in the room's MemberList."""

    Uin: int = 0
    UserName: str = ""
    NickName: str = ""
    AttrStatus: int = 0
    PYInitial: str = ""
    PYQuanPin: str = ""
    RemarkPYInitial: str = ""
    RemarkPYQuanPin: str = ""
    MemberStatus: int = 0
    DisplayName: str = ""
    KeyWord: str = ""


class Contact(Struct, kw_only=True):
    """A person, official account (`VerifyFlag & 8`) or room (`@@…`). UserNames are valid for one login only."""

    Uin: int = 0
    UserName: str = ""
    NickName: str = ""
    HeadImgUrl: str = ""
    ContactFlag: int = 0
    MemberCount: int = 0
    MemberList: list[Member] = []
    RemarkName: str = ""
    HideInputBarFlag: int = 0
    Sex: int = 0
    Signature: str = ""
    VerifyFlag: int = 0
    OwnerUin: int = 0
    PYInitial: str = ""
    PYQuanPin: str = ""
    RemarkPYInitial: str = ""
    RemarkPYQuanPin: str = ""
    StarFriend: int = 0
    AppAccountFlag: int = 0
    Statues: int = 0
    """The vendor's spelling. In rooms: 1 if notifications are on."""
    AttrStatus: int = 0
    Province: str = ""
    City: str = ""
    Alias: str = ""
    SnsFlag: int = 0
    UniFriend: int = 0
    DisplayName: str = ""
    ChatRoomId: int = 0
    KeyWord: str = ""
    EncryChatRoomId: str = ""
    IsOwner: int = 0


class GetContact(Struct, kw_only=True):
    """Read a page of the address book. `seq`: 0, then the Seq of each response, until that is 0."""

    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET
    r: Annotated[str | int, Query()] = 0
    seq: Annotated[str | int, Query()] = 0
    skey: Annotated[str, Query(secret=True)] = ""


class ContactPage(Struct, kw_only=True):
    MemberCount: int = 0
    MemberList: list[Contact] = []
    Seq: int = 0


class ContactQuery(Struct, kw_only=True):
    """A room, or a member of the room EncryChatRoomId."""

    UserName: str = ""
    EncryChatRoomId: NumberOrText = ""


class BatchGetContact(Struct, kw_only=True):
    """At most 50 entries."""

    BaseRequest: Credentials | None = None
    Count: NumberOrText = 0
    List: list[ContactQuery] = []
    type: Annotated[str, Query()] = "ex"
    r: Annotated[str | int, Query()] = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class BatchResponse(Struct, kw_only=True):
    Count: int = 0
    ContactList: list[Contact] = []


GET_CONTACT = get("webwxgetcontact", GetContact, ContactPage, CONTACT_DOC, also=("POST",))
BATCH_GET_CONTACT = post("webwxbatchgetcontact", BatchGetContact, BatchResponse, CONTACT_DOC)
