"""The program itself never loads a decoder: whatever is converted, is converted in processes of their own."""

from __future__ import annotations

from tests.cli.test_light import loaded_by

DECODERS = {"PIL", "av", "pysilk", "pillow_heif"}
CODE = """
import asyncio, base64, tempfile
from yizhan import Engine, Image, Voice
WEBP = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")

async def main():
    with tempfile.TemporaryDirectory() as folder:
        engine = await Engine.open(folder)
        await engine.add_account("wechatsdk.main", base_url="http://127.0.0.1:9")
        if {convert}:
            (plan,) = await engine.plan("wechatsdk.main/user/wxid_bob", Image(WEBP, "a.webp"))
            assert "image" in plan.parts[0].summary, plan
        await engine.close()

asyncio.run(main())
"""


def test_opening_a_store_loads_no_decoder_and_no_workshop_process() -> None:
    loaded = loaded_by(CODE.replace("{convert}", "False"))

    assert set() == DECODERS & loaded
    assert "yizhan.media.convert.worker" not in loaded


def test_converting_a_picture_loads_no_decoder_here() -> None:
    loaded = loaded_by(CODE.replace("{convert}", "True"))

    assert set() == DECODERS & loaded
