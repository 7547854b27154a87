"""Labels as calls."""

from __future__ import annotations

from yizhan.net.router import Call
from yizhan.platforms.wechatsdk.server.book import Book
from yizhan.platforms.wechatsdk.server.calls import Calls
from yizhan.platforms.wechatsdk.wire import (
    ADD_LABEL,
    ASSIGN_LABELS,
    DELETE_LABEL,
    FAILED,
    LIST_LABELS,
    MISSING,
    RENAME_LABEL,
    AddLabel,
    AssignLabels,
    Digits,
    Done,
    Label,
    LabelAnswer,
    Labels,
    LabelsAnswer,
    OneLabel,
    RenameLabel,
    Request,
)
from yizhan.wire import Fault


class LabelCalls:
    """What the account calls its contacts; kept in the book, whose profiles show it."""

    def __init__(self, book: Book) -> None:
        self._book = book

    @property
    def calls(self) -> Calls:
        return [
            (LIST_LABELS, self.list),
            (ADD_LABEL, self.add),
            (DELETE_LABEL, self.delete),
            (RENAME_LABEL, self.rename),
            (ASSIGN_LABELS, self.assign),
        ]

    async def list(self, call: Call[Request]) -> LabelsAnswer:
        labels = [Label(number, title) for number, title in self._book.labels.items()]
        return LabelsAnswer(Labels(len(labels), labels))

    async def add(self, call: Call[AddLabel]) -> LabelAnswer:
        """A title that is there already is that label."""
        labels, title = self._book.labels, call.request.title
        if not title.strip():
            raise Fault(MISSING, f"{MISSING.message}: title")
        number = next((n for n, known in labels.items() if known == title), 0) or max(labels, default=0) + 1
        labels[number] = title
        return LabelAnswer(Label(number, title))

    async def delete(self, call: Call[OneLabel]) -> Done:
        number = self._known(call.request.labelId)
        del self._book.labels[number]
        for labelled in self._book.labelled.values():
            if number in labelled:
                labelled.remove(number)
        return Done()

    async def rename(self, call: Call[RenameLabel]) -> Done:
        self._book.labels[self._known(call.request.labelId)] = call.request.newTitle
        return Done()

    async def assign(self, call: Call[AssignLabels]) -> Done:
        self._book.known(call.request.userName)
        self._book.labelled[call.request.userName] = [self._known(number) for number in call.request.labelIds]
        return Done()

    def _known(self, number: Digits) -> int:
        found = next((known for known in self._book.labels if str(known) == str(number)), None)
        if found is None:
            raise Fault(FAILED, f"{FAILED.message}: no label {str(number)[:20]}")
        return found
