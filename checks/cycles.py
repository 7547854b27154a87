"""Import cycles between modules, imports for type checking included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import grimp


def import_cycles(package: str) -> list[list[str]]:
    """Return every group of modules that import each other in a circle."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False)
    return sorted(circles(sorted(graph.modules), graph.find_modules_directly_imported_by))


def circles(names: Iterable[str], neighbors: Callable[[str], Iterable[str]]) -> Iterator[list[str]]:
    """Yield the strongly connected components with more than one member (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    for start in names:
        if start in index:
            continue
        work: list[tuple[str, Iterator[str]]] = []
        _enter(start, neighbors, index, low, stack, work)
        while work:
            name, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    component = stack[stack.index(name) :]
                    del stack[stack.index(name) :]
                    if len(component) > 1:
                        yield sorted(component)
            elif following not in index:
                _enter(following, neighbors, index, low, stack, work)
            elif following in stack:
                low[name] = min(low[name], index[following])


def _enter(
    name: str,
    neighbors: Callable[[str], Iterable[str]],
    index: dict[str, int],
    low: dict[str, int],
    stack: list[str],
    work: list[tuple[str, Iterator[str]]],
) -> None:
    index[name] = low[name] = len(index)
    stack.append(name)
    work.append((name, iter(sorted(neighbors(name)))))
