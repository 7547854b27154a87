"""Every code of the platform: its text, its HTTP status, and its meaning for a sender.

Sources: error tables of the API v2 pages of 2026-09 and of the documentation repository as it stood in 2025-05;
codes and texts seen in public threads (tencent-connect/botpy#172, #189, #198, bot-node-sdk#84, openclaw-qqbot#43).
Statuses were seen where a thread shows the answer, else assumed: 400 for business errors, 401 for identity.
`code` and `err_code` of one body are often equal; where they are not, the second is `also`.
"""

from __future__ import annotations

from collections.abc import Iterable

from yizhan.errors import (
    ContentRefused,
    Duplicate,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
)
from yizhan.wire import FaultCode, FaultTable


def _rows(http: int, means: type[PlatformError], rows: dict[int, str], **more: object) -> Iterable[FaultCode]:
    """Rows that differ in code and text only."""
    return [FaultCode(code, text, http, means, **more) for code, text in rows.items()]  # type: ignore[arg-type]


# --- identity ---------------------------------------------------------------------------------------------------------

TOKEN_MISSING = FaultCode(11241, "请求头缺少token", 401, LoginNeeded)
TOKEN_CHECK_FAILED = FaultCode(11242, "token校验失败", 401, LoginNeeded, also=40012002)
TOKEN_WRONG = FaultCode(11243, "token错误", 401, LoginNeeded)
TOKEN_EXPIRED = FaultCode(11244, "token not exist or expire", 401, LoginNeeded)
TOKEN_FIXED = FaultCode(11245, "Bot appid.token 鉴权方式已停用", 401, LoginNeeded)
TOKEN_FAULTS = (TOKEN_CHECK_FAILED, TOKEN_WRONG, TOKEN_EXPIRED)
"""Codes for which a client fetches a new token and tries once more."""

IDENTITY = [
    *_rows(401, LoginNeeded, {11251: "appid错误", 11261: "缺少appid", 11275: "appid无效", 11273: "不支持bearer token"}),
    FaultCode(11252, "应用接口权限检查失败，请重试", 500, Unavailable),
    *_rows(
        401,
        NotAllowed,
        {
            11253: "应用没有该接口权限",
            11254: "应用接口已被封禁",
            11262: "该接口不支持bot token",
            11263: "频道权限检查失败",
            11264: "频道未授权该接口",
            11265: "机器人已被封禁",
            11274: "用户未授权",
            11281: "管理员检查失败",
            11282: "不是管理员",
        },
    ),
    FaultCode(11255, "机器人类型不支持该接口", 400, NotAllowed),
    FaultCode(11298, "接口访问源IP不在白名单", 401, NotAllowed, also=40023002),
    *_rows(
        400,
        Rejected,
        {
            11301: "请求头错误",
            11302: "昵称获取失败",
            11303: "头像获取失败",
            11304: "频道id获取失败",
            11305: "频道名获取失败",
            11306: "频道信息获取失败",
        },
    ),
]

# --- access token -----------------------------------------------------------------------------------------------------

TOKEN_TOO_OFTEN = FaultCode(100001, "Too many requests", 200, Throttled, retry_after=5)
TOKEN_INTERNAL = FaultCode(100002, "internal err", 200, LoginNeeded)
APPID_INVALID = FaultCode(100007, "appid invalid", 200, LoginNeeded)
SECRET_WRONG = FaultCode(100016, "invalid appid or secret", 200, LoginNeeded)
ROBOT_UNKNOWN = FaultCode(10004, "robot does not exist", 200, LoginNeeded)
"""The same number means an unknown guild everywhere else."""

# --- generic ----------------------------------------------------------------------------------------------------------

