"""Pictures by class: `train/<class>/*` and `test/<class>/*`, as torchvision's ImageFolder has them, or `<class>/*`."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from mnist.formats import photos
from mnist.formats.names import SUFFIXES, left_out, printable
from mnist.formats.parts import MOST_CLASSES, Batch, Found, Options, size, streamed
from pipeline.errors import InputError

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
ORDER = ("train", "validation", "test")


def folders(path: Path) -> list[Path]:
    """The folders in one, but hidden ones."""
    with os.scandir(path) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in found:
        if entry.is_symlink() and not Path(entry.path).is_file():
            raise InputError(
                f"{printable(entry.path)}: a link to a folder or to nothing; put the pictures themselves there"
            )
    return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))


def are_classes(path: Path) -> bool:
    """Whether a folder holds folders of pictures, or splits of them."""
    inside = [each for each in path.iterdir() if each.is_dir() and not each.name.startswith(".")]
    splits = [each for each in inside if each.name.lower() in SPLITS]
    deeper = [each for split in splits for each in split.iterdir() if each.is_dir()]
    return any(has_pictures(each) for each in [*inside, *deeper])


def has_pictures(folder: Path) -> bool:
    """Whether there is a picture in a folder."""
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") for entry in entries)


def split_folders(path: Path) -> tuple[dict[str, Path], list[Path]]:
    """The folder of each split, for training the whole one if there are none, and the folders beside these."""
    inside = folders(path)
    named = [each for each in inside if each.name.lower() in SPLITS]
    if not any(map(folders, named)) and any(has_pictures(each) for each in inside if each not in named):
        for each in filter(has_pictures, named):
            raise InputError(
                f"{each}: pictures of a class in a folder whose name stands for a split; rename it (classes.txt in "
                f"{path} can give classes other names)"
            )
    splits: dict[str, Path] = {}
    others = []
    for each in inside:
        if not (split := SPLITS.get(each.name.lower())):
            others.append(each)
        elif (other := splits.setdefault(split, each)) != each:
            raise InputError(f"{path}: holds both {other.name} and {each.name}; merge them, or move one away")
    if splits and "train" not in splits:
        raise InputError(
            f"{path}: holds {', '.join(each.name for each in splits.values())}, no train; make that one of its folders"
        )
    if not splits:
        return {"train": path}, []
    return {split: splits[split] for split in ORDER if split in splits}, others


def data_set(path: Path) -> Found:
    """The data set in a folder. Raises InputError if its folders are no classes, or not the same in each split."""
    splits, beside = split_folders(path)
    names = class_names(splits["train"])
    found, every, no_pictures = {}, {}, []
    for split, folder in splits.items():
        for each in folders(folder):
            if each.name not in names:
                raise InputError(
                    f"{printable(each)}: a class without a folder in {splits['train']}; make one, or move it away"
                )
        files: list[tuple[Path, int]] = []
        for label, name in enumerate(names):
            here, others = listed(folder / name) if (folder / name).is_dir() else ([], [])
            files += [(file, label) for file in here]
            no_pictures += others
            if here and not has_pictures(folder / name):
                raise InputError(
                    f"{folder / name}: no pictures but folders of them, where folders are classes; set dataset.path to "
                    "the folder that holds the classes"
                )
            if not here and split == "train":
                raise InputError(f"{folder / name}: no pictures ({' '.join(SUFFIXES)}); put some there, or remove it")
        if not files:
            raise InputError(f"{folder}: no pictures ({' '.join(SUFFIXES)}); put some there, or remove it")
        files = in_order(files)
        every[split] = [file for file, _ in files]
        found[split] = streamed(partial(batches, files), partial(called, files))
    notes = left_out(beside, f"folders beside {', '.join(each.name for each in splits.values())} are")
    notes += left_out(no_pictures, "files that are no pictures by their names are")
    return Found("pictures by class", found, names, notes, every)


def class_names(folder: Path) -> list[str]:
    """The folders that are classes: by number if all are numbers, else by the codes of their letters."""
    names = [each.name for each in folders(folder)]
    folded: dict[str, str] = {}
    for name in names:
        if not name.isprintable():
            raise InputError(f"{printable(folder / name)}: a name that is not printable UTF-8; rename the folder")
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise InputError(f"{folder}: {other} and {name} differ in case only; merge them, or rename one")
    if not 2 <= len(names) <= MOST_CLASSES:
        raise InputError(
            f"{folder}: {len(names)} folders, where 2 to {MOST_CLASSES} classes are possible; put one for each there"
        )
    return sorted(names, key=int) if numbered(names) else sorted(names)


def numbered(names: list[str]) -> bool:
    """Whether names are numbers, each another one."""
    return all(name.isascii() and name.isdecimal() for name in names) and len(set(map(int, names))) == len(names)


def listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures in a folder and below it, by name, and the other files; what is hidden is neither.

    A file may be a link, as DVC makes them (`cache.type symlink`), for it hashes what they lead to; it enters no linked
    folder.
    """
    found: list[Path] = []
    others: list[Path] = []
    for place, inside, names in os.walk(folder, onerror=refuse):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in (*inside, *names):
            each = Path(place, name)
            if name.startswith(".") or not each.is_symlink():
                continue
            if name in inside or not each.is_file():
                raise InputError(
                    f"{printable(each)}: a link to a folder, to nothing or to itself; put the pictures there"
                )
        for name in sorted(name for name in names if not name.startswith(".")):
            if not name.isprintable():
                raise InputError(f"{printable(Path(place, name))}: a name that is not printable UTF-8; rename the file")
            (found if name.lower().endswith(SUFFIXES) else others).append(Path(place, name))
    return found, others


def refuse(error: OSError) -> None:
    """Raise what os.walk would pass over."""
    raise error


def in_order(files: list[tuple[Path, int]]) -> list[tuple[Path, int]]:
    """By number, across classes, if each file is called by a number of its own; else by class, and then by name."""
    if numbered([file.stem for file, _ in files]):
        return sorted(files, key=lambda each: int(each[0].stem))
    return files


def batches(files: list[tuple[Path, int]], options: Options) -> Iterator[Batch]:
    """The images and labels of files. Raises InputError for one that is damaged, or of another size than the first."""
    done, shape = 0, None
    for found in photos.images([file for file, _ in files], options):
        for path, image in zip((file for file, _ in files[done:]), found, strict=False):
            if isinstance(image, str):
                raise InputError(image)
            shape = shape or image.shape
            if image.shape != shape:
                raise InputError(
                    f"{path}: {size(image.shape)} pixels where {files[0][0]} has {size(shape)}; set "
                    f"dataset.image_size to the height and width that all are to have, as in [{shape[0]}, {shape[1]}]"
                )
        labels = np.array([label for _, label in files[done : done + len(found)]])
        done += len(found)
        yield Batch(np.stack(found), labels)


def called(files: list[tuple[Path, int]], k: int) -> str:
    """The file of the k-th image."""
    return str(files[k][0])
