"""`dvc`, `python -m` and `-c` in processes forked from one that has loaded the libraries: seconds less for each.

As a script, it loads them, then listens beside the commands `dvc` and `python` that `commands` makes. Each of these has
a process, environment and open files of its own, runs its own entry point and imports the project's code itself.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import logging
import multiprocessing.util
import os
import runpy
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
NUMERICS = runpy.run_path(str(ROOT / "mnist/numerics.py"))  # what torch must find in the environment when it is loaded
LIBRARIES = """
    aiobotocore.session asyncssh matplotlib.backends.backend_agg matplotlib.figure optuna PIL.Image rich.progress
    rich.table s3fs safetensors.torch scipy.optimize scipy.stats sshfs torch torch.optim.swa_utils torchvision typer
"""
# what stands for a command: it hands itself to the process that has the libraries, or is what it is called
COMMAND = """#!{python} -IS
import json, os, signal, socket, sys
name, folder = os.path.basename(sys.argv[0]), os.path.dirname(sys.argv[0])
if name == "python" and sys.argv[1:2] not in (["-m"], ["-c"]):
    os.execv("{python}", ["{python}", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(folder + "/socket")
    mask = os.umask(0)
    asked = json.dumps([name, sys.argv[1:], os.getcwd(), dict(os.environ), mask]).encode()
    socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(asked)
    status = int(server.recv(100) or 70)
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def load() -> None:
    """Import what commands and stages import as they go; of DVC, by a run of next to nothing."""
    os.environ |= NUMERICS["INSTRUCTION_SETS"] | {"OMP_WAIT_POLICY": "PASSIVE"}
    for name in LIBRARIES.split():
        importlib.import_module(name)
    import dvc.cli
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # that thread would not survive a fork
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        subprocess.run(["git", "init", "-q"], check=True)
        Path(".dvc").mkdir()
        shutil.copy(ROOT / ".dvc/config", ".dvc/config")  # it sends nothing to anybody
        Path("dvc.yaml").write_text("stages: {one: {cmd: echo > made, outs: [made]}}")
        for command in ("repro", "status"):
            assert dvc.cli.main([command, "-q"]) == 0


def serve(folder: Path) -> None:
    """Run the commands that are asked for, each in a process of its own, until stdin ends."""
    load()
    gc.freeze()  # a collection would write to all that is loaded, and so copy it, in each process
    running: dict[int, tuple[int, socket.socket]] = {}  # by what tells that it has ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in (ready := select.select([listener, sys.stdin, *running], [], [])[0]):
            if listener in ready:
                asker, _ = listener.accept()
                if (pid := os.fork()) == 0:
                    end(functools.partial(answer, asker))
                running[os.pidfd_open(pid)] = pid, asker
            for ended in running.keys() & set(ready):
                pid, asker = running.pop(ended)
                os.close(ended)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with asker, contextlib.suppress(OSError):  # who asked has been killed
                    asker.sendall(str(status).encode())


def forget_what_is_for_the_end() -> None:
    """Leave to the first process what its libraries do when it ends: 0.08 s in each command, and not of its doing."""
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    for own in (logging.shutdown, multiprocessing.util._exit_function):  # type: ignore[attr-defined]
        atexit.register(own)


def answer(asker: socket.socket) -> None:
    """Run what is asked for."""
    forget_what_is_for_the_end()
    length, descriptors, _, _ = socket.recv_fds(asker, 8, 3)
    with asker, asker.makefile("rb") as stream:
        asked = json.loads(stream.read(int.from_bytes(length, "big")))
    run(descriptors, *asked)


def run(descriptors: list[int], name: str, arguments: list[str], cwd: str, env: dict[str, str], mask: int) -> None:
    """Be the command `name` with these arguments, open files, folder, environment and umask."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(env)
    if name == "dvc":
        import dvc.cli

        sys.argv = [name, *arguments]
        sys.exit(dvc.cli.main(arguments))  # what its entry point does
    os.environ |= NUMERICS["INSTRUCTION_SETS"]  # with which torch was loaded
    how, what, *others = arguments
    sys.argv = [how, *others]
    sys.path[0] = cwd if how == "-m" else ""
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    if how == "-c":
        exec(compile(what, "<string>", "exec"), main.__dict__)
        return
    runpy._run_module_as_main(what)  # type: ignore[attr-defined]  # what `-m` is


def end(call: Callable[[], None]) -> NoReturn:
    """Call, and end the process as Python does, without taking everything apart: that takes most of a second."""
    status: object = 0
    try:
        call()
    except SystemExit as done:
        status = done.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
    except BaseException:
        status = 1
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status if isinstance(status, int) else 1)


@functools.cache
def commands() -> Path:
    """A folder with `dvc` and `python`, whose process has loaded the libraries, one for each of pytest's."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    for name in ("dvc", "python"):
        (folder / name).write_text(COMMAND.format(python=sys.executable))
        (folder / name).chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return folder


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
