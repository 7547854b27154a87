"""The control calls of a sandbox, below `/_sandbox/`, declared like a platform's calls.

It is long because all calls and their structs are read together, as a page of documentation is.
Every failure has one shape: `{"error", "detail", "expected"}` with status 400, 403 or 404; `expected` says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from yizhan.errors import NotAllowed, Rejected
from yizhan.model import Kind
from yizhan.wire import (
    JSON,
    NO_BODY,
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpRequest,
    HttpResponse,
    MalformedRequest,
    Path,
    Piece,
    Query,
    RawAnswer,
    Whole,
    as_struct,
)

PREFIX = "/_sandbox"
MAX_DELAY = 30.0
"""Seconds; the longest delay of a chaos rule."""
MAX_PEOPLE = 100_000
"""People or groups that one call makes at most."""
MAX_TIME = 3_155_760_000.0
"""Seconds since the epoch; the end of 2069."""
_PAGE = "docs/sandbox.md"

BAD_REQUEST = FaultCode("bad_request", "the request cannot be carried out", http=400, means=Rejected)
NOT_FOUND = FaultCode("not_found", "not found", http=404, means=Rejected)
FORBIDDEN = FaultCode("forbidden", "this caller may not control the sandbox", http=403, means=NotAllowed)
FAULTS = FaultTable([BAD_REQUEST, NOT_FOUND, FORBIDDEN])


class ControlEnvelope:
    faults = FAULTS

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return _json(200, answer)

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        row = FAULTS.find(fault.row.code) or (NOT_FOUND if fault.http == 404 else BAD_REQUEST)
        expected = fault.data or expected_of(endpoint)
        return _json(fault.http, {"error": row.code, "detail": fault.message, "expected": expected})

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        try:
            body = msgspec.json.decode(http.data)
        except ValueError:
            body = {"error": "bad_request", "detail": http.data[:200].decode("utf-8", "replace")}
        if http.status != 200:
            detail = ". ".join(str(body[k]) for k in ("detail", "expected") if body.get(k))
            raise Fault(FAULTS.row(body.get("error"), http=http.status), detail, http=http.status)
        return as_struct(endpoint, http, body)

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(BAD_REQUEST, str(error))


def _json(status: int, value: Any) -> HttpResponse:
    # Extra data that a platform keeps with a post must not break the listing of posts.
    data = msgspec.json.encode(value, enc_hook=str)
    return HttpResponse(status, [("Content-Type", "application/json")], data)


def expected_of(endpoint: Endpoint[Any, Any] | None) -> str:
    """Return the fields of a call in words, for the `expected` of a refusal."""
    if endpoint is None:
        return "one of: " + ", ".join(f"{e.method} {e.path}" for e in CALLS)
    fields = {f.encode_name: f.required for f in msgspec.structs.fields(endpoint.request)}
    if endpoint is SET_CHAOS:
        fields = {f.encode_name: f.required for f in msgspec.structs.fields(ChaosRule)}
    names = ", ".join(name if required else f"{name} (optional)" for name, required in fields.items())
    return f"{endpoint.method} {endpoint.path} takes {names or 'nothing'}; see {endpoint.source}"


CONTROL = ControlEnvelope()


class Nothing(Struct):
    pass


class Done(Struct):
    ok: bool = True


# --- status, reset ----------------------------------------------------------------------------------------------------


class ClockView(Struct):
    now: float
    """Seconds since the epoch, on the world's clock."""
    text: str
    """The same in ISO 8601, UTC."""
    turned: float
    """Seconds ahead of the machine's clock."""


class PlatformView(Struct):
    title: str
    network: str
    profile: str
    profiles: list[str]
    limits: bool
    """Whether quotas and windows apply."""
    endpoints: int


class Status(Struct):
    version: str
    url: str
    platforms: dict[str, PlatformView]
    counts: dict[str, int]
    clock: ClockView
    manual_logins: bool
    type_api: str = ""
    """Address of the second listener; empty without one."""


# --- people -----------------------------------------------------------------------------------------------------------


class People(Struct):
    platform: str
    kind: Literal["user", "group"] = "user"
    count: Annotated[int, Meta(ge=1, le=MAX_PEOPLE)] = 1


class Ids(Struct):
    ids: list[str]


