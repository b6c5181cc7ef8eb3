"""YAML: every scalar has the value that DVC gives it, or is refused."""

import math
from typing import Any

import pytest
from dvc.utils.serialize import ParseError, parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import yaml12
from pipeline.errors import InputError
from tests.conftest import ROOT

WORDS = [
    "on", "off", "yes", "no", "y", "n", "true", "True", "TRUE", "tRUE", "false", "null", "Null", "NULL", "~", "0o17",
    "0O17", "017", "0x1F", "0X1F", "0b101", "-0b1", "1_000", "1_", "_1", "-_1", "+1", "08", "1:30", "1:30:59.5", "1e5",
    "1E5", "1e+5", "1.e5", ".5", "-.5", "+.5e-3", ".5e3", "1.", "-1.", "1_0.5", ".inf", "-.Inf", "+.INF", ".nan",
    ".NaN", "-.nan", "inf", "nan", "1e", "e1", ".", "..", "-", "+", "0x", "0b", "0b2", "2020-01-01", "2020-1-1", "=",
    "<", "2020-01-01T10:00:00Z", "1e999", "0.1", "3e-3", "0x_", "1__0", "0o_7",
    "", "9" * 400, "2001-12-14 21:59:43.10 -5",
]  # fmt: skip
words = st.sampled_from(WORDS)
numbers = st.from_regex(r"[-+]?[0-9_.]{1,6}([eE][-+]?[0-9_]{1,3})?", fullmatch=True)
radixes = st.from_regex(r"[-+]?0[boxBOX]?[0-9a-fA-F_]{0,6}", fullmatch=True)
times = st.from_regex(r"[0-9]{1,4}[-:][0-9]{1,2}[-:]?[0-9]{0,2}", fullmatch=True)
# anchors, aliases and tags are no scalars
printable = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f&*!"), max_size=8)


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values are of one type and equal, all the way down; NaN is equal to itself."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return same([*ours, *ours.values()], [*theirs, *theirs.values()])
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    both_nan = isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs)
    return type(ours) is type(theirs) and (ours == theirs or both_nan)


def agree(text: str) -> bool:
    """Whether a document has the values that DVC sees in it; False if it is refused."""
    try:
        ours = yaml12.parse(text.encode(), "params.yaml")
    except InputError:
        return False
    try:
        theirs = parse_yaml(text, "params.yaml")
    except ParseError:
        pytest.fail(f"DVC refuses {text!r}, which reads {ours} here")
    assert same(ours, theirs), f"{text!r}: {ours}, DVC has {theirs}"
    return True


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n", "0: a\n00: b\n", "1: a\n1.0: b\n", "'a': 1\na: 2\n",
        "- \ta\n", "a: [0:0]\n", "a: {b: c:d}\n", "a: [b?]\n", "a: [[http://b]]\n",
    ],
)  # fmt: skip
def test_what_dvc_refuses_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_yaml(text, "params.yaml")
    assert not agree(text)


@pytest.mark.parametrize(
    "text",
    ["a: '1\t2'\n", '"a\tb": 1\n', "1: a\n'1': b\n", "#\ta\na: 1\n", "a:\t1\n", "a: 1\t# b\n", "a: 1\t2\n",
     "a: ['0:0', \"b?\"]\nc: d:e?\n"],
)  # fmt: skip
def test_tabs_and_colons_where_dvc_takes_them_and_keys_that_only_look_alike_are_read(text: str) -> None:
    assert agree(text)


@given(words | numbers | radixes | times | printable)
@settings(max_examples=500, deadline=None)
def test_a_scalar_has_dvcs_value_or_is_refused(scalar: str) -> None:
    agree(f"key: {scalar}\n")
    agree(f"key: [{scalar}, {{inner: {scalar}}}]\n")
    agree(f"{scalar}: value\n")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_versions_of_yaml_read_differently_has_dvcs_value(word: str) -> None:
    assert agree(f"key: {word}\n") or word.startswith("20") or parse_fails(word)


def parse_fails(word: str) -> bool:
    """Whether DVC cannot read a word either."""
    try:
        parse_yaml(f"key: {word}\n", "params.yaml")
    except Exception:  # it does not turn all of its reader's errors into its own
        return True
    return False


@pytest.mark.parametrize("path", ["params.yaml", "dvc.yaml", "dvc.lock"])
def test_the_projects_own_files_read_as_dvc_reads_them(path: str) -> None:
    assert agree((ROOT / path).read_text("utf-8"))
