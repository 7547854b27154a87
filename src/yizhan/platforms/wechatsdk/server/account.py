"""The logged-in account: who it is, its key, its logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from yizhan.http.router import Call
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.calls import Calls
from yizhan.platforms.wechatsdk.server.paths import Folders
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
        self.profile = wire.SelfProfile(
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

    def robot(self) -> wire.Robot:
        me = self.profile
        return wire.Robot(me.userName, me.nickName, me.alias, me.smallHeadImgUrl, self.logged_in, self.pid)

    @property
    def calls(self) -> Calls:
        return [
            (wire.SET_NICKNAME, self.set_nickname),
            (wire.SET_SIGNATURE, self.set_signature),
            (wire.SET_SEX, self.set_sex),
            (wire.SET_REGION, self.set_region),
            (wire.SET_AVATAR, self.set_avatar),
            (wire.SET_PAT, self.nothing),
            (wire.LOCK, self.nothing),
            (wire.EAGER_DOWNLOADS, self.nothing),
            (wire.ANTI_REVOKE, self.nothing),
            (wire.SELF_QRCODE, self.own_qrcode),
            (wire.OWN_CHANNELS, self.own_channels),
            (wire.PAYMENT_CODE, self.payment_code),
            (wire.LONG_PAYMENT_CODE, self.long_payment_code),
            (wire.CHECK_URL, self.check_url),
        ]

    @property
    def calls_before_login(self) -> Calls:
        return [
            (wire.LOGIN_QRCODE, self.qrcode),
            (wire.SELF_PROFILE, self.self_profile),
            (wire.LOGOUT, self.logout),
            (wire.SET_SECRET_KEY, self.set_secret),
            (wire.FAKE_VERSION, self.nothing),
        ]

    # --- logging in and out ---

    async def qrcode(self, call: Call[wire.Request]) -> wire.QrCode:
        if self.logged_in:
            raise Fault(wire.ALREADY_LOGGED_IN)
        uuid = f"{self._world.hex(16)}=="
        self._logins[uuid] = self._world.now() + QR_SECONDS
        picture = list(_picture(f"http://weixin.qq.com/x/{uuid}"))
        self._scan_event(uuid, 0, "waiting for scan")
        if not self._manual:
            self.step(uuid, "scan")
            self.step(uuid, "confirm")
        return wire.QrCode(uuid, picture, picture)

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
                self.push(wire.PUSH_LOGIN, {"step": 1, **_plain(self.profile), "isLogin": True})
            case "cancel":
                del self._logins[uuid]
                self._scan_event(uuid, 3, "qrcode scan cancelled")
            case "expire":
                del self._logins[uuid]
                self._scan_event(uuid, 4, "qrcode scan expired")

    async def logout(self, call: Call[wire.Request]) -> wire.Done:
        self.log_out()
        return wire.Done()

    def log_out(self) -> None:
        self.logged_in = False
        # The process ends and a new one starts.
        self.pid += 1
        self.push(wire.PUSH_LOGOUT, {"time": int(self._world.now()), "userName": self.wxid})

    # --- the profile ---

    async def self_profile(self, call: Call[wire.Request]) -> wire.SelfProfileAnswer:
        if not self.logged_in:
            return wire.SelfProfileAnswer(wire.SelfProfile(isLogin=False))
        return wire.SelfProfileAnswer(self.profile)

    async def set_secret(self, call: Call[wire.SetSecretKey]) -> wire.Done:
        self.secret = call.request.newSecretKey
        return wire.Done()

    async def nothing(self, call: Call[wire.Request | wire.FakeVersion | wire.SetPat | wire.Switch]) -> wire.Done:
        """Calls that change nothing anybody could see here."""
        return wire.Done()

    async def set_nickname(self, call: Call[wire.SetNickname]) -> wire.Done:
        self.profile.nickName = call.request.nickName
        return wire.Done()

    async def set_signature(self, call: Call[wire.SetSignature]) -> wire.Done:
        self.profile.signature = call.request.signature
        return wire.Done()

    async def set_sex(self, call: Call[wire.SetSex]) -> wire.Done:
        self.profile.sex = call.request.sex
        return wire.Done()

    async def set_region(self, call: Call[wire.SetRegion]) -> wire.Done:
        request = call.request
        self.profile.nation, self.profile.province, self.profile.city = request.nation, request.province, request.city
        return wire.Done()

    async def set_avatar(self, call: Call[wire.SetAvatar]) -> wire.Done:
        self._folders.source(call.request.filePath)
        return wire.Done()

    async def own_qrcode(self, call: Call[wire.Request]) -> wire.AnyAnswer:
        return wire.AnyAnswer({"qrcodeUrl": f"https://u.wechat.com/{self._world.hex(22)}"})

    async def own_channels(self, call: Call[wire.Request]) -> wire.AnyAnswer:
        return wire.AnyAnswer([])

    async def payment_code(self, call: Call[wire.PaymentCode]) -> wire.AnyAnswer:
        return wire.AnyAnswer({"amount": call.request.amount, "qrcodeUrl": f"wxp://f2f0{self._world.hex(40)}"})

    async def long_payment_code(self, call: Call[wire.PaymentCode]) -> wire.AnyAnswer:
        return wire.AnyAnswer({"partialName": "*box", "qrcodeUrl": f"wxp://f2f1{self._world.hex(40)}"})

    async def check_url(self, call: Call[wire.CheckUrl]) -> wire.AnyAnswer:
        return wire.AnyAnswer({"isBlocked": False, "url": call.request.url})

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
        # A client recognizes the event by the word "scan" in the text.
        self.push(wire.PUSH_LOGIN, {"step": 0, "state": state, "uuid": uuid, "desc": words, **(more or {})})


def _plain(profile: wire.SelfProfile) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.structs.asdict(profile))


def _picture(text: str) -> bytes:
    import io

    import segno

    out = io.BytesIO()
    segno.make(text, micro=False).save(out, kind="png", scale=3)
    return out.getvalue()