UNSUPPORTED_OPERATION = FaultCode(10000, "不支持的操作", 400, Rejected)
CHANNEL_UNKNOWN = FaultCode(10003, "频道不存在", 400, TargetGone)
INVALID_REQUEST = FaultCode(12002, "invalid request", 400, Rejected)
TYPE_MISMATCH = FaultCode(22006, "消息内容与消息类型不符", 400, Rejected)
CALLED_TOO_OFTEN = FaultCode(100017, "接口调用超过频率限制。", 429, Throttled, also=40023001, retry_after=1)
"""The documented rate of a call. Codes and text from public threads; the status is the one that the pages name."""
LIMIT_EXCEEDED = FaultCode(22009, "msg limit exceed", 429, Throttled, concerns="target")
MESSAGE_EMPTY = FaultCode(50006, "消息为空", 400, Rejected)
BAD_FORM_BODY = FaultCode(50035, "请求参数格式错误", 400, Rejected)
MARKDOWN_ALONE = FaultCode(50037, "消息只能带markdown和keyboard", 400, Rejected)
MARKDOWN_INVALID = FaultCode(50055, "markdown内容无效", 400, Rejected)
MARKDOWN_NOT_ALLOWED = FaultCode(50056, "没有markdown权限", 400, NotAllowed)
MARKDOWN_EITHER = FaultCode(50057, "markdown原生与模板不能同时使用", 400, Rejected)
INPUT_TYPE_WRONG = FaultCode(50059, "input_type错误", 400, Rejected)
PROXY_REFUSED = FaultCode(413, "Request Entity Too Large", 413, Rejected)
"""Not a code of the platform: a proxy in front of it answers with a page of HTML."""

GENERIC = [
    FaultCode(10001, "账号不存在", 400, TargetGone),
    FaultCode(10004, "频道（guild）不存在", 400, TargetGone),
    FaultCode(12001, "id转换失败", 400, Rejected),
    FaultCode(12003, "回包数据错误", 400, Rejected),
    FaultCode(20028, "子频道写入频率超限", 429, Throttled, concerns="target"),
    *_rows(
        400,
        Rejected,
        {
            50041: "markdown参数值为空",
            50045: "不能引用机器人自己的消息",
            50048: "缺少message_id",
            50054: "markdown模板参数错误",
        },
    ),
]

# --- files ------------------------------------------------------------------------------------------------------------

PROXY_CALL_FAILED = FaultCode(850012, "call inner proxy error", 500, Unavailable)
MUTED = FaultCode(850018, "群或机器人被禁言", 400, NotAllowed)
FORMAT_WRONG = FaultCode(850019, "富媒体文件格式不支持", 400, ContentRefused, also=40034002)
DOWNLOAD_FAILED = FaultCode(850026, "富媒体文件下载失败", 400, Rejected, also=40034001)
DOWNLOAD_TIMEOUT = FaultCode(850027, "富媒体文件下载超时", 504, Unavailable)
FILE_TOO_LARGE = FaultCode(850031, "富媒体文件大小超过限制", 400, ContentRefused)
FINISH_AGAIN = FaultCode(40093001, "上传处理中，请重试", 400, Unavailable, retry_after=1)
VOLUME_USED_UP = FaultCode(40093002, "当日上传量已用完", 400, Throttled, retry_after=3600, concerns="target")
"""`concerns` the target alone: text to others still goes."""
FILE_INFO_INVALID = FaultCode(304080, "富媒体file_info无效", 400, HandleExpired)
GUILD_IMAGE_REFUSED = FaultCode(304010, "图片转存失败", 400, ContentRefused)
GUILD_IMAGE_TOO_LARGE = FaultCode(304020, "图片大小超限", 400, ContentRefused)
IMAGES_FULL = FaultCode(40035007, "图片数量已达上限", 400, Rejected)
IMAGE_UNKNOWN = FaultCode(40035008, "图片不存在", 400, Rejected)

FILES = [
    FaultCode(40034004, "富媒体转存失败", 400, HandleExpired),
    *_rows(400, Unavailable, {304082: "upload media info fail", 304083: "convert media info fail"}),
    *_rows(400, Rejected, {304017: "图片上传失败", 304021: "图片下载失败"}),
]

