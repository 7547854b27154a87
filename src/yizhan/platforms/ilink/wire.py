"""Every call of iLink as values: structs, envelopes, faults. The vendor's words, spelled the vendor's way.

Sources: package @tencent-weixin/openclaw-weixin 2.4.9 (`src/api/api.ts`, `src/api/types.ts`, `src/auth/login-qr.ts`,
`src/cdn/*.ts`), and where that is silent the threads and write-ups named beside the fact. Long because the message
model stands here whole; what encloses media is in `crypt.py`, the inside of the cursor in `server/cursor.py`.

Every number may be absent or null in what clients send, and every answer may lack what it used to have: all fields of
shared structs are optional, None meaning "not there".
"""

from __future__ import annotations

import base64
from typing import Annotated, Any

import msgspec
from msgspec import Struct

from yizhan.errors import (
    ContentRefused,
    LoginNeeded,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
)
from yizhan.wire import (
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpResponse,
    MalformedRequest,
    Query,
    RawAnswer,
    Whole,
    as_struct,
    json_object,
    mask_text,
    meaning_of_status,
)

SOURCE = "@tencent-weixin/openclaw-weixin 2.4.9, src/api/api.ts"
LOGIN_SOURCE = "@tencent-weixin/openclaw-weixin 2.4.9, src/auth/login-qr.ts"
CDN_SOURCE = "@tencent-weixin/openclaw-weixin 2.4.9, src/cdn/"

CHANNEL_VERSION = "2.4.9"
"""The state of the protocol that is spoken here: that of this version of the official package."""
APP_ID = "bot"
BOT_TYPE = "3"
USER_SUFFIX = "@im.wechat"
BOT_SUFFIX = "@im.bot"

# message_type
USER, BOT = 1, 2
# message_state
FINISH = 2
# item type
TEXT, IMAGE, VOICE, FILE, VIDEO, TOOL_CALL_START, TOOL_CALL_RESULT = 1, 2, 3, 4, 5, 11, 12
# sendtyping status
TYPING, TYPING_STOP = 1, 2

MEDIA_TYPES = {IMAGE: 1, VIDEO: 2, FILE: 3, VOICE: 4}
"""Item type to the `media_type` of getuploadurl: the same things under other numbers."""


# --- headers ----------------------------------------------------------------------------------------------------------


def client_version(version: str) -> int:
    """The number that stands for a version in `iLink-App-ClientVersion`: one byte each for major, minor and patch."""
    parts = [int(part) & 0xFF for part in (*version.split("."), "0", "0")[:3]]
    return parts[0] << 16 | parts[1] << 8 | parts[2]


def wechat_uin(number: int) -> str:
    """`X-WECHAT-UIN` for a random uint32: base64 of its decimal text, not of its four bytes."""
    return base64.b64encode(str(number).encode()).decode()


def app_headers(route_tag: str = "") -> dict[str, str]:
    """Headers of every request to the API host; the only ones of the login's status poll."""
    headers = {"iLink-App-Id": APP_ID, "iLink-App-ClientVersion": str(client_version(CHANNEL_VERSION))}
    return {**headers, "SKRouteTag": route_tag} if route_tag else headers


def post_headers(number: int, token: str = "", route_tag: str = "") -> dict[str, str]:
    """Headers of a POST. `number`: a random uint32, a new one for each request."""
    headers = {"AuthorizationType": "ilink_bot_token", "X-WECHAT-UIN": wechat_uin(number), **app_headers(route_tag)}
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


# --- what messages are made of ----------------------------------------------------------------------------------------


class BaseInfo(Struct, omit_defaults=True):
    """Beside every POST body but that of the QR start."""

    channel_version: str | None = None
    bot_agent: str | None = None
    """`name/version (comment) …`, at most 256 bytes; for statistics only. Since 2.3.1."""


class CDNMedia(Struct, omit_defaults=True):
    """A reference to bytes on the CDN, and the key that opens them."""

    encrypt_query_param: str | None = None
    aes_key: str | None = None
    """Base64 of the key's hex text (44 characters), inbound sometimes of its raw bytes (24)."""
    encrypt_type: int | None = None
    """Outbound always 1; live inbound media lack it."""
    full_url: str | None = None
    """Complete download address; inbound only."""


