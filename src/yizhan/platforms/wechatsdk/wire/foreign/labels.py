"""Chapter 标签: labels that the account puts on its contacts. Sources: yzqzy/wxbot-puppet-bridge, WechatBotCMD."""

from __future__ import annotations

from msgspec import Struct

from yizhan.platforms.wechatsdk.wire.envelope import Digits, Done, Request, interface


class Label(Struct):
    labelId: int
    title: str


class LabelAnswer(Struct):
    data: Label


class Labels(Struct):
    count: int = 0
    labels: list[Label] = []


class LabelsAnswer(Struct):
    data: Labels


class AddLabel(Request, kw_only=True):
    title: str


class OneLabel(Request, kw_only=True):
    labelId: Digits


class RenameLabel(Request, kw_only=True):
    labelId: Digits
    newTitle: str


class AssignLabels(Request, kw_only=True):
    """The whole list: labels that are not in it are taken off."""

    userName: str
    labelIds: list[Digits]


LIST_LABELS = interface(36, "list_labels", Request, LabelsAnswer, "标签/获取标签列表")
ADD_LABEL = interface(37, "add_label", AddLabel, LabelAnswer, "标签/添加标签", acts=True)
DELETE_LABEL = interface(38, "delete_label", OneLabel, Done, "标签/删除标签", acts=True)
RENAME_LABEL = interface(39, "rename_label", RenameLabel, Done, "标签/修改标签名称", acts=True)
ASSIGN_LABELS = interface(40, "assign_labels", AssignLabels, Done, "标签/修改用户标签", acts=True, target="userName")