# --- answers ----------------------------------------------------------------------------------------------------------

GUILD_MSG_ID_WRONG = FaultCode(304026, "消息id错误", 400, Rejected)
GUILD_MSG_ID_EXPIRED = FaultCode(304027, "消息id过期", 400, WindowClosed)
MSG_ID_EXPIRED = FaultCode(40034005, "请求参数msg_id已过期", 400, WindowClosed)
MSG_ID_WRONG = FaultCode(40034024, "请求参数msg_id无效或越权", 400, Rejected)
EVENT_ID_WRONG = FaultCode(40034025, "请求参数event_id无效或越权", 400, Rejected)
EVENT_ID_EXPIRED = FaultCode(40034026, "请求参数event_id已过期", 400, WindowClosed)
EVENT_NOT_ANSWERABLE = FaultCode(40034027, "该事件不支持回复", 400, Rejected)
ANSWERS_USED_UP = FaultCode(40034128, "被动回复超过时间或次数限制", 400, WindowClosed)
DUPLICATE = FaultCode(40054005, "消息被去重，请检查请求msgseq", 400, Duplicate)

ANSWERS = [
    FaultCode(304028, "不是at机器人的消息", 400, Rejected),
    FaultCode(304103, "msg_id已过期", 400, WindowClosed),
]

# --- active messages, targets -----------------------------------------------------------------------------------------

ACTIVE_TOO_OFTEN = FaultCode(40034100, "主动消息失败, 超过频率限制", 429, Throttled, concerns="target")
BOT_NOT_IN_GROUP = FaultCode(40034101, "机器人不在群内", 400, TargetGone)
ACTIVE_WITHDRAWN = FaultCode(40034102, "主动消息失败, 不支持主动推送", 400, NotAllowed)
ACTIVE_NOT_ALLOWED = FaultCode(40034105, "主动消息失败, 无权限", 400, NotAllowed)
WAKEUP_USED_UP = FaultCode(40034122, "召回消息次数超过限制", 400, WindowClosed)
WAKEUP_UNSUPPORTED = FaultCode(40034123, "不支持召回消息", 400, NotAllowed)
BOT_MUTED = FaultCode(40054002, "机器人被禁言", 400, NotAllowed)
NOT_A_MEMBER = FaultCode(40054003, "机器人不是群成员", 400, TargetGone)
NOT_A_FRIEND = FaultCode(40054004, "用户与机器人不是好友", 400, TargetGone)
USER_REFUSES = FaultCode(40054013, "用户拒收机器人消息", 400, NotAllowed)
GUILD_ACTIVE_USED_UP = FaultCode(304045, "子频道主动消息数量超限", 429, Throttled, concerns="target")
GUILD_DM_USED_UP = FaultCode(304049, "私信主动消息数量超限", 429, Throttled, concerns="target")
GUILD_CHANNELS_USED_UP = FaultCode(304047, "子频道数量超限", 429, Throttled, concerns="target")
GUILD_TOO_OFTEN = FaultCode(304050, "消息频率超限", 429, Throttled, concerns="target")
AUDIT_PUSH = FaultCode(304023, "推送消息进入审核", 202, OutcomeUnknown)
AUDIT_REPLY = FaultCode(304024, "回复消息进入审核", 202, OutcomeUnknown)
"""Accepted, not sent yet: MESSAGE_AUDIT_PASS or MESSAGE_AUDIT_REJECT tells the end."""

TARGETS = [
    FaultCode(40054006, "好友关系检查失败，请重试", 400, Unavailable),
    FaultCode(40054016, "机器人已下线", 400, Unavailable),
    *_rows(
        429,
        Throttled,
        {304022: "推送时间不允许", 304046: "频道消息数量超限", 304048: "私信人数超限"},
        concerns="target",
    ),
    FaultCode(340067, "机器人信息查询失败", 500, Unavailable),
]