class TextItem(Struct, omit_defaults=True):
    text: str | None = None


class ImageItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    thumb_media: CDNMedia | None = None
    aeskey: str | None = None
    """Hex; inbound only, and right where `media.aes_key` is not."""
    url: str | None = None
    mid_size: int | None = None
    """Bytes: of the plain picture inbound, of the ciphertext outbound. Without it the picture "failed to send"."""
    thumb_size: int | None = None
    thumb_height: int | None = None
    thumb_width: int | None = None
    hd_size: int | None = None


class VoiceItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    encode_type: int | None = None
    """By the vendor's table 4 is speex and 6 silk; live voice says 4 and is silk: look at the bytes."""
    bits_per_sample: int | None = None
    sample_rate: int | None = None
    playtime: int | None = None
    """Milliseconds."""
    text: str | None = None
    """WeChat's own transcription."""


class FileItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    file_name: str | None = None
    md5: str | None = None
    len: str | int | None = None
    """Plain bytes, as decimal text."""


class VideoItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    video_size: int | None = None
    """Bytes: plain inbound, ciphertext outbound."""
    play_length: int | None = None
    video_md5: str | None = None
    thumb_media: CDNMedia | None = None
    thumb_size: int | None = None
    thumb_height: int | None = None
    thumb_width: int | None = None


class ToolCallItem(Struct, omit_defaults=True):
    tool_name: str | None = None
    tool_call_id: str | None = None
    status: str | None = None
    """completed, failed, blocked, unknown; on results only."""


class PartialText(Struct, omit_defaults=True):
    """A stretch of the quoted text: from an occurrence of `start` to one of `end`."""

    start: str | None = None
    end: str | None = None
    startindex: int | None = None
    endindex: int | None = None
    quotemd5: str | None = None


class RefMessage(Struct, omit_defaults=True):
    """What an item quotes. Live ones name the quoted message by `message_item.msg_id` alone."""

    title: str | None = None
    message_item: MessageItem | None = None
    svr_id: int | str | None = None
    partial_text: PartialText | None = None


class MessageItem(Struct, omit_defaults=True):
    """One piece of a message. Outbound only `type` and the payload; the rest is what live inbound items have."""

    type: int | None = None
    create_time_ms: int | None = None
    update_time_ms: int | None = None
    is_completed: bool | None = None
    msg_id: str | int | None = None
    button_item_list: list[Any] | None = None
    at_bot_username_list: list[Any] | None = None
    ref_msg: RefMessage | None = None
    text_item: TextItem | None = None
    image_item: ImageItem | None = None
    voice_item: VoiceItem | None = None
    file_item: FileItem | None = None
    video_item: VideoItem | None = None
    tool_call_start_item: ToolCallItem | None = None
    tool_call_result_item: ToolCallItem | None = None


class WeixinMessage(Struct, omit_defaults=True):
    """A message, both ways."""

    seq: int | None = None
    message_id: int | str | None = None
    """uint64, above 2**53."""
    from_user_id: str | None = None
    """Outbound an empty text: without it only the first message arrived (SiverKing/weixin-ClawBot-API, docs)."""
    to_user_id: str | None = None
    client_id: str | None = None
    """Made by the sender; the platform swallows a second message under the same one."""
    create_time_ms: int | None = None
    update_time_ms: int | None = None
    delete_time_ms: int | None = None
    session_id: str | None = None
    group_id: str | None = None
    message_type: int | None = None
    message_state: int | None = None
    item_list: list[MessageItem] | None = None
    """Outbound exactly one."""
    context_token: str | None = None
    root_id: int | str | None = None
    parent_id: int | str | None = None
    run_id: str | None = None


# --- faults -----------------------------------------------------------------------------------------------------------

