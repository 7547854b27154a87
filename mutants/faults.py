"""The faults that Cosmic Ray's operators can put into a file, and a seeded choice of them."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

OPERATORS = (
    "AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "NumberReplacer",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop", "ExceptionReplacer",
    "ReplaceUnaryOperator_Delete_Not", "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq", "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add", "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_FloorDiv_Mul", "ReplaceBinaryOperator_Mod_Add",
)  # fmt: skip
"""One replacement for each construct: the others that Cosmic Ray knows (11 for every `+`) tell the same."""


@dataclass(frozen=True)
class Fault:
    """One change at one place of one file."""

    file: str
    operator: str
    occurrence: int
    line: int
    text: str
    """The source line, without its indentation; it names the fault in the list of survivors."""

    @property
    def name(self) -> str:
        return f"{self.file} · {self.operator} · {self.text}"

    def applied_to(self, code: str) -> str | None:
        """Return `code` with the fault, or None where Cosmic Ray finds nothing to change."""
        changed = mutate_code(code.encode(), get_operator(f"core/{self.operator}")(), self.occurrence)
        return changed.decode() if isinstance(changed, bytes) else changed


def faults_in(tree: Path, files: Sequence[str]) -> list[Fault]:
    """Return every fault of OPERATORS in `files`, but for lines that are declarations or words for people."""
    return [fault for file in files for fault in _faults_in_file(file, (tree / file).read_text("utf-8"))]


def chosen(faults: Sequence[Fault], count: int, seed: int) -> list[Fault]:
    """Return `count` of `faults`, the same ones for the same seed."""
    return sorted(random.Random(seed).sample(faults, min(count, len(faults))), key=lambda fault: fault.name)


def _faults_in_file(file: str, code: str) -> Iterator[Fault]:
    lines, nodes, skipped = code.splitlines(), list(ast_nodes(get_ast(code))), _without_behavior(code)
    for operator in OPERATORS:
        positions = (place for node in nodes for place in get_operator(f"core/{operator}")().mutation_positions(node))
        for occurrence, ((line, _), _) in enumerate(positions):
            if line not in skipped:
                yield Fault(file, operator, occurrence, line, lines[line - 1].strip())


def _without_behavior(code: str) -> set[int]:
    """Return the lines that no test should see changed: type-only imports, log calls, `__repr__`, assertions."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        type_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        logged = isinstance(node, ast.Expr) and ast.unparse(node.value).startswith("log.")
        shown = isinstance(node, ast.FunctionDef) and node.name == "__repr__"
        if type_only or logged or shown or isinstance(node, ast.Assert):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found
