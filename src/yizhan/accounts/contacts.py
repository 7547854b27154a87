"""Names that an operator gives to targets: `@alice` for one, `#staff` for many."""

from __future__ import annotations

from collections.abc import Iterable

from yizhan.accounts.tables import ContactTable
from yizhan.errors import Refused, UnknownTarget, did_you_mean
from yizhan.model import Target
from yizhan.model.checks import check_text


class Contacts:
    """The names of one store. Every call takes a name with its sign, as in a list of targets."""

    def __init__(self, table: ContactTable) -> None:
        self._table = table

    async def put(self, name: str, targets: str | Target | Iterable[str | Target]) -> None:
        """Give `name` to `targets`, replacing its earlier ones: one target for `@alice`, any number for `#staff`.

        Raises:
            UnknownTarget: the name or a target is malformed.
            Refused: there is no target, or several for the name of one.
        """
        bare, is_tag = _parsed(name)
        given = [targets] if isinstance(targets, (str, Target)) else list(targets)
        found = list(dict.fromkeys(str(Target.parse(one)) for one in given))
        if not found:
            raise Refused(f"There is no target for {name}. Name at least one, or remove the name.")
        if not is_tag and len(found) != 1:
            raise Refused(f"{name} is the name of one target, and these are {len(found)}. Use #{bare} for many.")
        await self._table.put(bare, found, is_tag=is_tag)

    async def get(self, name: str) -> list[str]:
        """Return the targets of a name, in order.

        Raises:
            UnknownTarget: there is none of that name; the text names close ones.
        """
        bare, is_tag = _parsed(name)
        found = await self._table.find(bare, is_tag=is_tag)
        if not found:
            known = [f"{name[0]}{one}" for one in await self._table.names(is_tag=is_tag)]
            raise UnknownTarget(f"There is no {'tag' if is_tag else 'alias'} '{name}'.{did_you_mean(name, known)}")
        return found

    async def remove(self, name: str) -> None:
        """Remove a name; no person or group is removed.

        Raises:
            UnknownTarget: there is none of that name; the text names close ones.
        """
        await self.get(name)
        bare, is_tag = _parsed(name)
        await self._table.put(bare, [], is_tag=is_tag)

    async def all(self) -> dict[str, list[str]]:
        """Return the targets of every name, aliases first."""
        return {
            f"{sign}{name}": await self._table.find(name, is_tag=is_tag)
            for sign, is_tag in (("@", False), ("#", True))
            for name in await self._table.names(is_tag=is_tag)
        }


def _parsed(name: str) -> tuple[str, bool]:
    """Return a name without its sign, and whether it is a tag's."""
    check_text(name, "A name of targets")
    bare = name[1:]
    if name[:1] not in ("@", "#") or not bare or any(c.isspace() or c in "/@#" for c in bare):
        raise UnknownTarget(
            f"'{name}' is not a name. Expected @name for one target or #name for many, without spaces or slashes."
        )
    return bare, name[0] == "#"
