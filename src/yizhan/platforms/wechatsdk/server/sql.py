"""The client's local database: clients send SQL, since there is no list of friends. Read only, on a copy in memory."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.book import FILE_HELPER, AddressBook, initials
from yizhan.platforms.wechatsdk.server.calls import refused

MAX_STEPS = 5_000_000
"""Instructions of SQLite's machine for one statement."""
MAX_ROWS = 20_000
MAX_VALUE = 1 << 20
"""Bytes of one value, and of the statement."""

_SCHEMA = """
CREATE TABLE Contact (UserName TEXT PRIMARY KEY, Alias TEXT, Remark TEXT, NickName TEXT, PYInitial TEXT,
    QuanPin TEXT, RemarkPYInitial TEXT, Type INTEGER, VerifyFlag INTEGER, DelFlag INTEGER);
CREATE TABLE ContactHeadImgUrl (usrName TEXT PRIMARY KEY, smallHeadImgUrl TEXT, bigHeadImgUrl TEXT);
CREATE TABLE ChatRoom (ChatRoomName TEXT PRIMARY KEY, UserNameList TEXT, RoomData TEXT, Reserved2 TEXT);
CREATE TABLE OpenIMContact (UserName TEXT PRIMARY KEY, Remark TEXT, NickName TEXT);
"""
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


class Database:
    def __init__(self, book: AddressBook) -> None:
        self._book = book

    async def run(self, statement: str) -> list[dict[str, str]]:
        """Return the rows of a SELECT, every value as text.

        Raises:
            Fault: it is something other than a SELECT, is wrong, or is too much.
        """
        return await asyncio.to_thread(_run, statement, *self._tables())

    def _tables(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        contacts: list[tuple[Any, ...]] = [(FILE_HELPER, "", "", "文件传输助手", "", "", "", 1, 0, 0)]
        for id, person in self._book.people.items():
            kind = 3 if person.friends else 4
            letters = initials(person.name)
            contacts.append((id, "", person.remark, person.name, letters, "", initials(person.remark), kind, 0, 0))
        groups = self._book.groups
        contacts += [(id, "", "", group.name, initials(group.name), "", "", 2, 0, 0) for id, group in groups.items()]
        contacts += [(id, "", "", name, "", "", "", 3, 8, 0) for id, name in self._book.followed.items()]
        pictures: list[tuple[Any, ...]] = []
        for row in contacts:
            profile = self._book.full_profile(row[0])
            pictures.append((row[0], profile.smallHeadImgUrl, profile.bigHeadImgUrl))
        rooms = [(id, "^G".join(self._book.member_ids(group)), "", group.owner) for id, group in groups.items()]
        return contacts, pictures, rooms


def _run(
    statement: str, contacts: list[tuple[Any, ...]], pictures: list[tuple[Any, ...]], rooms: list[tuple[Any, ...]]
) -> list[dict[str, str]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(_SCHEMA)
        connection.executemany("INSERT INTO Contact VALUES (?,?,?,?,?,?,?,?,?,?)", contacts)
        connection.executemany("INSERT INTO ContactHeadImgUrl VALUES (?,?,?)", pictures)
        connection.executemany("INSERT INTO ChatRoom VALUES (?,?,?,?)", rooms)
        connection.commit()
        _fence(connection)
        cursor = connection.execute(statement)
        if cursor.description is None:
            raise ValueError("not a SELECT")
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchmany(MAX_ROWS)
        return [{name: _text(value) for name, value in zip(names, row, strict=True)} for row in rows]
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        raise refused(wire.BAD_SQL, str(error)) from error
    finally:
        connection.close()


def _fence(connection: sqlite3.Connection) -> None:
    for limit in (sqlite3.SQLITE_LIMIT_LENGTH, sqlite3.SQLITE_LIMIT_SQL_LENGTH):
        connection.setlimit(limit, MAX_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(lambda action, *_names: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
    steps = iter(range(MAX_STEPS // 10_000))
    connection.set_progress_handler(lambda: int(next(steps, None) is None), 10_000)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)
