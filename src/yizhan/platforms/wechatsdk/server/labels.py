"""Labels as calls."""

from __future__ import annotations

from yizhan.http.router import Call
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.book import AddressBook
from yizhan.platforms.wechatsdk.server.calls import Calls, refused


class LabelCalls:
    """Labels of contacts; the address book keeps them, and profiles show them."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book

    @property
    def calls(self) -> Calls:
        return [
            (wire.LIST_LABELS, self.list),
            (wire.ADD_LABEL, self.add),
            (wire.DELETE_LABEL, self.delete),
            (wire.RENAME_LABEL, self.rename),
            (wire.ASSIGN_LABELS, self.assign),
        ]

    async def list(self, call: Call[wire.Request]) -> wire.LabelsAnswer:
        labels = [wire.Label(number, title) for number, title in self._book.labels.items()]
        return wire.LabelsAnswer(wire.Labels(len(labels), labels))

    async def add(self, call: Call[wire.AddLabel]) -> wire.LabelAnswer:
        """A title that is there already is that label."""
        labels, title = self._book.labels, call.request.title
        if not title.strip():
            raise refused(wire.MISSING, "title")
        number = next((n for n, known in labels.items() if known == title), 0) or max(labels, default=0) + 1
        labels[number] = title
        return wire.LabelAnswer(wire.Label(number, title))

    async def delete(self, call: Call[wire.OneLabel]) -> wire.Done:
        number = self._known(call.request.labelId)
        del self._book.labels[number]
        for labelled in self._book.labelled.values():
            if number in labelled:
                labelled.remove(number)
        return wire.Done()

    async def rename(self, call: Call[wire.RenameLabel]) -> wire.Done:
        self._book.labels[self._known(call.request.labelId)] = call.request.newTitle
        return wire.Done()

    async def assign(self, call: Call[wire.AssignLabels]) -> wire.Done:
        self._book.known(call.request.userName)
        self._book.labelled[call.request.userName] = [self._known(number) for number in call.request.labelIds]
        return wire.Done()

    def _known(self, number: wire.Digits) -> int:
        found = next((known for known in self._book.labels if str(known) == str(number)), None)
        if found is None:
            raise refused(wire.FAILED, f"no label {str(number)[:20]}")
        return found