# --- content ----------------------------------------------------------------------------------------------------------

GUILD_URL_REFUSED = FaultCode(304003, "url未报备", 403, ContentRefused)
ARK_NOT_ALLOWED = FaultCode(304004, "没有ark权限", 400, NotAllowed)
GATEWAY_NEEDED = FaultCode(304018, "机器人未连接gateway", 400, Unavailable)
CONTENT_INVALID = FaultCode(304061, "消息内容无效", 400, Rejected)
GROUP_TYPE_INVALID = FaultCode(340069, "msg_type无效", 400, Rejected)
TOO_LONG = FaultCode(40054007, "消息过长", 400, ContentRefused)
TOO_LONG_OR_ABNORMAL = FaultCode(40054018, "消息过长或内容异常", 400, ContentRefused)
OVER_LENGTH = FaultCode(1000001, "msg over length", 500, ContentRefused)
LENGTH_FAULTS = (TOO_LONG, TOO_LONG_OR_ABNORMAL, OVER_LENGTH)
"""A shorter text may pass: the rule `text.max_chars` cuts it."""
ANSWER_NOT_MARKDOWN = FaultCode(304041, "reply message not allow markdown", 500, NotAllowed)
KEYBOARD_NOT_ALLOWED = FaultCode(304057, "not allowd custom keyborad", 500, NotAllowed)
"""These three were seen under HTTP 500 (AstrBotDevs/AstrBot#40, nonebot/adapter-qq#154, openclaw-qqbot#260)."""
MARKDOWN_RIGHT_MISSING = FaultCode(304036, "没有markdown权限", 400, NotAllowed)
BUTTON_RIGHT_MISSING = FaultCode(304037, "没有按钮权限", 400, NotAllowed)
MARKDOWN_FAULTS = (MARKDOWN_NOT_ALLOWED, MARKDOWN_RIGHT_MISSING, ANSWER_NOT_MARKDOWN)
"""The bot may not send Markdown, here or at all; text passes."""
KEYBOARD_FAULTS = (BUTTON_RIGHT_MISSING, KEYBOARD_NOT_ALLOWED)
"""The bot may not send buttons; the message passes without them."""
URL_REFUSED = FaultCode(40054010, "消息发送失败, 不允许发送url", 400, ContentRefused)
MARKDOWN_IMAGE_LOST = FaultCode(40034141, "markdown图片转存失败", 400, ContentRefused)
KEYBOARD_TOO_LARGE = FaultCode(40034029, "keyboard行列数超过限制", 400, ContentRefused)

CONTENT = [
    *_rows(
        400,
        ContentRefused,
        {
            304005: "embed长度超限",
            304011: "模板不存在",
            304012: "模板数据错误",
            304014: "模板获取失败",
            304038: "markdown参数缺失",
            304039: "markdown解析失败",
            304040: "markdown内容错误",
            304062: "订阅按钮无效",
            304064: "订阅无效",
            305007: "keyboard样式错误",
            40034006: "消息内容违规",
            40034008: "markdown参数为空",
            40034009: "markdown参数含换行",
            40034010: "markdown参数含markdown语法",
            40034011: "markdown无效",
            40034106: "指令类型错误",
            40034108: "指令长度错误",
            40034109: "指令解析失败",
            40034124: "markdown参数错误",
        },
    ),
    FaultCode(40034127, "没有markdown模板权限", 400, NotAllowed),
    *_rows(
        500,
        Unavailable,
        {50055001: "群消息发送失败，请重试", 50055002: "单聊消息发送失败，请重试", 50055006: "ark发送失败，请重试"},
    ),
]

# --- guild: safety and internal ---------------------------------------------------------------------------------------