STALE_TOKEN = FaultCode(-14, "session timeout", means=LoginNeeded, name="stale_token")
BAD_CURSOR = FaultCode(-3, "invalid get_updates_buf", means=Rejected, name="bad_cursor")
BAD_RECIPIENT = FaultCode(-1, "invalid to_user_id", means=TargetGone, name="bad_recipient")
PREPARE_FAILED = FaultCode(-2, "prepare failed", means=WindowClosed, name="prepare_failed")
UNUSABLE_CONTEXT = FaultCode(-2, "unknown error", means=WindowClosed, name="unusable_context")
RATE_LIMITED = FaultCode(-2, "rate limited", means=Throttled, retry_after=30, concerns="target", name="rate_limited")
FREQ_LIMIT = FaultCode(-2, "freq limit", means=Throttled, retry_after=30, concerns="target", name="freq_limit")
INVALID_ARGUMENTS = FaultCode(-2, "invalid arguments", means=Rejected, name="invalid_arguments")
TOO_FAST = FaultCode(-12, "rate limit", means=Throttled, retry_after=30, concerns="target", name="too_fast")
CDN_PARAM = FaultCode(400, "invalid encrypted_param", http=400, means=Rejected, name="cdn_param")
CDN_ILLEGAL = FaultCode(-5102031, "illegal content", http=400, means=ContentRefused, name="cdn_illegal")
CDN_FAILED = FaultCode(500, "internal error", http=500, means=Unavailable, name="cdn_failed")

FAULTS = FaultTable(
    [
        STALE_TOKEN,
        BAD_CURSOR,
        BAD_RECIPIENT,
        PREPARE_FAILED,
        UNUSABLE_CONTEXT,
        RATE_LIMITED,
        FREQ_LIMIT,
        INVALID_ARGUMENTS,
        TOO_FAST,
        CDN_PARAM,
        CDN_ILLEGAL,
        CDN_FAILED,
    ]
)


def fault_row(endpoint: Endpoint[Any, Any] | None, code: int, text: str, http: int = 200) -> FaultCode:
    """Return the row for a code and its words: -2 stands for many things that only the words tell apart."""
    same = [row for row in FAULTS.rows if row.code == code]
    for row in same:
        if row.message in text.lower():
            return row
    if code == PREPARE_FAILED.code:
        # Words that nobody reported yet: while sending, the context is the usual reason; elsewhere the request is.
        return UNUSABLE_CONTEXT if endpoint is not None and endpoint.acts else INVALID_ARGUMENTS
    return same[0] if same else FaultCode(code, text, http=http, means=meaning_of_status(http))


# --- envelopes --------------------------------------------------------------------------------------------------------

_OCTETS = ("Content-Type", "application/octet-stream")
"""What the API host says of its JSON, too; clients that insist on application/json fail against the service."""


class JsonEnvelope:
    """HTTP 200 for success and failure; a failure has `ret` or `errcode` (never both in live answers) and `errmsg`."""

    faults = FAULTS

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return HttpResponse(200, [_OCTETS], msgspec.json.encode(answer))

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        name = "errcode" if fault.row.code == STALE_TOKEN.code else "ret"
        body = msgspec.json.encode({name: fault.row.code, "errmsg": fault.message})
        return HttpResponse(fault.http, [_OCTETS, *_why(fault)], body)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        if http.status != 200 and not http.data.lstrip().startswith(b"{"):
            text = mask_text(http.data[:200].decode("utf-8", "replace")).strip() or "no text"
            raise Fault(FaultCode(http.status, text, http=http.status, means=meaning_of_status(http.status)))
        body = json_object(endpoint, http) if http.data.strip() else {}
        code = _number(body.get("ret")) or _number(body.get("errcode"))
        if code or http.status != 200:
            text = str(body.get("errmsg") or "")
            row = fault_row(endpoint, code or http.status, text, http.status)
            raise Fault(row, text, http=http.status)
        return as_struct(endpoint, http, body)

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(INVALID_ARGUMENTS, data=str(error))


class CdnEnvelope:
    """Bytes with headers. Success is HTTP 200 exactly; a failure's words stand in `x-error-message`."""

    faults = FAULTS

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return HttpResponse(200, [_OCTETS], answer if isinstance(answer, bytes) else (answer,))

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        headers = [("x-error-code", str(fault.row.code)), ("x-error-message", _header_text(fault.message))]
        return HttpResponse(fault.http if fault.http >= 400 else 400, [*headers, *_why(fault)])

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        if http.status != 200:
            text = http.header("x-error-message")
            code = _number(http.header("x-error-code")) or http.status
            row = fault_row(endpoint, code, text, http.status)
            if row.means is Rejected and not 400 <= http.status < 500:
                # Only a 4xx is a refusal; everything else is tried again, as the official client does it.
                row = FaultCode(code, text, http=http.status, means=Unavailable)
            raise Fault(row, text or "no text", http=http.status)
        return http

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(CDN_PARAM, data=str(error))


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _why(fault: Fault) -> list[tuple[str, str]]:
    """The sandbox's reason beside the vendor's terse words, where a client does not look for anything."""
    return [("x-sandbox-why", _header_text(fault.data))] if isinstance(fault.data, str) else []


