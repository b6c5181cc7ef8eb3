"""What may be wrong with a command line, and with the pictures and recipes that it names."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import os
from collections.abc import Iterator

import typer

from mnist import __main__ as commands
from tests.cases import MODEL, READY, Case, small
from tests.conftest import SCRIPTS, Project
from tests.harms import (
    array,
    cut,
    drawn,
    folder,
    gone,
    in_turn,
    instead,
    loop,
    model,
    packed,
    swap,
    text,
)  # fmt: skip

COMMANDS = [
    Case("a pipe for params.yaml", "mnist recipe one", instead("params.yaml", os.mkfifo), r"params\.yaml: not a file"),
    Case("a folder to draw into", "mnist compare --images data", lambda _: None, r"data is a folder.*\(see --help\)", 2),
    Case("no folder to draw into", "mnist compare --images no/a.png", lambda _: None, r"no folder no; .*--help\)", 2, remedy=("mkdir -p no",)),
    Case("no folder to report into", "mnist report --output no/a.html", lambda _: None, r"no folder no; .*help\)", 2, remedy=("mkdir -p no",)),
    *(Case("a pipe to write to", f"mnist {command}", lambda root: os.mkfifo(root / "pipe"), r"pipe is a pipe .*; name a file \(see --help\)", 2)
      for command in ("report --output pipe", "export pipe", "compare --images pipe")),
    *(Case("an empty revision", f"mnist {command}", lambda _: None, "the revision's name is empty; name a commit") for command in (
        "report ''", "report '' workspace", "report workspace ''", "compare ''", "prove ''", "stress --revision ''")),
    Case("no folder of two words", "mnist report --output 'no such/a.html'", lambda _: None, "no folder no such; `mkdir", 2, remedy=("mkdir -p 'no such'",)),
    Case("an empty sweep", "mnist sweep 'a sweep.yaml'", text("a sweep.yaml", ""), r"`git restore 'a sweep\.yaml'`"),
    Case("two formats at once", "mnist leaderboard --json --csv", lambda _: None, r"exclude each other; .*--help\)", 2),
    Case("a recipe in Latin-1", "mnist recipe odd", text("recipes/odd.yaml", b"# caf\xe9\n"), r"odd\.yaml: byte 5 is not"),
    *(Case("params.yaml broken", command, text("params.yaml", "train: ["), r"params\.yaml, line 2, .*not valid YAML")
      for command in ("mnist compare", "mnist report")),
    Case("an unknown recipe", "mnist recipe onee", lambda _: None, "there is no 'onee'; did you mean one"),
    Case("a recipe that is a path", "mnist recipe ../params", lambda _: None, r"there is no '\.\./params'"),
    Case("a recipe of a wrong value", "mnist recipe one", swap("recipes/one.yaml", ("epochs: 15", "epochs: 0")),
         "recipes/one"),
    Case("a recipe that is no YAML", "mnist recipe one", text("recipes/one.yaml", "# a recipe\n["),
         r"recipes/one.yaml, line \d"),
    Case("a recipe of an unknown section", "mnist recipe one", text("recipes/one.yaml", "# a\nfit: {epochs: 1}"),
         "one.*fit"),
    Case("a recipe of no sections", "mnist recipe one", text("recipes/one.yaml", "# a\ntrain: 1"),
         "recipes/one.*train"),
    Case("an empty recipe", "mnist recipe one", text("recipes/one.yaml", ""), "recipes/one"),
    Case("no model yet", f"mnist predict {small('t10k-images-idx3-ubyte')}", gone(MODEL),
         "model.safetensors: no model yet; .*brings one .*, .*trains one", remedy=("dvc checkout",)),
    Case("a model that was cut off", "mnist predict a.png", cut(MODEL, 2000), "model.safetensors: not a whole"),
    Case("a revision that is none", "mnist predict a.png --revision nothing", lambda _: None, "nothing.*; "),
    Case("a revision without a model", "mnist predict a.png --revision early", lambda root: Project(root).succeed(
        "git", "tag", "early", "HEAD~1"), "early: has no dvc.lock, .*; name another"),
    Case("two formats at once", "mnist predict a.png --json --csv", lambda _: None, r"exclude each other; .*--help\)", 2),
    Case("no picture named", "mnist predict", lambda _: None, r"Missing argument 'IMAGE...'.*\(see --help\)", 2),
    Case("no folder to draw into", "mnist predict a.png --picture no/a.png", lambda _: None, r"no folder no; .*--help\)", 2),
    *(Case(name, f"mnist predict {argument}", harm, rf"{argument}: {says}") for name, argument, harm, says in (
        ("no such file", "none.png", lambda _: None, "no such file; name a picture"),
        ("a dash", "-", lambda _: None, "no such file; standard input is not read; name"),
        ("no picture", "a.png", text("a.png", "hello"), "not a picture that is read here; save it as PNG, "),
        ("an empty file", "a.png", text("a.png", ""), "an empty file; save"),
        ("a folder without pictures", "docs", folder("docs"), "no .png .*; name"),
        ("a cut picture", "a.png", in_turn(drawn("a.png", 100, 40), cut("a.png", -40)), "a damaged picture .*; save it again"),
        ("a picture of another kind", "a.eps", text("a.eps", "%!PS-Adobe-3.0 EPSF-3.0\n"), "not a picture that is read here; "),
        ("a bomb", "a.png", drawn("a.png", 9_000), "9,000×9,000 pixels are more than 50,000,000; make"),
        ("a blank picture", "a.png", drawn("a.png", 200), "no digit found; draw"),
        ("two digits", "a.png", drawn("a.png", 200, 60, 140), "several digits side by side; cut"),
        ("no right to read a picture", "a.png", in_turn(drawn("a.png"), lambda root: (root / "a.png").chmod(0)), "Permission denied; see"),
        ("no right to look into a folder", "more", in_turn(folder("more"), lambda root: (root / "more").chmod(0)), "Permission denied; see"),
        ("a pipe", "a.png", lambda root: os.mkfifo(root / "a.png"), "not a file; name"),
        ("a link to itself", "a.png", lambda root: loop(root / "a.png"), "Too many levels of symbolic links; fix"),
        ("a name that is too long", "x" * 300, lambda _: None, "File name too long; fix"),
        ("labels for images", small("t10k-labels-idx1-ubyte"), lambda _: None, "an IDX file of labels, where images are expected; is it the right"),
        ("an IDX file cut off", small("t10k-images-idx3-ubyte"), cut(small("t10k-images-idx3-ubyte"), -1), "235,215 bytes where .*; fetch"),
        ("plain though called gzip", "a.gz", text("a.gz", b"\0\0\x08\x03"), "a plain IDX file, not a gzip one; `mv a.gz a`"),
        ("gzip cut off", small("t10k-images-idx3-ubyte.gz"), packed(small("t10k-images-idx3-ubyte"), lambda content: content[:-9]), "ends within its gzip data.*; fetch"),
    )),
    Case("a model that is not of handwriting", "mnist stress", model(lambda _, description: description.update(handwriting=False)),
         "workspace: its model is of small, no handwriting; name"),
    Case("no model yet", "mnist stress", gone(MODEL), "model.safetensors: no model yet; "),
    Case("test images of another size", "mnist stress --images 9 --times 1", array(f"{READY}/test_images.npy", lambda images: images[:, 4:]),
         "its model does not fit its test images; `dvc repro` trains one", remedy=("dvc repro",)),
    Case("no command", "mnist", lambda _: None, r"\(see --help\)", 2),
    Case("an unknown command", "mnist chekc", lambda _: None, r"chekc.*\(see --help\)", 2),
]  # fmt: skip


def usage() -> Iterator[Case]:
    """What the command line itself may have wrong, for every stage and command."""
    for command in [*SCRIPTS, *(f"mnist {name}" for name in typer.main.get_command(commands.app).commands)]:  # type: ignore[attr-defined]
        yield Case("an unknown option", f"{command} --nonsense", lambda _: None, r"--nonsense.*\(see --help\)", 2)
        if command != "mnist predict":  # which takes any number
            yield Case("too many arguments", f"{command} a b c d e f", lambda _: None, r"\(see --help\)", 2)