GUILD = [
    FaultCode(1100100, "安全打击：消息被限频", 429, Throttled, concerns="target"),
    *_rows(400, ContentRefused, {1100101: "安全打击：内容涉及敏感", 1100103: "安全打击", 3300006: "安全打击"}),
    *_rows(
        400,
        NotAllowed,
        {
            1100102: "暂未获得新功能体验资格",
            1100301: "调用方不是群成员",
            1100303: "主页频道非管理员不允许发消息",
            1100304: "@次数鉴权失败",
            1100306: "非私有频道成员",
            1100307: "非白名单应用子频道",
        },
    ),
    FaultCode(1100104, "群已失效或不存在", 400, TargetGone),
    *_rows(
        400,
        Unavailable,
        {1100300: "系统内部错误", 1100302: "获取频道名称失败", 1100305: "id转换失败", 1100499: "其他错误"},
    ),
    FaultCode(1100308, "触发频道内限频", 429, Throttled, concerns="target"),
]

# --- recall -----------------------------------------------------------------------------------------------------------

RECALL_BAD_PARAMETER = FaultCode(40061001, "参数错误", 400, Rejected)
RECALL_BAD_ID = FaultCode(40061002, "消息id错误", 400, Rejected)
RECALL_WRONG_USER = FaultCode(306009, "openid与消息不符", 400, Rejected)
RECALL_NO_RIGHT = FaultCode(40062003, "没有撤回该消息的权限", 400, NotAllowed)
RECALL_TOO_LATE = FaultCode(40064004, "消息超过2分钟，不能撤回", 400, Rejected)
GUILD_RECALL_BAD_ID = FaultCode(306002, "消息id错误", 400, Rejected)
GUILD_RECALL_NO_RIGHT = FaultCode(306004, "没有撤回权限", 400, NotAllowed)
GUILD_RECALL_TOO_LATE = FaultCode(306011, "消息超过可撤回时间", 400, Rejected)

RECALL = [
    FaultCode(50065001, "撤回失败，请重试", 500, Unavailable),
    FaultCode(306001, "撤回参数错误", 400, Rejected),
    *_rows(
        500, Unavailable, {306003: "获取消息失败", 306005: "撤回失败", 306006: "获取子频道失败", 306010: "内部错误"}
    ),
    FaultCode(306007, "消息不属于该群", 400, Rejected),
    FaultCode(306008, "不是该机器人的消息", 400, NotAllowed),
]

# --- interactions and streams -----------------------------------------------------------------------------------------

INTERACTION_BAD_PARAMETER = FaultCode(630001, "参数错误", 400, Rejected)
INTERACTION_MISMATCH = FaultCode(630003, "interaction_id与机器人不匹配", 400, Rejected)
STREAM_NOT_A_CONTINUATION = FaultCode(40007, "replace模式下内容须以已发送内容开头", 404, Rejected, also=40113003)

INTERACTIONS = [
    FaultCode(630002, "appid错误", 400, Rejected),
    *_rows(500, Unavailable, {630004: "读取存储失败", 630005: "写入存储失败", 630008: "预处理失败"}),
    *_rows(400, Rejected, {630006: "数据过大", 630007: "数据无效"}),
    FaultCode(50001, "internal error", 500, Unavailable),
    FaultCode(50002, "接口调用超过频率限制。", 429, Throttled, concerns="target"),
]

_NAMED = {name.lower(): row for name, row in list(globals().items()) if isinstance(row, FaultCode)}
_TOKEN_ONLY = _NAMED.pop("robot_unknown")

FAULTS = FaultTable(
    [*_NAMED.values(), *IDENTITY, *GENERIC, *FILES, *ANSWERS, *TARGETS, *CONTENT, *GUILD, *RECALL, *INTERACTIONS],
    _NAMED,
)
TOKEN_TABLE = FaultTable([_TOKEN_ONLY, TOKEN_TOO_OFTEN, TOKEN_INTERNAL, APPID_INVALID, SECRET_WRONG])
