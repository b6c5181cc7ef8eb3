"""Which form a data set comes in, by what lies there; never one of two that may be meant."""

from pathlib import Path
from typing import NamedTuple

from mnist import idx
from mnist.formats import classes, four, npz, table
from mnist.formats.parts import Found
from pipeline.errors import InputError

SHOWN = 8  # names of what is there in place of a data set
REMEDY = (
    "a data set is four IDX files, an .npz, CSV or folders of pictures by class: put one there, or set dataset.path to "
    "what has one"
)


class Contents(NamedTuple):
    """What of a folder may be a data set, in each form."""

    roles: four.Roles
    archives: list[Path]
    tables: list[Path]
    photos: bool

    def forms(self) -> list[str]:
        """The forms that are there."""
        names = ("IDX files", "npz", "CSV", "pictures by class")
        return [name for name, found in zip(names, self, strict=True) if found]


def data_set(path: Path) -> Found:
    """The data set at a path. Raises InputError if there is none, or more than one."""
    if path.is_dir():
        return in_folder(path)
    if not path.is_file():
        what = "neither a file nor a folder" if path.exists() else "no such file or folder"
        if Path(f"{path}.dvc").is_file():
            raise InputError(
                f"{path}: {what}, but {path.name}.dvc is; `dvc checkout {path}.dvc` brings it, "
                "or `dvc pull` from a remote"
            )
        raise InputError(f"{path}: {what}; set dataset.path to where a data set is")
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK"):
        return npz.data_set(path)
    if head.startswith(idx.PLAIN[:2]) or four.NAME.fullmatch(path.name):
        raise InputError(f"{path}: one of the files of a data set; set dataset.path to its folder, {path.parent}")
    if not head.startswith(idx.GZIP) and (other := idx.kind(head)):
        raise InputError(f"{path}: {other}")
    return table.data_set([path])


def in_folder(path: Path) -> Found:
    """The data set in a folder."""
    there = sorted(each for each in path.iterdir() if not each.name.startswith(".") and each.suffix != ".dvc")
    found = contents(path, there)
    forms = found.forms()
    if len(forms) > 1:
        raise InputError(f"{path}: holds {' and '.join(forms)}; move one away, or set dataset.path to what is meant")
    if found.roles and (lacking := four.missing(found.roles)):
        raise InputError(nothing(path, there, found.roles, f"no {', no '.join(lacking)}, plain or as .gz, but "))
    if found.roles:
        return four.data_set(found.roles)
    if len(found.archives) > 1:
        names = ", ".join(each.name for each in found.archives[:SHOWN])
        raise InputError(f"{path}: holds {names}; set dataset.path to the one that is meant")
    if found.archives:
        return npz.data_set(found.archives[0])
    if found.tables:
        return table.data_set(found.tables)
    if found.photos:
        return classes.data_set(path)
    raise InputError(nothing(path, there, {}, "no data set that is known here, but "))


def contents(folder: Path, there: list[Path]) -> Contents:
    """What of the things that are in a folder may be a data set."""
    files = [each for each in there if each.is_file()]
    return Contents(
        four.roles(files),
        [each for each in files if each.suffix.lower() == ".npz"],
        [each for each in files if each.name.lower().endswith(table.ENDINGS)],
        classes.are_classes(folder),
    )


def nothing(folder: Path, there: list[Path], roles: four.Roles, what: str) -> str:
    """What a folder that makes no data set lacks and what it has, and what of that may be meant."""
    shown = [path.name + ("/" if path.is_dir() else "" if path.is_file() else " (no file)") for path in there[:SHOWN]]
    more = f" and {len(there) - SHOWN:,} more" * (len(there) > SHOWN)
    return f"{folder}: holds {what}{', '.join(shown) or 'nothing'}{more}; {way_to(there, roles)}"


def way_to(there: list[Path], roles: four.Roles) -> str:
    """What to do where no data set is: rename what has the words of IDX files, or look in a folder further down."""
    others = [path.name for path in there if path.is_file()]
    renames = []
    for (split, what), name in four.WANTED.items():
        words = ("train" if split == "train" else "t10k", what.rstrip("s"))
        for other in others if (split, what) not in roles else []:
            if all(word in other.lower().replace("test", "t10k") for word in words):
                renames.append(f"{other} to {name}{'.gz' * other.lower().endswith('.gz')}")
                break
    if renames:
        return f"rename {', '.join(renames)}"
    for inside in there:
        if inside.is_dir():
            found = contents(inside, sorted(inside.iterdir()))
            if found.forms() and not (found.roles and four.missing(found.roles)):
                return f"set dataset.path to {inside}"
    return REMEDY
