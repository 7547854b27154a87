"""The QQ bot open platform, API v2, as it is on the wire: one module per chapter of the vendor's pages.

token (access token, the bot, the gateway's address) · files (uploads) · messages (users and groups) ·
guild (channels) · interactions (pressed buttons) · gateway (socket frames) · events (pushed payloads) ·
webhook (signed pushes) · envelope, faults (refusals) · scenes (the calls of users and of groups) ·
quotas (names of quotas in the rules) · foreign (calls that only other programs' clients make)
"""

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE, TOKEN_ENVELOPE
from yizhan.platforms.qqbot.wire.faults import FAULTS
from yizhan.platforms.qqbot.wire.files import (
    DOWNLOAD,
    FINISH_PART_FOR_GROUP,
    FINISH_PART_FOR_USER,
    PREPARE_FOR_GROUP,
    PREPARE_FOR_USER,
    PUT_PART,
    UPLOAD_AND_SEND_TO_GROUP,
    UPLOAD_AND_SEND_TO_USER,
    UPLOAD_TO_GROUP,
    UPLOAD_TO_USER,
)
from yizhan.platforms.qqbot.wire.foreign import (
    COMPLETE_IMAGE,
    DELETE_IMAGE,
    GET_GATEWAY_BOT,
    LIST_IMAGES,
    PREPARE_IMAGE,
    PUT_IMAGE,
)
from yizhan.platforms.qqbot.wire.guild import (
    OPEN_DM,
    RECALL_FROM_CHANNEL,
    RECALL_FROM_DM,
    SEND_TO_CHANNEL,
    SEND_TO_DM,
)
from yizhan.platforms.qqbot.wire.interactions import ANSWER_INTERACTION
from yizhan.platforms.qqbot.wire.messages import (
    RECALL_FROM_GROUP,
    RECALL_FROM_USER,
    SEND_TO_GROUP,
    SEND_TO_USER,
    STREAM_TO_USER,
)
from yizhan.platforms.qqbot.wire.scenes import GROUPS, SCENES, USERS, Scene
from yizhan.platforms.qqbot.wire.token import GET_GATEWAY, GET_ME, GET_TOKEN

__all__ = [
    "ANSWER_INTERACTION",
    "COMPLETE_IMAGE",
    "DELETE_IMAGE",
    "DOWNLOAD",
    "ENVELOPE",
    "FAULTS",
    "FINISH_PART_FOR_GROUP",
    "FINISH_PART_FOR_USER",
    "GET_GATEWAY",
    "GET_GATEWAY_BOT",
    "GET_ME",
    "GET_TOKEN",
    "GROUPS",
    "LIST_IMAGES",
    "OPEN_DM",
    "PREPARE_FOR_GROUP",
    "PREPARE_FOR_USER",
    "PREPARE_IMAGE",
    "PUT_IMAGE",
    "PUT_PART",
    "RECALL_FROM_CHANNEL",
    "RECALL_FROM_DM",
    "RECALL_FROM_GROUP",
    "RECALL_FROM_USER",
    "SCENES",
    "SEND_TO_CHANNEL",
    "SEND_TO_DM",
    "SEND_TO_GROUP",
    "SEND_TO_USER",
    "STREAM_TO_USER",
    "TOKEN_ENVELOPE",
    "UPLOAD_AND_SEND_TO_GROUP",
    "UPLOAD_AND_SEND_TO_USER",
    "UPLOAD_TO_GROUP",
    "UPLOAD_TO_USER",
    "USERS",
    "Scene",
]
