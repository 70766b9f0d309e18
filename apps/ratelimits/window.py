"""A sliding window: what was taken within the last `window_ms`, never more than `limit` in any window.

Kept as what was taken at which moment: exact while those are at most 60. When there are more, those within the same
60th of the window become one, counted until the latest of them has left the window. So a call is never let through
too early, and refused at most a 60th of a window longer than by an exact log. The burst is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from apps.ratelimits.rules import LONGEST_MS, MOST_UNITS, Rule

CELLS = 60


class Cell(NamedTuple):
    """What was taken until `at_ms`, and after the cell before."""

    at_ms: int
    quantity: int


Cells = tuple[Cell, ...]


def aged(cells: Cells | None, rule: Rule, now_ms: int) -> Cells:
    """The cells within the window, oldest first. Those of the future are as if they were of now."""
    return _joined(
        Cell(min(at_ms, now_ms), quantity) for at_ms, quantity in cells or () if at_ms + rule.window_ms > now_ms
    )


def is_stale(cells: Cells, rule: Rule, now_ms: int) -> bool:
    return bool(cells) and cells[-1].at_ms > now_ms


def wait_ms(cells: Cells, rule: Rule, now_ms: int) -> int:
    if rule.cost > rule.limit:
        return -1
    excess = _total(cells) + rule.cost - rule.limit
    leaving = iter(cells)
    wait = 0
    while excess > 0:
        at_ms, quantity = next(leaving)
        excess -= quantity
        wait = at_ms + rule.window_ms - now_ms
    return min(LONGEST_MS, wait)


def remaining(cells: Cells, rule: Rule) -> int:
    return max(0, rule.limit - _total(cells))


def reset_after_ms(cells: Cells, rule: Rule, now_ms: int) -> int:
    return min(LONGEST_MS, cells[-1].at_ms + rule.window_ms - now_ms) if cells else 0


def taken(cells: Cells, rule: Rule, now_ms: int, quantity: int) -> Cells:
    quantity = min(quantity, MOST_UNITS - _total(cells))
    if quantity == 0:
        return cells
    cells = _joined((*cells, Cell(now_ms, quantity)))
    return cells if len(cells) <= CELLS else _coarser(cells, rule)


def given_back(cells: Cells, rule: Rule, now_ms: int, quantity: int, taken_at_ms: int, reset_ms: int) -> Cells:
    """Take `quantity` out of the cell into which it was put at `taken_at_ms`, unless it has left the window."""
    if not cells or taken_at_ms + rule.window_ms <= now_ms:
        return cells
    index = next((i for i, cell in enumerate(cells) if cell.at_ms >= taken_at_ms), len(cells) - 1)
    rest = Cell(cells[index].at_ms, max(0, cells[index].quantity - quantity))
    return (*cells[:index], *((rest,) if rest.quantity else ()), *cells[index + 1 :])


def _coarser(cells: Cells, rule: Rule) -> Cells:
    cell_ms = -(-rule.window_ms // CELLS)
    groups = (list(group) for _, group in groupby(cells, key=lambda cell: cell.at_ms // cell_ms))
    return tuple(Cell(group[-1].at_ms, _total(group)) for group in groups)


def _joined(cells: Iterator[Cell] | Cells) -> Cells:
    groups = groupby(cells, key=lambda cell: cell.at_ms)
    return tuple(Cell(at_ms, _total(group)) for at_ms, group in groups)


def _total(cells: Iterator[Cell] | Cells | list[Cell]) -> int:
    return sum(cell.quantity for cell in cells)