def _header_text(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:400]


ENVELOPE = JsonEnvelope()
CDN_ENVELOPE = CdnEnvelope()


# --- login ------------------------------------------------------------------------------------------------------------


class QrStart(Struct, omit_defaults=True):
    """`local_token_list`: up to ten bot tokens that this installation holds, newest first. No `base_info` here."""

    bot_type: Annotated[str | None, Query()] = None
    local_token_list: list[str] | None = None


class QrCode(Struct, omit_defaults=True):
    qrcode: str
    """The polling credential: whoever has it gets the token once the person confirms."""
    qrcode_img_content: str | None = None
    """Despite its name an address, to be drawn as a QR code."""
    ret: int | None = None


class QrPoll(Struct, omit_defaults=True):
    qrcode: Annotated[str, Query()] = ""
    verify_code: Annotated[str | None, Query()] = None


class QrStatus(Struct, omit_defaults=True):
    """`status`: wait, scaned, need_verifycode, verify_code_blocked, scaned_but_redirect, confirmed, expired,
    binded_redirect."""

    status: str
    ret: int | None = None
    redirect_host: str | None = None
    bot_token: str | None = None
    ilink_bot_id: str | None = None
    ilink_user_id: str | None = None
    baseurl: str | None = None


GET_BOT_QRCODE: Endpoint[QrStart, QrCode] = Endpoint(
    "get_bot_qrcode",
    "POST",
    "/ilink/bot/get_bot_qrcode",
    QrStart,
    QrCode,
    ENVELOPE,
    LOGIN_SOURCE,
    also=("GET",),  # up to 2.1.x, and by many clients still
    role="login",
)
GET_QRCODE_STATUS: Endpoint[QrPoll, QrStatus] = Endpoint(
    "get_qrcode_status",
    "GET",
    "/ilink/bot/get_qrcode_status",
    QrPoll,
    QrStatus,
    ENVELOPE,
    LOGIN_SOURCE,
    role="login",
    timeout=40.0,
)


# --- messages ---------------------------------------------------------------------------------------------------------


class GetUpdates(Struct, omit_defaults=True):
    get_updates_buf: str | None = None
    """Cursor; an empty text at first. It holds the bot token in clear: a secret."""
    base_info: BaseInfo | None = None


class Updates(Struct, omit_defaults=True):
    msgs: list[Any] | None = None
    """`WeixinMessage` each; read one by one, so that one odd message does not keep the others away."""
    sync_buf: str | None = None
    get_updates_buf: str | None = None
    """The next cursor; takes the place of the stored one only when not empty."""
    longpolling_timeout_ms: int | None = None


class SendMessage(Struct, omit_defaults=True):
    msg: WeixinMessage | None = None
    base_info: BaseInfo | None = None


class Sent(Struct, omit_defaults=True):
    message_id: int | str | None = None
    """Missing where the message was taken in and not delivered (threads Tencent/openclaw-weixin#264, #268)."""


class GetConfig(Struct, omit_defaults=True):
    ilink_user_id: str | None = None
    context_token: str | None = None
    base_info: BaseInfo | None = None


class Config(Struct, omit_defaults=True):
    ret: int | None = None
    """Present and 0, unlike elsewhere: the official client wants it so."""
    typing_ticket: str | None = None


class SendTyping(Struct, omit_defaults=True):
    ilink_user_id: str | None = None
    typing_ticket: str | None = None
    status: int | None = None
    base_info: BaseInfo | None = None


class Notify(Struct, omit_defaults=True):
    base_info: BaseInfo | None = None


class Done(Struct, omit_defaults=True):
    ret: int | None = None


