"""The envelope (`CgiBaseResponse`, `ResponseData`), the fault table, and what makes a command of a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import (
    ContentRefused,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    Rejected,
    TargetGone,
    Throttled,
)
from yizhan.wire import (
    JSON,
    BodyTooLarge,
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpRequest,
    HttpResponse,
    JsonCodec,
    MalformedRequest,
    Query,
    RawAnswer,
    WrongField,
    as_struct,
    declare_secrets,
    json_object,
    mismatch,
)

API = "/v2/api"
UPLOADS = 44 << 20
"""Bytes of a request that may carry 30 M in Base64."""
CONTENTS = "https://channg.gitbook.io/ohwxapi"
PAGE_222 = f"{CONTENTS}/fa-xiao-xi-jie-kou/fa-song-app-xiao-xi"
PAGE_CDN = f"{CONTENTS}/cdn/shang-chuan-cdn-wen-jian"
CLIENT_A = "AssistantX-Agent/AssistantX: common/wechat.py"
CLIENT_G = "yitiaoaishuijiaodexianyu/WeChatAgents_go: struct/assembleMessage.go"
CLIENT_T = "turbolisten/turbo-bot-service: WxBotApi.java"
NATIVE = "contents of the vendor's site; number of WeChat's own command; parameters proposed"

# Every failure but one is -2: a client waits for ever when it sees anything besides 0 and -2. Their text tells the
# cases apart. Source: WeChatAgents_go: wxRobot/controller.go; the texts are proposals.
FAILED = FaultCode(-2, "failed", means=Rejected)
TRANSPORT = FaultCode(-1, "transport error", means=OutcomeUnknown)
UNKNOWN_COMMAND = FaultCode(-2, "CgiCmd not support")
PARAMETER = FaultCode(-2, "param error")
NO_ACCOUNT = FaultCode(-2, "wxid not found", means=LoginNeeded)
OFFLINE = FaultCode(-2, "account offline", means=LoginNeeded)
NO_TARGET = FaultCode(-2, "to user not found", means=TargetGone)
BAD_XML = FaultCode(-2, "AppMsgXml invalid", means=ContentRefused)
TOO_LARGE = FaultCode(-2, "file too large, max 30M", means=ContentRefused)
UNREADABLE = FaultCode(-2, "source not readable", means=ContentRefused)
NO_FILE = FaultCode(-2, "fileid not found", means=HandleExpired)
TOO_OFTEN = FaultCode(-2, "operation too often", means=Throttled, retry_after=5)
TOO_LATE = FaultCode(-2, "revoke time out", means=NotAllowed)
NOT_ALLOWED = FaultCode(-2, "not allowed", means=NotAllowed)
NO_LOGIN = FaultCode(-2, "err", means=LoginNeeded)

FAULTS = FaultTable.of(globals())

declare_secrets("aeskey", "cdnthumbaeskey")  # attributes of the XML of media


class Nothing(Struct):
    """`{}`, the `ResponseData` of commands that only do something."""


class CgiEnvelope:
    """`{"CgiBaseResponse":{"ErrMsg":"","Ret":0},"ResponseData":…}`, compact, HTTP 200. Source: page "send APP message".

    `ResponseData` is an object, an array or a string, as the command wants.
    """

    faults = FAULTS

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return self._answer(0, "", answer)

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._answer(fault.row.code if endpoint else FAILED.code, fault.message, {}, fault.http)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        if endpoint.response is RawAnswer and http.content_type != "application/json":
            return as_struct(endpoint, http, None)
        body = json_object(endpoint, http)
        base = body.get("CgiBaseResponse", {})
        if not isinstance(base, dict):
            raise mismatch(endpoint, http, "CgiBaseResponse is not an object")
        words = str(base.get("ErrMsg") or body.get("ErrMsg") or "")
        ret = base.get("Ret", -2 if words else 0)
        if str(ret) != "0":
            raise Fault(FAULTS.worded(ret, words, http.status), words, http=http.status)
        if "CgiBaseResponse" not in body and "ResponseData" not in body:
            raise mismatch(endpoint, http, "neither CgiBaseResponse nor ResponseData")
        data = body.get("ResponseData")
        return as_struct(endpoint, http, {} if data is None else data)

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        text = str(error)
        if isinstance(error, BodyTooLarge):
            return Fault(TOO_LARGE)
        if isinstance(error, WrongField) and error.name:
            return Fault(PARAMETER, f"{PARAMETER.message}: {error.name}")
        return Fault(PARAMETER, f"{PARAMETER.message}: {text}", http=400 if text.startswith("the body") else 200)

    def _answer(self, ret: int | str, words: str, data: Any, status: int = 200) -> HttpResponse:
        body = {"CgiBaseResponse": {"ErrMsg": words, "Ret": ret}, **self._beside(ret), "ResponseData": data}
        return json_answer(body, status)

    def _beside(self, ret: int | str) -> Mapping[str, Any]:
        return {}


class PushEnvelope(CgiEnvelope):
    """The answer to a push login serves two generations: the older one reads `ErrMsg` at the top.

    Source: sineom-1/fast-api-template: app/platforms/wx/wx_chat.py.
    """

    def _beside(self, ret: int | str) -> Mapping[str, Any]:
        return {"ErrMsg": "" if ret == 0 else "err"}


class BareEnvelope(CgiEnvelope):
    """`{"ResponseData":…}` alone, as the list of online accounts answers. Source: AssistantX: common/wechat.py."""

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return json_answer({"ResponseData": answer})


def json_answer(body: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """Return an answer of compact JSON; clients look for `"ReqId":` without a blank."""
    pieces, content_type = JSON.encode(body)
    whole = pieces[0] if len(pieces) == 1 and isinstance(pieces[0], bytes) else pieces
    return HttpResponse(status, [("Content-Type", content_type)], whole)


class CgiCodec(JsonCodec):
    """JSON whose `CgiRequest` may leave things out as null, and may spell its keys in another case."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}

    def learn(self, parameters: type[Struct]) -> None:
        for name in parameters.__struct_fields__:
            self.names.setdefault(name.lower(), name)

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        fields = super().decode(http)
        given = fields.get("CgiRequest")
        if not isinstance(given, dict):
            return fields
        plain = {k: v for k, v in given.items() if v is not None}
        other_case = {self.names.get(k.lower(), k): v for k, v in plain.items()}
        return {**fields, "CgiRequest": {**other_case, **plain}}


