"""`dvc` in processes forked from one that has loaded DVC already: a second's work less for each of hundreds.

As a script, it loads DVC, then runs a command for each line that it reads, and answers with its exit status. Each has a
process, environment and output of its own, and runs DVC's own entry point.
"""

import atexit
import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = Path(__file__).parents[1] / ".dvc/config"  # it sends nothing to anybody


def load() -> None:
    """Import what DVC imports as it goes, by a run of next to nothing."""
    import dvc.cli
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # that thread would not survive a fork
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        subprocess.run(["git", "init", "-q"], check=True)
        Path(".dvc").mkdir()
        shutil.copy(CONFIG, ".dvc/config")
        Path("dvc.yaml").write_text("stages: {one: {cmd: echo > made, outs: [made]}}")
        for command in ("repro", "status"):
            assert dvc.cli.main([command, "-q"]) == 0


def serve() -> None:
    """Run what is asked for, one command after the other, until there is no more to read."""
    load()
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(**asked)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def run(cwd: str, env: dict[str, str], arguments: list[str], out: str, err: str) -> None:
    """Be `dvc` with these arguments."""
    import dvc.cli

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, name in enumerate((os.devnull, out, err)):
        opened = os.open(name, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["dvc", *arguments]
    sys.exit(dvc.cli.main(arguments))


@functools.cache
def server() -> subprocess.Popen[str]:
    """The process that has loaded DVC, one for each of pytest's; it ends with that."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)
    return process


def dvc(cwd: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc` with these arguments in a folder, and wait for it; stdin is empty."""
    process = server()
    assert process.stdin
    assert process.stdout
    with tempfile.NamedTemporaryFile("r+") as out, tempfile.NamedTemporaryFile("r+") as err:
        asked = {"cwd": str(cwd), "env": env, "arguments": arguments, "out": out.name, "err": err.name}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        status = int(process.stdout.readline())
        return subprocess.CompletedProcess(["dvc", *arguments], status, out.read(), err.read())


if __name__ == "__main__":
    serve()
