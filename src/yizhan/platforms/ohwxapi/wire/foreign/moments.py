"""Moments and mini programs. Posting as a client does it; the rest by native number, shapes proposed."""

from __future__ import annotations

from msgspec import Struct, field

from yizhan.platforms.ohwxapi.wire.envelope import CLIENT_A, NATIVE, Nothing, command

SnsId = int | str
"""Beyond 2**53, so text is read too."""


class SnsComment(Struct):
    CommentId: int
    UserName: str
    NickName: str = ""
    Type: int = 2
    """1 a like, 2 a comment."""
    Content: str = ""
    CreateTime: int = 0


class SnsObject(Struct):
    """One entry."""

    Id: str
    UserName: str
    NickName: str = ""
    CreateTime: int = 0
    ObjectDesc: str = ""
    """The `<TimelineObject>`."""
    LikeCount: int = 0
    CommentCount: int = 0
    CommentUserList: list[SnsComment] = field(default_factory=list)


class SnsPost(Struct):
    """209: post an entry. Source: AssistantX: common/wechat.py."""

    XmlContent: str
    """`<TimelineObject>…`"""


class SnsPosted(Struct):
    Id: str = ""


class SnsDetail(Struct):
    """210."""

    Id: SnsId


class SnsTimeline(Struct):
    """211: entries of everybody, the newest first. `MaxId`: only those before it."""

    MaxId: SnsId = 0


class SnsUserPage(Struct):
    """212: entries of one person."""

    UserName: str
    MaxId: SnsId = 0


class SnsObjects(Struct):
    ObjectList: list[SnsObject] = field(default_factory=list)


class SnsAddComment(Struct, omit_defaults=True):
    """213: like (`Type` 1) or comment on (2) an entry."""

    Id: SnsId
    Type: int = 2
    Content: str = ""


class SnsSync(Struct):
    """214: new posts."""


class SnsOperate(Struct):
    """218: `OpType` 1 deletes one's own entry, 4 takes a comment back, 5 takes a like back."""

    Id: SnsId
    OpType: int = 1
    CommentId: int = 0


class MiniProgramLogin(Struct):
    """1029: a login code for a mini program."""

    AppId: str


class MiniProgramCode(Struct):
    Code: str


class MiniProgramOperate(Struct):
    """1133: data of a mini program, such as the authorisation of a telephone number."""

    AppId: str
    Data: str = ""


class MiniProgramData(Struct):
    Data: str = ""


SNS_POST = command("SnsPost", 209, SnsPost, SnsPosted, CLIENT_A, acts=True, target="")
SNS_DETAIL = command("SnsObjectDetail", 210, SnsDetail, SnsObject, NATIVE, target="")
SNS_TIMELINE = command("SnsTimeline", 211, SnsTimeline, SnsObjects, NATIVE, target="")
SNS_USER_PAGE = command("SnsUserPage", 212, SnsUserPage, SnsObjects, NATIVE, target="CgiRequest.UserName")
SNS_COMMENT = command("SnsComment", 213, SnsAddComment, SnsObject, NATIVE, acts=True, target="")
SNS_SYNC = command("SnsSync", 214, SnsSync, SnsObjects, NATIVE, target="")
SNS_OPERATE = command("SnsObjectOp", 218, SnsOperate, Nothing, NATIVE, acts=True, target="")
JS_LOGIN = command("JsLogin", 1029, MiniProgramLogin, MiniProgramCode, NATIVE, target="")
JS_OPERATE = command("JsOperateWxData", 1133, MiniProgramOperate, MiniProgramData, NATIVE, target="")
