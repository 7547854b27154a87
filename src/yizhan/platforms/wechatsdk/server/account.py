"""The logged-in account: who it is, its key, its logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from yizhan.net.router import Call
from yizhan.platforms.wechatsdk.server.calls import Calls
from yizhan.platforms.wechatsdk.server.paths import Folders
from yizhan.platforms.wechatsdk.wire import (
    ALREADY_LOGGED_IN,
    ANTI_REVOKE,
    CHECK_URL,
    EAGER_DOWNLOADS,
    FAKE_VERSION,
    LOCK,
    LOGIN_QRCODE,
    LOGOUT,
    LONG_PAYMENT_CODE,
    OWN_CHANNELS,
    PAYMENT_CODE,
    PUSH_LOGIN,
    PUSH_LOGOUT,
    SELF_PROFILE,
    SELF_QRCODE,
    SET_AVATAR,
    SET_NICKNAME,
    SET_PAT,
    SET_REGION,
    SET_SECRET_KEY,
    SET_SEX,
    SET_SIGNATURE,
    AnyAnswer,
    CheckUrl,
    Done,
    FakeVersion,
    PaymentCode,
    QrCode,
    Request,
    Robot,
    SelfProfile,
    SelfProfileAnswer,
    SetAvatar,
    SetNickname,
    SetPat,
    SetRegion,
    SetSecretKey,
    SetSex,
    SetSignature,
    Switch,
)
from yizhan.wire import Fault
from yizhan.world import World

Step = Literal["scan", "confirm", "expire", "cancel"]
WXID = "wxid_sandbox"
QR_SECONDS = 240


class Account:
    """One WeChat client of the simulated machine."""

    def __init__(self, world: World, folders: Folders, *, manual_logins: bool = False) -> None:
        self._world = world
        self._folders = folders
        self._manual = manual_logins
        self.push: Callable[[int, dict[str, Any]], None] = lambda _kind, _data: None
        self.reset()

    def reset(self) -> None:
        self.secret = ""
        self.logged_in = not self._manual
        self.pid = 4242
        self._logins: dict[str, float] = {}
        self.profile = SelfProfile(
            userName=WXID,
            nickName="Sandbox",
            alias="yizhan_sandbox",
            smallHeadImgUrl="https://wx.example.org/self/132",
            bigHeadImgUrl="https://wx.example.org/self/0",
            signature="upload once, send to many",
            nation="CN",
            uin=310000001,
            cachePath="C:\\yizhan\\cache\\",
            exePath="C:\\yizhan\\WeChat.exe",
        )

    @property
    def wxid(self) -> str:
        return self.profile.userName

    def robot(self) -> Robot:
        me = self.profile
        return Robot(me.userName, me.nickName, me.alias, me.smallHeadImgUrl, self.logged_in, self.pid)

    @property
    def calls(self) -> Calls:
        return [
            (SET_NICKNAME, self.set_nickname),
            (SET_SIGNATURE, self.set_signature),
            (SET_SEX, self.set_sex),
            (SET_REGION, self.set_region),
            (SET_AVATAR, self.set_avatar),
            (SET_PAT, self.nothing),
            (LOCK, self.nothing),
            (EAGER_DOWNLOADS, self.nothing),
            (ANTI_REVOKE, self.nothing),
            (SELF_QRCODE, self.own_qrcode),
            (OWN_CHANNELS, self.own_channels),
            (PAYMENT_CODE, self.payment_code),
            (LONG_PAYMENT_CODE, self.long_payment_code),
            (CHECK_URL, self.check_url),
        ]

    @property
    def calls_before_login(self) -> Calls:
        return [
            (LOGIN_QRCODE, self.qrcode),
            (SELF_PROFILE, self.self_profile),
            (LOGOUT, self.logout),
            (SET_SECRET_KEY, self.set_secret),
            (FAKE_VERSION, self.nothing),
        ]

    # --- logging in and out

    async def qrcode(self, call: Call[Request]) -> QrCode:
        if self.logged_in:
            raise Fault(ALREADY_LOGGED_IN)
        uuid = f"{self._world.hex(16)}=="
        self._logins[uuid] = self._world.now() + QR_SECONDS
        picture = list(_picture(f"http://weixin.qq.com/x/{uuid}"))
        self._scan_event(uuid, 0, "waiting for scan")
        if not self._manual:
            self.step(uuid, "scan")
            self.step(uuid, "confirm")
        return QrCode(uuid, picture, picture)

    def step(self, uuid: str, step: Step) -> None:
        """Play the phone at a QR login.

        Raises:
            LookupError: there is no such login, or its time is over.
        """
        if uuid not in self._logins:
            raise LookupError(f"no login '{uuid}' is waiting")
        if self._world.now() > self._logins[uuid] and step != "expire":
            del self._logins[uuid]
            raise LookupError(f"the login '{uuid}' is over: a code is good for {QR_SECONDS} seconds")
        match step:
            case "scan":
                self._scan_event(uuid, 1, "qrcode scanned", self._phone())
            case "confirm":
                del self._logins[uuid]
                self.logged_in = True
                self._scan_event(uuid, 2, "qrcode scan confirmed", self._phone())
                self.push(PUSH_LOGIN, {"step": 1, **_plain(self.profile), "isLogin": True})
            case "cancel":
                del self._logins[uuid]
                self._scan_event(uuid, 3, "qrcode scan cancelled")
            case "expire":
                del self._logins[uuid]
                self._scan_event(uuid, 4, "qrcode scan expired")

    async def logout(self, call: Call[Request]) -> Done:
        self.logged_in = False
        # The process ends and a new one starts.
        self.pid += 1
        self.push(PUSH_LOGOUT, {"time": int(self._world.now()), "userName": self.wxid})
        return Done()

    # --- the profile

    async def self_profile(self, call: Call[Request]) -> SelfProfileAnswer:
        if not self.logged_in:
            return SelfProfileAnswer(SelfProfile(isLogin=False))
        return SelfProfileAnswer(self.profile)

    async def set_secret(self, call: Call[SetSecretKey]) -> Done:
        self.secret = call.request.newSecretKey
        return Done()

    async def nothing(self, call: Call[Request | FakeVersion | SetPat | Switch]) -> Done:
        """Calls that change nothing anybody could see here."""
        return Done()

    async def set_nickname(self, call: Call[SetNickname]) -> Done:
        self.profile.nickName = call.request.nickName
        return Done()

    async def set_signature(self, call: Call[SetSignature]) -> Done:
        self.profile.signature = call.request.signature
        return Done()

    async def set_sex(self, call: Call[SetSex]) -> Done:
        self.profile.sex = call.request.sex
        return Done()

    async def set_region(self, call: Call[SetRegion]) -> Done:
        request = call.request
        self.profile.nation, self.profile.province, self.profile.city = request.nation, request.province, request.city
        return Done()

    async def set_avatar(self, call: Call[SetAvatar]) -> Done:
        self._folders.source(call.request.filePath)
        return Done()

    async def own_qrcode(self, call: Call[Request]) -> AnyAnswer:
        return AnyAnswer({"qrcodeUrl": f"https://u.wechat.com/{self._world.hex(22)}"})

    async def own_channels(self, call: Call[Request]) -> AnyAnswer:
        return AnyAnswer([])

    async def payment_code(self, call: Call[PaymentCode]) -> AnyAnswer:
        return AnyAnswer({"amount": call.request.amount, "qrcodeUrl": f"wxp://f2f0{self._world.hex(40)}"})

    async def long_payment_code(self, call: Call[PaymentCode]) -> AnyAnswer:
        return AnyAnswer({"partialName": "*box", "qrcodeUrl": f"wxp://f2f1{self._world.hex(40)}"})

    async def check_url(self, call: Call[CheckUrl]) -> AnyAnswer:
        return AnyAnswer({"isBlocked": False, "url": call.request.url})

    def _phone(self) -> dict[str, Any]:
        return {
            "nickName": self.profile.nickName,
            "headImgUrl": self.profile.smallHeadImgUrl,
            "effectiveTime": QR_SECONDS,
            "needExtDevCaptcha": False,
            "extDevNewPwd": "",
            "mobileClientVer": 0,
            "mobileDeviceType": "iPhone",
        }

    def _scan_event(self, uuid: str, state: int, words: str, more: dict[str, Any] | None = None) -> None:
        # A client recognises the event by the word "scan" in the text.
        self.push(PUSH_LOGIN, {"step": 0, "state": state, "uuid": uuid, "desc": words, **(more or {})})


def _plain(profile: SelfProfile) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.structs.asdict(profile))


def _picture(text: str) -> bytes:
    import io

    import segno

    out = io.BytesIO()
    segno.make(text, micro=False).save(out, kind="png", scale=3)
    return out.getvalue()
