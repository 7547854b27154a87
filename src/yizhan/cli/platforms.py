"""`yizhan platforms`: the platforms that are installed, and the settings of their accounts."""

from __future__ import annotations

from yizhan.cli.exits import SENT
from yizhan.cli.options import Json, Quiet
from yizhan.cli.output import Output


def platforms(as_json: Json = False, quiet: Quiet = False) -> int:
    """List the platforms, with the settings that an account needs and may have."""
    from msgspec.structs import fields

    from yizhan.platforms.spec import platforms as installed

    out, rows = Output(as_json, quiet), []
    for name, platform in sorted(installed().items()):
        needed = [one.encode_name for one in fields(platform.settings) if one.required]
        further = [one.encode_name for one in fields(platform.settings) if not one.required]
        rows.append((name, platform.title, ", ".join(needed), "by phone" if platform.needs_login else ""))
        out.value({"platform": name, "title": platform.title, "needed": needed, "further": further})
    out.table(("platform", "title", "needs", "login"), rows)
    return SENT
