"""What each chapter of the server hands over: interfaces and who answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from yizhan.net.router import Call
from yizhan.wire import Endpoint

Answerer: TypeAlias = Callable[[Call[Any]], Awaitable[Any]]
Calls: TypeAlias = list[tuple[Endpoint[Any, Any], Answerer]]
