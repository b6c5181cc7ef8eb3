"""The error for everything that the person in front of the screen can put right."""

import shlex
from difflib import get_close_matches
from typing import Self

from pydantic import ValidationError


class InputError(Exception):
    """Something from outside is wrong. The message names the place, what is wrong there and the remedy."""

    @classmethod
    def invalid(cls, place: object, error: ValidationError, remedy: str) -> Self:
        """The error for content that a schema refuses: the first key that is wrong, and why."""
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "its content"
        return cls(f"{place}: {key}: {first['msg']}; {remedy}")


def command(*words: object) -> str:
    """A command as a message names it, to be copied into a shell whatever the paths in it."""
    return f"`{shlex.join(map(str, words))}`"


def suggestion(word: str, choices: list[str], otherwise: str | None = None) -> str:
    """`; did you mean …?` if one of `choices` is close to `word`, else `otherwise`, or what the choices are."""
    if close := get_close_matches(word, choices, n=1):
        return f"; did you mean {close[0]}?"
    return f"; the keys here are {', '.join(choices)}" if otherwise is None else otherwise