CGI = CgiEnvelope()
PUSHED = PushEnvelope()
BARE = BareEnvelope()
CODEC = CgiCodec()

Parameters = TypeVar("Parameters", bound=Struct)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Command(Endpoint[Any, Result], Generic[Parameters, Result]):
    """An endpoint whose operation is a number in the body and whose parameters sit in `CgiRequest`."""

    number: int = 0
    parameters: type[Parameters] | None = None

    def asking(self, wxid: str, parameters: Parameters, timeout: int = 10) -> Any:
        """Return the request by which the account `wxid` gives this command."""
        fields = {"wxid": wxid, "CgiRequest": parameters}
        if self.path != "/v2/cdnupload":
            fields["timeout"] = str(timeout)
        return self.request(**fields)


def command(
    name: str,
    number: int,
    parameters: type[Parameters],
    response: type[Result],
    source: str,
    *,
    path: str = API,
    acts: bool = False,
    target: str = "CgiRequest.ToUserName",
    timeout: float = 30.0,
    max_bytes: int = 1 << 20,
) -> Command[Parameters, Result]:
    """Return the endpoint of one `CgiCmd`.

    `funcname` and `timeout` are in the query and are not read; the upload is called without them.
    """
    CODEC.learn(parameters)
    usual: list[Any] = [("timeout", Annotated[str, Query()], "10"), ("funcname", Annotated[str, Query()], "MagicCgi")]
    fields: list[Any] = [
        ("CgiRequest", parameters),
        ("wxid", Annotated[str, Query()], ""),
        *([] if path == "/v2/cdnupload" else usual),
    ]
    return Command(
        name,
        "POST",
        path,
        msgspec.defstruct(f"{name}Call", fields, module=__name__),
        response,
        CGI,
        source,
        codec=CODEC,
        constants={"CgiCmd": number},
        acts=acts,
        target=target,
        timeout=timeout,
        max_bytes=max_bytes,
        number=number,
        parameters=parameters,
    )
