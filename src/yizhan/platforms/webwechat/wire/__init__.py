"""Every call of web WeChat, its structs, its envelopes and its Ret codes, in the vendor's words and spelling.

Along the chapters of the vendor: `login`, `contacts`, `session` (start, sync), `sending`, `media`, `other`;
`base` has what all share, `content` what stands inside of messages, `hosts` who serves what.
"""

from yizhan.platforms.webwechat.wire.base import FAULTS
from yizhan.platforms.webwechat.wire.contacts import BATCH_GET_CONTACT, GET_CONTACT
from yizhan.platforms.webwechat.wire.login import (
    JSLOGIN,
    LOGIN,
    LOGOUT,
    NEW_LOGIN_PAGE,
    PHONE_PAGE,
    PUSH_LOGIN_URL,
    QRCODE,
)
from yizhan.platforms.webwechat.wire.media import (
    CHECK_UPLOAD,
    GET_HEAD_IMAGE,
    GET_ICON,
    GET_IMAGE,
    GET_MAP,
    GET_MEDIA,
    GET_VIDEO,
    GET_VOICE,
    PREVIEW,
    UPLOAD_MEDIA,
    UPLOAD_PARALLEL,
)
from yizhan.platforms.webwechat.wire.other import (
    CHECK_URL,
    CREATE_ROOM,
    OPLOG,
    SEARCH_CONTACT,
    STAT_REPORT,
    UPDATE_ROOM,
    VERIFY_USER,
)
from yizhan.platforms.webwechat.wire.sending import (
    REVOKE,
    SEND_APP,
    SEND_EMOTICON,
    SEND_IMAGE,
    SEND_MSG,
    SEND_VIDEO,
)
from yizhan.platforms.webwechat.wire.session import (
    INIT,
    STATUS_NOTIFY_CALL,
    SYNC,
    SYNC_CHECK,
)

__all__ = [
    "BATCH_GET_CONTACT",
    "CHECK_UPLOAD",
    "CHECK_URL",
    "CREATE_ROOM",
    "FAULTS",
    "GET_CONTACT",
    "GET_HEAD_IMAGE",
    "GET_ICON",
    "GET_IMAGE",
    "GET_MAP",
    "GET_MEDIA",
    "GET_VIDEO",
    "GET_VOICE",
    "INIT",
    "JSLOGIN",
    "LOGIN",
    "LOGOUT",
    "NEW_LOGIN_PAGE",
    "OPLOG",
    "PHONE_PAGE",
    "PREVIEW",
    "PUSH_LOGIN_URL",
    "QRCODE",
    "REVOKE",
    "SEARCH_CONTACT",
    "SEND_APP",
    "SEND_EMOTICON",
    "SEND_IMAGE",
    "SEND_MSG",
    "SEND_VIDEO",
    "STATUS_NOTIFY_CALL",
    "STAT_REPORT",
    "SYNC",
    "SYNC_CHECK",
    "UPDATE_ROOM",
    "UPLOAD_MEDIA",
    "UPLOAD_PARALLEL",
    "VERIFY_USER",
]
