"""The two scenes, users and groups: the same calls under two prefixes. Uploads of one are unknown in the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from yizhan.platforms.qqbot.wire.files import (
    FINISH_PART_FOR_GROUP,
    FINISH_PART_FOR_USER,
    PREPARE_FOR_GROUP,
    PREPARE_FOR_USER,
    UPLOAD_AND_SEND_TO_GROUP,
    UPLOAD_AND_SEND_TO_USER,
    UPLOAD_TO_GROUP,
    UPLOAD_TO_USER,
    Finished,
    FinishPart,
    Prepare,
    Prepared,
    Upload,
    Uploaded,
)
from yizhan.platforms.qqbot.wire.messages import (
    RECALL_FROM_GROUP,
    RECALL_FROM_USER,
    SEND_TO_GROUP,
    SEND_TO_USER,
    Recall,
    SendMessage,
    Sent,
)
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Endpoint

SceneName: TypeAlias = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Scene:
    """The calls of one scene."""

    name: SceneName
    upload: Endpoint[Upload, Uploaded]
    upload_and_send: Endpoint[Upload, Uploaded]
    prepare: Endpoint[Prepare, Prepared]
    finish_part: Endpoint[FinishPart, Finished]
    send: Endpoint[SendMessage, Sent]
    recall: Endpoint[Recall, Nothing]


USERS = Scene(
    "user",
    UPLOAD_TO_USER,
    UPLOAD_AND_SEND_TO_USER,
    PREPARE_FOR_USER,
    FINISH_PART_FOR_USER,
    SEND_TO_USER,
    RECALL_FROM_USER,
)
GROUPS = Scene(
    "group",
    UPLOAD_TO_GROUP,
    UPLOAD_AND_SEND_TO_GROUP,
    PREPARE_FOR_GROUP,
    FINISH_PART_FOR_GROUP,
    SEND_TO_GROUP,
    RECALL_FROM_GROUP,
)
SCENES: dict[str, Scene] = {"user": USERS, "group": GROUPS}
