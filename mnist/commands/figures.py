"""How figures are shown to a person: with so many decimals, and never as minus zero."""

from typing import Any


def plain(value: float, decimals: int = 4) -> str:
    """A figure, with its sign if it is negative."""
    return f"{value:z.{decimals}f}"


def signed(value: float, decimals: int = 4) -> str:
    """A difference, with its sign."""
    return f"{value:+z.{decimals}f}"


def in_points(found: dict[str, Any], *, certain: bool) -> str:
    """How far B's accuracy is from A's, with its interval; whether it is better or worse if that is `certain`."""
    points, low, high = (100 * found[name] for name in ("accuracy_difference", "difference_low", "difference_high"))
    if not certain:
        return f"differs by {signed(points, 2)} points, 95 % between {signed(low, 2)} and {signed(high, 2)}"
    better, low, high = ("better", low, high) if points > 0 else ("worse", -high, -low)
    return f"is {better} by {plain(abs(points), 2)} points, 95 % between {plain(low, 2)} and {plain(high, 2)}"
