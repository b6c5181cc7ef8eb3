"""How figures are shown to a person: with so many decimals, and never as minus zero."""


def plain(value: float, decimals: int = 4) -> str:
    """A figure, with its sign if it is negative."""
    return f"{value:z.{decimals}f}"


def signed(value: float, decimals: int = 4) -> str:
    """A difference, with its sign."""
    return f"{value:+z.{decimals}f}"
