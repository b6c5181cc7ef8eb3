"""params.yaml: read as DVC reads it, and held to its schema whatever is written there."""

import json
import math
import re
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from dvc.utils.serialize import parse_yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mnist.commands import settings
from pipeline import params, yaml12
from pipeline.errors import InputError
from pipeline.params import literals
from tests.conftest import ROOT, SHIPPED, Project

TEXT = SHIPPED.read_text("utf-8")
TREE = yaml12.read(SHIPPED)
SCHEMAS: dict[str, Any] = {name: field.annotation for name, field in settings.Settings.model_fields.items()}
LEAVES = [(section, key) for section, keys in TREE.items() for key in keys]
repeated = hypothesis.settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def test_the_tests_own_parameters_have_the_keys_of_the_projects() -> None:
    ours, theirs = (set(params.flat(yaml12.read(path))) for path in (ROOT / "params.yaml", SHIPPED))
    assert ours == theirs, "a key that is new in params.yaml belongs in tests/params.yaml too"


VARIANTS = {
    "as it is": TEXT,
    "with CRLF": TEXT.replace("\n", "\r\n"),
    "with CR": TEXT.replace("\n", "\r"),
    "with a byte order mark": "\ufeff" + TEXT,
    "with both": "\ufeff" + TEXT.replace("\n", "\r\n"),
    "with an anchor": TEXT.replace("seed: 0                # which", "seed: &n 7 #").replace(
        "seed: 0    ", "seed: *n #"
    ),
    "with a merge": TEXT.replace("evaluate:\n  batch_size: 1000", "evaluate:\n  <<: {batch_size: 5}\n#"),
    "with a merge that is overruled": TEXT.replace("evaluate:\n", "evaluate:\n  <<: {batch_size: 5}\n"),
    "with a document's marks": f"---\n{TEXT}...\n",
    "with a number that YAML 1.1 takes for text": TEXT.replace("learning_rate: 0.003", "learning_rate: 3e-3"),
    "with a number that YAML 1.1 takes for octal": TEXT.replace("epochs: 10 ", "epochs: 010 "),
    "with a number in hexadecimal": TEXT.replace("epochs: 10 ", "epochs: 0xA "),
    "in flow style": json.dumps(TREE),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stage_reads_what_dvc_shows(tmp_path: Path, variant: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(VARIANTS[variant], "utf-8", newline="")
    with path.open(encoding="utf-8") as file:  # as DVC opens it
        shown = parse_yaml(file.read(), path)
    assert yaml12.read(path) == shown
    settings.check(shown, "params.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("variant", [b"\xef\xbb\xbf", b"%YAML 1.2\n---\n"])
def test_dvc_takes_a_byte_order_mark_and_crlf_for_no_change(project: Project, variant: bytes) -> None:
    path = project.path / "params.yaml"
    path.write_bytes(variant + path.read_bytes().replace(b"\n", b"\r\n"))
    assert "Path" not in project.succeed("dvc", "params", "diff")
    assert project.repro() == []
    project.edit("images: 12", "images: 6")
    assert project.repro() == ["plot-predictions"]


@given(st.sampled_from(LEAVES), anything)
@repeated
def test_any_value_of_any_key_is_refused_in_one_line_or_kept_exactly(leaf: tuple[str, str], value: object) -> None:
    section, key = leaf
    tree = {**TREE, section: {**TREE[section], key: value}}
    try:
        chosen = settings.check(tree, "params.yaml").model_dump()
    except InputError as error:
        refusal, chosen = str(error), {}
    if not chosen:
        assert refusal.startswith(f"params.yaml: {section}")
        assert len(refusal) < 500
        assert "\n" not in refusal
    else:
        kept = chosen[section][key]
        assert kept == value
        assert type(kept) is type(value) or (type(kept), type(value)) == (float, int)
        assert not isinstance(kept, float) or math.isfinite(kept)


@given(st.text(min_size=1, max_size=20), st.sampled_from([*TREE, None]))
@repeated
def test_any_other_key_is_refused(name: str, section: str | None) -> None:
    tree: dict[str, Any] = {**TREE, section: {**TREE[section], name: 1}} if section else {**TREE, name: 1}
    if name in (TREE[section] if section else TREE):
        return
    with pytest.raises(InputError, match=r"unknown key; (did you mean|the keys here are)"):
        settings.check(tree, "params.yaml")


@given(st.text(max_size=200))
@repeated
def test_any_text_is_refused_in_a_line_of_its_own_or_valid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"params\.yaml"):
        settings.read(path)


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("normalise.seed", 0, 2**32 - 1),
        ("train.shift", 0, 100),
        ("train.epochs", 1, 100_000),
        ("train.batch_size", 1, 1_000_000),
        ("train.seed", 0, 2**32 - 1),
        ("train.threads", 1, 1024),
        ("evaluate.batch_size", 1, 1_000_000),
        ("plot.images", 1, 100),
    ],
)
def test_limits_are_part_of_what_is_allowed(key: str, lowest: int, highest: int) -> None:
    section, name = key.split(".")
    for value in (lowest, highest):
        settings.check({**TREE, section: {**TREE[section], name: value}}, "params.yaml")
    for value in (lowest - 1, highest + 1):
        with pytest.raises(InputError, match=key):
            settings.check({**TREE, section: {**TREE[section], name: value}}, "params.yaml")


def test_several_mistakes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("epochs: 10 ", "epochs: 0 ").replace("threads: 1 ", "threads: 0 "), "utf-8")
    with pytest.raises(InputError, match=r"train\.epochs: .* \(1 more after this\)"):
        settings.read(path)


WORDED = [(section, key) for section, key in LEAVES if literals(SCHEMAS[section].model_fields[key].annotation)]


@pytest.mark.parametrize(("section", "key"), WORDED)
def test_the_comment_beside_a_parameter_names_every_word_that_it_takes(section: str, key: str) -> None:
    (comment,) = re.findall(rf"^{section}:\n(?:  .*\n)*?  {key}: ((?:.*\n)(?: {{10}}.*\n)*)", TEXT, re.MULTILINE)
    words = literals(SCHEMAS[section].model_fields[key].annotation)
    assert set(words) <= set(re.findall(r"[\w-]+", comment))