GET_UPDATES: Endpoint[GetUpdates, Updates] = Endpoint(
    "getupdates", "POST", "/ilink/bot/getupdates", GetUpdates, Updates, ENVELOPE, SOURCE, timeout=40.0
)
SEND_MESSAGE: Endpoint[SendMessage, Sent] = Endpoint(
    "sendmessage",
    "POST",
    "/ilink/bot/sendmessage",
    SendMessage,
    Sent,
    ENVELOPE,
    SOURCE,
    acts=True,
    repeatable=True,
    target="msg.to_user_id",
    timeout=15.0,
)
GET_CONFIG: Endpoint[GetConfig, Config] = Endpoint(
    "getconfig",
    "POST",
    "/ilink/bot/getconfig",
    GetConfig,
    Config,
    ENVELOPE,
    SOURCE,
    target="ilink_user_id",
    timeout=10.0,
)
SEND_TYPING: Endpoint[SendTyping, Done] = Endpoint(
    "sendtyping",
    "POST",
    "/ilink/bot/sendtyping",
    SendTyping,
    Done,
    ENVELOPE,
    SOURCE,
    target="ilink_user_id",
    timeout=10.0,
)
NOTIFY_START: Endpoint[Notify, Done] = Endpoint(
    "notifystart", "POST", "/ilink/bot/msg/notifystart", Notify, Done, ENVELOPE, SOURCE, timeout=10.0
)
NOTIFY_STOP: Endpoint[Notify, Done] = Endpoint(
    "notifystop", "POST", "/ilink/bot/msg/notifystop", Notify, Done, ENVELOPE, SOURCE, timeout=10.0
)


# --- media ------------------------------------------------------------------------------------------------------------


class GetUploadUrl(Struct, omit_defaults=True):
    """Asks for a place on the CDN. Sizes in bytes; `filesize` is that of the ciphertext, `rawsize // 16 * 16 + 16`."""

    filekey: str | None = None
    """32 hex digits, made by the client."""
    media_type: int | None = None
    """1 image, 2 video, 3 file, 4 voice: not the numbers of item types."""
    to_user_id: str | None = None
    rawsize: int | None = None
    rawfilemd5: str | None = None
    filesize: int | None = None
    thumb_rawsize: int | None = None
    thumb_rawfilemd5: str | None = None
    thumb_filesize: int | None = None
    no_need_thumb: bool | None = None
    aeskey: str | None = None
    """32 hex digits."""
    base_info: BaseInfo | None = None


class UploadUrl(Struct, omit_defaults=True):
    upload_full_url: str | None = None
    """Complete address; today the only field that the service returns."""
    upload_param: str | None = None
    thumb_upload_param: str | None = None
    thumb_upload_full_url: str | None = None


class CdnUpload(Struct, omit_defaults=True):
    """The ciphertext itself, to an address that getuploadurl gave (or that is built from its `upload_param`)."""

    encrypted_query_param: Annotated[str, Query()] = ""
    filekey: Annotated[str | None, Query()] = None
    body: Annotated[Any, Whole()] = b""


class CdnDownload(Struct, omit_defaults=True):
    encrypted_query_param: Annotated[str, Query()] = ""


GET_UPLOAD_URL: Endpoint[GetUploadUrl, UploadUrl] = Endpoint(
    "getuploadurl",
    "POST",
    "/ilink/bot/getuploadurl",
    GetUploadUrl,
    UploadUrl,
    ENVELOPE,
    SOURCE,
    target="to_user_id",
    timeout=15.0,
)
CDN_UPLOAD: Endpoint[CdnUpload, RawAnswer] = Endpoint(
    "cdn_upload",
    "POST",
    "/c2c/upload",
    CdnUpload,
    RawAnswer,
    CDN_ENVELOPE,
    CDN_SOURCE + "cdn-upload.ts",
    role="cdn",
    timeout=120.0,
)
CDN_DOWNLOAD: Endpoint[CdnDownload, RawAnswer] = Endpoint(
    "cdn_download",
    "GET",
    "/c2c/download",
    CdnDownload,
    RawAnswer,
    CDN_ENVELOPE,
    CDN_SOURCE + "pic-decrypt.ts",
    role="cdn",
    timeout=120.0,
)
