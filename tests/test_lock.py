"""dvc.lock: what DVC refuses is refused here, wherever a kill has cut the file off."""

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import ParseError, parse_yaml
from voluptuous import Invalid

from mnist import models
from pipeline import inputs, lock, params, yaml12
from pipeline.errors import InputError
from tests.conftest import ROOT, STAGES, Project

if not (ROOT / "dvc.lock").exists():
    pytest.skip("nothing has run here, so there is no dvc.lock to cut off", allow_module_level=True)
TEXT = (ROOT / "dvc.lock").read_text("utf-8")
ENDS = [
    *(TEXT.index(key) + more for key in ("deps:", "path:", "md5:", "size:", "nfiles:") for more in (1, len(key), 12)),
    *range(0, len(TEXT), len(TEXT) // 40),
]


def dvc_takes(text: str) -> bool:
    """Whether DVC can use a dvc.lock."""
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, "dvc.lock"))
    except (ParseError, Invalid):
        return False
    return True


REFUSED = [end for end in sorted(set(ENDS)) if not dvc_takes(TEXT[:end])]  # elsewhere, a shorter lock is left


def test_there_are_many_ends_that_dvc_refuses() -> None:
    """Else the next test would hold nothing."""
    assert len(REFUSED) > 15


@pytest.mark.parametrize("end", REFUSED)
def test_a_lock_that_was_cut_off_where_dvc_refuses_it_is_refused(end: int) -> None:
    with pytest.raises(InputError, match="not whole"):
        lock.parse(TEXT[:end].encode())


def test_the_whole_lock_is_read() -> None:
    assert dvc_takes(TEXT)
    assert lock.parse(TEXT.encode()).outputs()


@pytest.mark.slow
def test_a_stage_knows_by_what_key_dvc_will_record_it(template: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(template.path)
    recorded = lock.read().stages
    tree = yaml12.read(params.FILE)
    assert {name: inputs.note(name, tree, {}).key for name in STAGES} == {name: recorded[name].key for name in STAGES}
    assert models.read(template.path / "models/model.safetensors")[1].inputs == recorded["train"].key