class SaidMedia(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Media that a person sends: bytes as base64 or a data URI, or the SHA-256 of bytes in the world."""

    data: str = ""
    sha256: str = ""
    kind: Kind | None = None
    name: str = ""


class Say(Struct, omit_defaults=True):
    platform: str
    sender: str = field(name="from")
    to: str = "bot"
    text: str = ""
    media: SaidMedia | str | None = None
    """A text means `{"data": text}`, or `{"sha256": text}` if it is a digest."""
    kind: Kind | None = None
    name: str = ""


class Said(Struct):
    message_id: str


class EventMedia(SaidMedia, forbid_unknown_fields=True, omit_defaults=True):
    transcript: str = ""
    """The words of a voice, where the platform recognizes them."""


class EventCard(Struct, forbid_unknown_fields=True, omit_defaults=True):
    title: str
    description: str = ""
    url: str = ""
    kind: str = ""


class EventLine(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a chat record."""

    sender: str = field(name="from")
    text: str = ""
    media: list[EventMedia] = []


class PlayEvent(Struct, omit_defaults=True):
    platform: str
    event: str
    """`message`, `button_pressed`, `member_joined`, `reaction` and so on, as `Event.kind` has them; or `raw`."""
    sender: str = field(name="from")
    to: str = "bot"
    text: str = ""
    message_id: str = ""
    """The message that it is about."""
    data: str = ""
    """The reaction, or the button: its id in the message `message_id`, else its data."""
    mentions: list[str] = []
    """Ids of people, `bot`, or `all`."""
    addressed: bool = True
    """Whether a message in a group mentions the bot, in the platform's own way."""
    quote: str = ""
    """Id of the quoted message."""
    media: list[EventMedia] = []
    card: EventCard | None = None
    lines: list[EventLine] = []
    """The lines of a chat record."""
    forward: str = ""
    """Id of a message that the person sends on."""
    body: dict[str, Any] = {}
    """For `raw`: the platform's own payload."""


class Played(Struct):
    id: str
    """The platform's own id of the message, the press or the event."""


class Login(Struct):
    uuid: Annotated[str, Path()]
    step: Annotated[Literal["scan", "confirm", "expire", "cancel"], Path()]
    platform: Annotated[str, Query()] = ""


# --- posts and bytes --------------------------------------------------------------------------------------------------


class PostQuery(Struct):
    platform: Annotated[str, Query()] = ""
    target: Annotated[str, Query()] = ""
    kind: Annotated[str, Query()] = ""
    call: Annotated[str, Query()] = ""
    account: Annotated[str, Query()] = ""
    message_id: Annotated[str, Query()] = ""
    recalled: Annotated[bool | None, Query()] = None
    said: Annotated[bool, Query()] = False
    """Whether to include the posts of simulated people."""
    since: Annotated[int, Query(), Meta(ge=0)] = 0
    limit: Annotated[int, Query(), Meta(ge=0)] = 0
    """The number of newest posts to return; 0 for all."""


class PostView(Struct):
    number: int
    at: float
    platform: str
    account: str
    sender: str
    target: str
    target_kind: str
    kind: str
    text: str
    name: str
    size: int
    """Bytes of the media; 0 when there are none."""
    sha256: str
    call: str
    message_id: str
    recalled: bool
    extra: dict[str, Any]


class Count(Struct):
    count: int


class BlobQuery(Struct):
    sha256: Annotated[str, Path()]


class NewBlob(Struct):
    body: Annotated[Any, Whole()]


class BlobView(Struct):
    sha256: str
    size: int


# --- the request log --------------------------------------------------------------------------------------------------


class RequestQuery(Struct):
    platform: Annotated[str, Query()] = ""
    endpoint: Annotated[str, Query()] = ""
    """May hold `*` and `?`."""
    target: Annotated[str, Query()] = ""
    status: Annotated[int | None, Query()] = None
    since: Annotated[int, Query(), Meta(ge=0)] = 0
    limit: Annotated[int, Query(), Meta(ge=0)] = 0


class Answered(Struct):
    status: int
    """0 if the connection was cut."""
    headers: list[tuple[str, str]]
    body: Any
    size: int


class RequestView(Struct):
    """One exchange, secrets masked. A body over 16 KiB is omitted; `size` still tells its length."""

    number: int
    at: float
    ms: float
    platform: str
    endpoint: str
    target: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any
    parts: list[dict[str, Any]]
    size: int
    status: int
    answer: Answered
    note: str


# --- rules, clock, chaos, webhooks ------------------------------------------------------------------------------------


class SetRules(Struct, omit_defaults=True):
    platform: str
    profile: str | None = None
    changes: dict[str, Any] = field(name="set", default_factory=dict)
    limits: bool | None = None


class RulesQuery(Struct):
    platform: Annotated[str, Query()]


class RulesView(Struct):
    platform: str
    profile: str
    profiles: list[str]
    limits: bool
    rules: dict[str, Any]


class TurnClock(Struct, omit_defaults=True):
    advance: Annotated[float, Meta(ge=-MAX_TIME, le=MAX_TIME)] | None = None
    at: float | str | None = None
    """Seconds since the epoch, or a time in ISO 8601."""


class ChaosRule(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A fault for exchanges that match `platform`, `endpoint` and `target` (globs), at the given `rate`."""

    endpoint: str = "*"
    target: str = "*"
    platform: str = "*"
    rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    fault: int | str | None = None
    """Code or name of a row in the fault table of the platform."""
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    """A bare HTTP status, as from a gateway in front of the platform."""
    delay: Annotated[float, Meta(ge=0, le=MAX_DELAY)] = 0.0
    """Seconds of real time."""
    cut: Literal["before", "after"] | None = None
    """Close the connection before, or after, the platform acts."""
    times: Annotated[int, Meta(ge=1)] | None = None
    """How often it fires before it is exhausted; None for no limit."""


class SetChaos(Struct):
    rules: list[ChaosRule]
    replace: bool | UnsetType = UNSET
    """Whether these replace the rules in force: a list does, a single object is added."""


class ClearChaos(Struct):
    number: Annotated[int | None, Query()] = None


class ChaosView(ChaosRule, kw_only=True, omit_defaults=False):
    number: int
    fired: int


class SetWebhook(Struct):
    platform: str
    url: Annotated[str, Meta(pattern=r"^https?://[^\s/]")]


class _ListOrObject:
    """A JSON list of rules, or one rule."""

    def encode(self, fields: Any) -> tuple[Sequence[Piece], str]:
        rules = msgspec.to_builtins(fields)["rules"]
        return JSON.encode(rules if len(rules) != 1 else rules[0])

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        try:
            value = msgspec.json.decode(b"".join(piece for piece in http.body if isinstance(piece, bytes)))
        except (ValueError, RecursionError) as error:
            raise MalformedRequest(f"the body is not JSON: {error}") from error
        if isinstance(value, list):
            return {"rules": value, "replace": True}
        return {"rules": [value], "replace": False}


def _call(name: str, method: str, path: str, request: Any, response: Any, **more: Any) -> Endpoint[Any, Any]:
    page = f"{_PAGE}, '{method} {PREFIX}{path}'"
    if method in ("GET", "DELETE") or request in (Nothing, Login):
        more.setdefault("codec", NO_BODY)
    return Endpoint(name, method, PREFIX + path, request, response, CONTROL, page, strict=True, **more)


STATUS = _call("status", "GET", "/", Nothing, Status)
RESET = _call("reset", "POST", "/reset", Nothing, Done)
ADD_PEOPLE = _call("addPeople", "POST", "/people", People, Ids)
SAY = _call("say", "POST", "/say", Say, Said, max_bytes=64 << 20)
EVENT = _call("event", "POST", "/event", PlayEvent, Played, max_bytes=64 << 20)
LOGIN = _call("login", "POST", "/logins/{uuid}/{step}", Login, Done)
POSTS = _call("posts", "GET", "/posts", PostQuery, list[PostView])
COUNT_POSTS = _call("countPosts", "GET", "/posts/count", PostQuery, Count)
BLOB = _call("blob", "GET", "/blobs/{sha256}", BlobQuery, RawAnswer)
ADD_BLOB = _call("addBlob", "POST", "/blobs", NewBlob, BlobView)
REQUESTS = _call("requests", "GET", "/requests", RequestQuery, list[RequestView])
COUNT_REQUESTS = _call("countRequests", "GET", "/requests/count", RequestQuery, Count)
CLEAR_REQUESTS = _call("clearRequests", "DELETE", "/requests", Nothing, Done)
RULES = _call("rules", "GET", "/rules", RulesQuery, RulesView)
SET_RULES = _call("setRules", "POST", "/rules", SetRules, RulesView)
CLOCK = _call("clock", "GET", "/clock", Nothing, ClockView)
TURN_CLOCK = _call("turnClock", "POST", "/clock", TurnClock, ClockView)
CHAOS = _call("chaos", "GET", "/chaos", Nothing, list[ChaosView])
SET_CHAOS = _call("setChaos", "POST", "/chaos", SetChaos, list[ChaosView], codec=_ListOrObject())
CLEAR_CHAOS = _call("clearChaos", "DELETE", "/chaos", ClearChaos, list[ChaosView])
SET_WEBHOOK = _call("setWebhook", "POST", "/webhooks", SetWebhook, Done)

CALLS = tuple(value for value in list(globals().values()) if isinstance(value, Endpoint))
