"""The IDX format: what is written is read back, and nothing that is not such a file gets through."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist import idx
from pipeline.errors import InputError
from tests.conftest import ROOT

repeated = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
images_or_labels = st.one_of(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 50))),
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(1, 30))),
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(1, 30), st.just(3))),
)


@given(images_or_labels)
@repeated
def test_what_is_written_is_read_back(tmp_path: Path, array: np.ndarray) -> None:
    idx.write(tmp_path / "written", array)
    assert np.array_equal(idx.read(tmp_path / "written", min(array.ndim, 3)), array)


@given(images_or_labels, st.booleans())
@repeated
def test_unpacking_gives_the_plain_file(tmp_path: Path, array: np.ndarray, zipped: bool) -> None:
    idx.write(tmp_path / "written", array)
    plain = (tmp_path / "written").read_bytes()
    source = tmp_path / ("source.gz" if zipped else "source")
    source.write_bytes(gzip.compress(plain, mtime=0) if zipped else plain)
    idx.unpack(source, tmp_path / "unpacked", min(array.ndim, 3))
    assert (tmp_path / "unpacked").read_bytes() == plain


@given(st.binary(max_size=64), st.sampled_from([1, 3]), st.booleans())
@example(struct.pack(">II", 0x801, 2) + b"ab", 1, False)
@example(struct.pack(">II", 0x901, 2) + b"ab", 1, False)
@example(struct.pack(">IIII", 0x803, 1, 1, 2) + b"ab", 3, True)
@example(struct.pack(">IIIII", 0x804, 1, 1, 1, 3) + b"abc", 3, True)
@repeated
def test_any_bytes_are_refused_or_copied_whole(tmp_path: Path, content: bytes, dimensions: int, zipped: bool) -> None:
    source = tmp_path / ("any.gz" if zipped else "any")
    source.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    try:
        idx.unpack(source, tmp_path / "unpacked", dimensions)
    except InputError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith(str(source))
        return
    found = content[3]
    assert found in ((1,) if dimensions == 1 else (3, 4))
    head = struct.unpack(f">{1 + found}I", content[: 4 + 4 * found])
    assert head[0] == 0x800 + found
    assert len(content) == 4 + 4 * found + math.prod(head[1:])
    assert (tmp_path / "unpacked").read_bytes() == content


@given(images_or_labels, st.data())
@repeated
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, array: np.ndarray, data: st.DataObject) -> None:
    path = tmp_path / "cut"
    idx.write(path, array)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    kind = min(array.ndim, 3)
    for reader in (lambda: idx.read(path, kind), lambda: idx.unpack(path, tmp_path / "out", kind)):
        with pytest.raises(InputError, match="cut"):
            reader()


@given(st.binary(max_size=200))
@repeated
def test_any_bytes_called_gzip_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.gz").write_bytes(b"\x1f\x8b\x08" + content)
    with pytest.raises(InputError, match=r"any\.gz"):
        idx.unpack(tmp_path / "any.gz", tmp_path / "unpacked", 1)


def test_a_gzip_bomb_stops_at_the_size_that_the_header_promises(tmp_path: Path) -> None:
    labels = struct.pack(">II", 0x801, 1000) + bytes(1000)
    with gzip.open(tmp_path / "bomb.gz", "wb") as out:
        out.write(labels)
        for _ in range(200):
            out.write(bytes(1 << 20))
    with pytest.raises(InputError, match="goes on after the 1,000 bytes"):
        idx.unpack(tmp_path / "bomb.gz", tmp_path / "out", 1)
    assert (tmp_path / "out").stat().st_size <= len(labels) + 1


def test_a_header_that_promises_more_than_the_disk_holds_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "vast").write_bytes(struct.pack(">IIII", 0x803, 2**32 - 1, 4096, 4096))
    with pytest.raises(InputError, match="make room"):
        idx.unpack(tmp_path / "vast", tmp_path / "out", 3)
    assert (tmp_path / "out").stat().st_size == 0


def idx_file(*header: int, content: bytes = b"") -> bytes:
    return struct.pack(f">{len(header)}I", *header) + content


@pytest.mark.parametrize(
    ("content", "dimensions", "says"),
    [
        (b"abc", 1, "3 bytes are too few for the header of an IDX file; fetch it again"),
        (idx_file(0x803, 2, 1, 1), 1, "an IDX file of images, where labels are expected; is it the right file?"),
        (idx_file(0x801, 2, 0, 0), 3, "an IDX file of labels, where images are expected; is it the right file?"),
        (idx_file(0x901, 2, 0), 1, "an IDX file of signed bytes, where labels are expected in unsigned bytes; save it"),
        (idx_file(0xD03, 2, 1, 1), 3, "an IDX file of 32-bit floats, where images are expected in unsigned bytes; "),
        (idx_file(0x804, 2, 1, 1), 3, "16 bytes are too few for the header of an IDX file; fetch it again"),
        (idx_file(0x804, 2, 1, 1, 3), 1, "an IDX file of images in colour, where labels are expected; is it the right"),
        *(
            (
                idx_file(0x804, 2, 1, 1, n),
                3,
                f"its header says {n} numbers a pixel, where 3 are possible, for red, green ",
            )
            for n in (0, 1, 2, 4)
        ),
        (idx_file(0x804, 1, 7, 4097, 3), 3, "its header says images of 7×4097 pixels, where 1 to 4096 a side are"),
        (idx_file(0x802, 2, 1, 1), 3, "an IDX file of 2 dimensions, where images are expected; is it the right file?"),
        (idx_file(0x10000803, 2, 1, 1), 3, "starts with 0x10000803 where an IDX file of images starts with 0x00000803"),
        (idx_file(0x801, 0), 1, "holds nothing, its header says 0; fetch it again"),
        (idx_file(0x803, 1, 0, 7), 3, "its header says images of 0×7 pixels, where 1 to 4096 a side are"),
        (idx_file(0x803, 1, 7, 4097), 3, "its header says images of 7×4097 pixels, where 1 to 4096 a side are"),
    ],
)
def test_a_header_that_cannot_be_is_named_with_what_is_wrong(
    content: bytes, dimensions: int, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for reader in (lambda: idx.read(path, dimensions), lambda: idx.unpack(path, tmp_path / "out", dimensions)):
        with pytest.raises(InputError) as error:
            reader()
        assert str(error.value).startswith(f"{path}: {says}")


LABELS = idx_file(0x801, 2, content=b"ab")
ZIPPED = gzip.compress(LABELS, mtime=0)  # a test's name has it, and has to be the same in every worker
AFTER = "goes on after the end of its gzip data, and not with gzip; fetch it again, or leave that out: "
CUT = "ends within its gzip data, as when a download broke off; fetch it again"
PAGE = "a page of HTML or XML, as servers send when they lack a file; fetch the file itself"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("short", LABELS[:-1], "ends 1 bytes before the 2 its header promises; fetch it again"),
        ("long", LABELS + b"c", "goes on after the 2 bytes its header promises; fetch it again"),
        ("word.gz", b"plain", "not a gzip file though called so (it starts with b'plai'); fetch it again"),
        ("plain.gz", LABELS, "a plain IDX file, not a gzip one; `mv FOLDER/plain.gz FOLDER/plain`"),
        ("packed", ZIPPED, "gzip, without .gz at the end of its name; `mv FOLDER/packed FOLDER/packed.gz`"),
        ("twice.gz", gzip.compress(ZIPPED, mtime=0),
         "gzipped twice; `gunzip FOLDER/twice.gz && mv FOLDER/twice FOLDER/twice.gz`"),
        ("more.gz", ZIPPED + b"more", AFTER + "`zcat FOLDER/more.gz > FOLDER/more; rm FOLDER/more.gz`"),
        ("cut.gz", ZIPPED[:-9], CUT),
        ("one.gz", b"\x1f", CUT),
        ("page.gz", b"\n <!DOCTYPE html>", PAGE),
        ("page", b"\n <!DOCTYPE html>", PAGE),
    ],
)  # fmt: skip
def test_content_that_is_not_as_its_name_and_header_say_is_named_with_what_to_do(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        idx.unpack(tmp_path / name, tmp_path / "out", 1)
    assert str(error.value) == f"{tmp_path / name}: {says}".replace("FOLDER", str(tmp_path))


def test_a_file_of_another_size_than_its_header_promises_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for size in (1999, 2001):
        path.write_bytes(idx_file(0x801, 2000, content=bytes(size)))
        with pytest.raises(InputError) as error:
            idx.read(path, 1)
        assert str(error.value) == f"{path}: {size + 8:,} bytes where its header promises 2,008; fetch it again"


def test_an_array_that_is_read_cannot_be_changed_and_may_be_of_one_pixel_or_of_the_largest(tmp_path: Path) -> None:
    idx.write(tmp_path / "written", np.zeros((1, 1, idx.LARGEST_SIDE), np.uint8))
    found = idx.read(tmp_path / "written", 3)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0, 0] = 1


def test_mnist_itself_has_60000_images_of_28_by_28(tmp_path: Path) -> None:
    idx.unpack(ROOT / "data/mnist/train-images-idx3-ubyte.gz", tmp_path / "images", 3)
    assert idx.read(tmp_path / "images", 3).shape == (60_000, 28, 28)
