"""Can the tests fail? Break one promise after the other and see its test go red: python -m tests.breaking [NAME…]

Works in clones of the last commit, in which the test must be green before. Ends with 1 if one does not go red.
A name is one of BREAKS; all of them take hours.
"""

# ruff: noqa: E501 – a row a promise reads better than a screen a promise

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import suggestion
from tests.conftest import ROOT


class Break(NamedTuple):
    """A text in a file of the project, what takes its place, and the tests that must then fail."""

    file: str
    old: str
    new: str
    tests: str


GUARD, INTERRUPTIONS = "tests/endtoend/test_guard.py", "tests/endtoend/test_interruptions.py"
SWEEP = "tests/test_sweep.py"
CHECKOUTS = "tests/endtoend/test_checkouts.py"
NOTED = "    return Inputs(values, deps, {name"
RNG = '        torch.set_rng_state(state["random"])\n'
SHUFFLED = "labels.index_select(0, index.flip(0)).long()"
PINNED = "        del os.environ[name]\n    os.environ.update(INSTRUCTION_SETS)"
ORDERED = "Ordered.apply(input, self.weight, self.bias)"
BREAKS = {
    "MKL decides on the order of sums": Break("mnist/linear.py", ORDERED, "super().forward(input)", "tests/test_linear.py"),
    "long sums are one block": Break("mnist/linear.py", "BLOCK = 192", "BLOCK = 1920", "tests/test_linear.py"),
    "convolutions use what instructions there are": Break("mnist/numerics.py", '"ONEDNN_MAX_CPU_ISA": "AVX2"', '"ONEDNN_MAX_CPU_ISA": "DEFAULT"', "tests/endtoend/test_same_bytes.py -k another_processor"),
    "training takes a logarithm of MKL's": Break("mnist/losses.py", "F.log_softmax(logits, 1)", "F.softmax(logits, 1).log()", "tests/test_training.py -k last_bits"),
    "DVC's run cache overlooks a key": Break("stages/download.py", "    image_size: Annotated", "    size: Annotated", "tests/test_pipeline.py -k leaves_out"),
    "recipes of older code crowd the leaderboard": Break("mnist/commands/leaderboard.py", "same = everything or ", "same = True or ", "tests/test_leaderboard.py -k than_heads"),
    "a default that is spelled out is another recipe": Break("mnist/commands/settings.py", "return parameters | {", "return parameters or {", "tests/test_leaderboard.py -k spelled_out"),
    "links of DVC's are refused": Break("mnist/formats/classes.py", "if name in inside or not each.is_file():", "if True:", "tests/test_formats.py -k may_be_links"),
    "class names beside a file count": Break("mnist/formats/sources.py", "if not path.is_dir() and (beside", "if False and (beside", "tests/test_bad_input.py -k beside"),
    "MKL is not strict": Break("mnist/numerics.py", "AUTO,STRICT", "AUTO", "tests/test_linear.py"),
    "the message of lost results leads nowhere": Break("pipeline/revisions.py", '["git stash", *steps, "git stash pop"]', "[*steps]", "tests/test_compare.py -k no_cache_has"),
    "other results are not told from lost ones": Break("pipeline/revisions.py", "self.lock.inputs() == ours.inputs() and", "False and", "tests/test_compare.py -k computes_other"),
    "a fingerprint is of some tensors": Break("mnist/commands/fingerprint.py", "in sorted(weights.items())", "in sorted(weights.items())[:1]", "tests/test_fingerprint.py"),
    "a half lock passes": Break("pipeline/lock.py", "Lock.model_validate(", "Lock.model_construct(**", f"{INTERRUPTIONS} -k its_lock"),
    "inputs may change": Break("pipeline/stage.py", "if changed:", "if not changed:", f"{GUARD} -k parameter_of"),
    "inputs may change and change back": Break("pipeline/inputs.py", ".hexdigest(), facts.st_mtime_ns", ".hexdigest(), 0", f"{GUARD} -k taken_back"),
    "other stages' inputs count": Break("pipeline/inputs.py", NOTED, f"    deps.append('params.yaml')\n{NOTED}", f"{GUARD} -k not_declare"),
    "a stage outlives dvc": Break("pipeline/parent.py", "signal.SIGKILL)", "0)", f"{GUARD} -k ends_with"),
    "two train on one state": Break("pipeline/files.py", "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass", f"{GUARD} -k never_train"),
    "random state is not kept": Break("pipeline/resume.py", RNG, "", f"{INTERRUPTIONS} -k goes_on"),
    "training starts over": Break("pipeline/resume.py", "not self.path.exists()", "self.path", f"{INTERRUPTIONS} -k goes_on"),
    "damaged state is used": Break("pipeline/resume.py", "== content[:DIGEST]", "is not None", f"{INTERRUPTIONS} -k damaged"),
    "another run's state is used": Break("pipeline/lock.py", "json.dumps([values, deps]", "json.dumps([deps]", f"{INTERRUPTIONS} -k damaged"),
    "state of other data is kept": Break("pipeline/resume.py", "        self.check()\n", "", f"{GUARD} -k no_state_is_kept"),
    "equal data are a change": Break("pipeline/inputs.py", ' and (path.endswith(".py") or before.inode == later.inode)', "", f"{GUARD} -k replaced_by_equal"),
    "a training notices at its end": Break("stages/train.py", "run.look", "print", f"{GUARD} -k records_nothing"),
    "the model does not normalise": Break("mnist/models.py", "sub_(self.mean)", "sub_(0)", "tests/test_models.py -k by_hand"),
    "a module is not declared": Break("pipeline/stage.py", "            imports.check(name,", "            (lambda *_: None)(name,", "tests/test_imports.py -k end_of_the_stage"),
    "check overlooks a module": Break("mnist/commands/check.py", "imports.check(name, entry,", "(name, entry,", "tests/test_imports.py -k until_it_is_listed"),
    "half a run is compared": Break("pipeline/revisions.py", "            running.refuse(self.name)\n", "            pass\n", f"{GUARD} -k second_repro"),
    "answers depend on the company": Break("mnist/commands/predict.py", "(-len(images) % BATCH)", "0", "tests/test_predict.py -k as_many"),
    "a data set's own images are prepared again": Break("mnist/handwriting.py", "if shades.shape != shape or", "if True or", "tests/test_handwriting.py -k stays"),
    "two digits are one": Break("mnist/handwriting.py", "BRIDGED = 0.04", "BRIDGED = 0.3", "tests/test_handwriting.py -k refused"),
    "one wrong picture is the end": Break("mnist/commands/predict.py", "                continue\n", "                break\n", "tests/test_predict.py -k one_of_many"),
    "parts are added as they come": Break("mnist/parts.py", "zip(every, self.shares, strict=True)", "zip(every.flip(0), self.shares, strict=True)", "tests/test_parts.py -k bits"),
    "a part begins where the last one left batch norm": Break("mnist/parts.py", "            buffer.copy_(value)  # each", "            pass  # each", "tests/test_parts.py"),
    "small parts count as much as large ones": Break("mnist/parts.py", ").mul_(images)", ")", "tests/test_parts.py -k whole"),
    "a gradient is laid out otherwise than its weights": Break("mnist/parts.py", "torch.empty_like(weights).copy_(value.view(weights.shape))", "value.view(weights.shape)", "tests/test_parts.py"),
    "validation images are measured by one process alone": Break("mnist/training.py", "[group.rank :: group.size]", "", "tests/endtoend/test_processes.py -k same_bytes"),
    "each process draws as it likes": Break("mnist/parts.py", "    if not (drawn == drawn[0]).all():", "    if False:", "tests/test_parts.py -k draw"),
    "any peer will do": Break("pipeline/group.py", "        group.hold(stage, inputs)\n", "", "tests/endtoend/test_processes.py -k other_inputs"),
    "each process says its error": Break("mnist/training.py", "        if group.rank == 0:\n", "        if True:\n", "tests/endtoend/test_processes.py -k said_once"),
    "Ctrl-C amid an import aborts": Break("pipeline/console.py", "if frame.f_code.co_filename == IMPORT:", "if False:", "tests/test_console.py -k amid"),
    "states pile up": Break("pipeline/resume.py", "    prune(root)\n", "", "tests/test_resume.py"),
    "the curve of a training that ended stays": Break("pipeline/stage.py", "*self.shown)", ")", f"{INTERRUPTIONS} -k goes_on"),
    "the curve is not there before the end": Break("stages/train.py", "            run.show(", "            print(", f"{INTERRUPTIONS} -k goes_on"),
    "half-written files stay": Break("pipeline/stage.py", "            this.discard()", "            pass", f"{INTERRUPTIONS} -k full_disk"),
    "the machine decides on threads": Break("mnist/numerics.py", "torch.set_num_threads(threads)", "pass", "tests/endtoend/test_same_bytes.py -k one_core"),
    "the environment decides on instructions": Break("mnist/numerics.py", PINNED, "        pass", "tests/endtoend/test_same_bytes.py -k environment"),
    "dvc.lock is not current": Break("mnist/predict.py", "\n", "\n\n", "tests/endtoend/test_same_bytes.py -k committed_lock"),
    "a dependency is missing": Break("dvc.yaml", "      - mnist/training.py\n", "", "tests/test_pipeline.py"),
    "a stage imports another": Break("stages/train.py", "from pipeline import console, launch, params, stage, yaml12\n", "from pipeline import console, launch, params, stage, yaml12\nfrom stages import download\n", "tests/test_pipeline.py -k no_other_stage"),
    "dependencies hide behind foreach": Break("pipeline/definition.py", 'ConfigDict(extra="forbid")', "ConfigDict()", "tests/test_bad_input.py -k foreach"),
    "a lock cut off at a size passes": Break("pipeline/lock.py", "    size: int = 0  # bytes\n", "", "tests/test_lock.py"),
    "a key that comes twice in other digits counts once": Break("pipeline/yaml12.py", "self.construct_object(key) if scalar else", "", "tests/test_yaml12.py -k refuses_is"),
    "a dependency is superfluous": Break("dvc.yaml", "      - mnist/training.py\n", "      - mnist/training.py\n      - mnist/plots.py\n", "tests/test_pipeline.py"),
    "any library will do": Break("pipeline/pins.py", 'if installed == "nothing of it" or not', "if not installed and not", "tests/endtoend/test_reruns.py -k newer_torch"),
    "damage is overlooked": Break("pipeline/verify.py", "digest.update(chunk)", "digest.update(chunk[:100])", "tests/test_verify.py -k fifty"),
    "damage belongs to nobody": Break("pipeline/verify.py", "owners.setdefault(inside, [])", "owners.setdefault(path, [])", "tests/test_verify.py -k each_output"),
    "intervals are too wide": Break("mnist/paired.py", "stats.norm.interval(0.95, gained", "stats.norm.interval(0.99, gained", "tests/test_compare.py -k covers"),
    "p is one-sided": Break("mnist/paired.py", "only_a + only_b).pvalue", "only_a + only_b, alternative='less').pvalue", "tests/test_compare.py -k agrees"),
    "stale results are compared": Break("pipeline/revisions.py", "        if changed is not None:", "        if not self.name:", "tests/test_compare.py -k older"),
    "what DVC always runs is always stale": Break("pipeline/stale.py", 'elif change != "always changed":', "else:", "tests/test_stale.py -k always_runs"),
    "data edited before a frozen stage count for nothing": Break("pipeline/stale.py", "                    stage.frozen = False\n", "", "tests/test_stale.py -k 'edited_since and nobody'"),
    "DVC is to unfreeze what it does not edit": Break("pipeline/revisions.py", '"${" not in str(definition.find(tree, f"stages.{name}"))', "True", "tests/test_stale.py -k 'edited_since and git'"),
    "results of another command are compared": Break("pipeline/stale.py", '        yield "cmd"\n', "        pass\n", "tests/test_stale.py -k without_dependencies"),
    "a dependency that is new counts for nothing": Break("pipeline/stale.py", "not in known:", "is None:", "tests/test_stale.py -k not_run_with"),
    "results of mixed inputs are compared": Break("pipeline/stale.py", "    yield from revision.lock.mixed(output)\n", "", "tests/test_stale.py -k again_before"),
    "results of mixed inputs are ranked": Break("mnist/commands/groups.py", "mixed := made.mixed(METRICS)", "mixed := []", "tests/test_stale.py -k again_before"),
    "a stage imports torch": Break("stages/download.py", "        raw = run", "        import torch\n\n        raw = run", "tests/test_start_up.py -k download"),
    "gradients add up": Break("mnist/training.py", "            optimizer.zero_grad()\n", "", "tests/test_training.py -k step_by_step"),
    "labels lose their images": Break("mnist/training.py", "labels.index_select(0, index).long()", SHUFFLED, "tests/test_training.py -k labels_stay"),
    "a loss that is not finite goes on": Break("mnist/training.py", "            check_finite(model, losses, history[-1])\n", "", "tests/test_training.py -k finite"),
    "the schedule stands still": Break("mnist/training.py", "            schedule.step()\n", "", "tests/test_training.py -k schedules"),
    "charts need a network": Break(".dvc/config", "html_template = ", "# ", "tests/test_pages.py -k charts"),
    "the article says what is not so": Break("docs/article.md", "109386\n", "109385\n", "tests/test_docs.py -k article"),
    "a link leads nowhere": Break("README.md", "](docs/article.md)", "](docs/articles.md)", "tests/test_docs.py -k link"),
    "make docs fills in what a page leaves out": Break("tests/docs.py", 'len(part) - 3] + "..."', "]", "tests/test_docs.py -k rewritten"),
    "files may be too long": Break("mnist/idx.py", "if left < 0:", "if left is None:", "tests/test_idx.py"),
    "files may be too short": Break("mnist/idx.py", "        if left:\n", "        if left is None:\n", "tests/test_idx.py"),
    "errors come with a traceback": Break("pipeline/console.py", "if not isinstance(error, OSError):", "if isinstance(error, OSError):", "tests/test_console.py -k takes_nothing"),
    "a warning ends a command": Break("pipeline/console.py", 'warnings.simplefilter("default")', "pass", "tests/test_console.py -k warning_of"),
    "zero has a sign": Break("mnist/commands/figures.py", "+z.", "+.", "tests/test_report.py -k minus_zero"),
    "labels edited by hand are compared": Break("mnist/commands/runs.py", "    if len(unlike):\n", "    if not a.revision:\n", "tests/test_bad_input.py -k 'harmed and compare and edited and recorded'"),
    "a remedy is none": Break("mnist/predictions.py", "`dvc repro -fs evaluate`", "`dvc repro`", "tests/test_bad_input.py -k 'remedy and edited and recorded'"),
    "tests want the shipped parameters": Break("tests/test_recipes.py", "shutil.copy(SHIPPED, ", 'shutil.copy(ROOT / "params.yaml", ', "tests/test_repository.py -k other_recipes"),
    "tests want the shipped recipes": Break("tests/test_recipes.py", ", marks=needs_recipe(name)", "", "tests/test_repository.py -k other_recipes"),
    "DVC's curves are others than ours": Break("dvc.yaml", "[train_loss, validation_loss]", "[validation_loss, train_loss]", "tests/test_plots.py -k curves"),
    "DVC does not show a picture": Break("dvc.yaml", "  - metrics/plots/calibration.png\n", "", "tests/test_plots.py -k every_picture"),
    "a zip archive is any other file": Break("mnist/idx.py", 'b"PK": (', 'b"PKZIP": (', "tests/test_bad_input.py -k 'harmed and zip and archive'"),
    "what is gzipped twice is to be gzipped again": Break("mnist/idx.py", 'return f"gzipped twice; ', 'return f"gzip; ', "tests/test_bad_input.py -k 'harmed and gzip and in'"),
    "labels may count from anywhere": Break("mnist/raw.py", "    if lowest:\n", "    if lowest > 255:\n", "tests/test_bad_input.py -k 'harmed and labels and count'"),
    "classes without images are a wrong label": Break("mnist/raw.py", "if rarest > largest:", "if rarest > 255:", "tests/test_bad_input.py -k 'harmed and classes and too and many'"),
    "files of other names are not told": Break("mnist/formats/recognise.py", "    if renames:\n", "    if not others:\n", "tests/test_bad_input.py -k 'harmed and files and called'"),
    "a folder further down is not told": Break("mnist/formats/recognise.py", "if inside.is_dir():", "if inside.is_file():", "tests/test_bad_input.py -k 'harmed and files and folder and of'"),
    "clothes are put to the test of handwriting": Break("mnist/commands/stress.py", "    if not description.handwriting:\n", "    if not description.dataset:\n", "tests/test_bad_input.py -k 'harmed and stress and handwriting'"),
    "a picture may be of any size": Break("mnist/pictures.py", "if image.width * image.height > most:", "if image.width > most:", "tests/test_bad_input.py -k 'harmed and predict and bomb'"),
    "an empty file is a damaged picture": Break("mnist/commands/arguments.py", "if not status.st_size:", "if status.st_size < 0:", "tests/test_bad_input.py -k 'harmed and predict and empty'"),
    "paper is a digit": Break("mnist/ink.py", "    if usual < max(LEAST_CONTRAST, CLEAREST * noise):\n", "    if usual < 0:\n", "tests/test_bad_input.py -k 'harmed and predict and blank'"),
    "figures that nothing has made are ranked": Break("mnist/commands/groups.py", "made.outputs().get(METRICS) != lock.digest(metrics)", "METRICS not in made.outputs()", "tests/test_leaderboard.py -k does_not_record"),
    "figures that cannot be are ranked": Break("mnist/commands/groups.py", "Field(ge=0, le=1)", "Field(ge=0)", "tests/test_leaderboard.py -k cannot_be"),
    "a commit without results is called damaged": Break("mnist/commands/groups.py", "if text is None or metrics is None:", "if text is None:", "tests/test_leaderboard.py -k is_no_run"),
    "looks at the test images go unnoted": Break("mnist/commands/leaderboard.py", "        git.note(ours)\n", "        pass\n", "tests/test_leaderboard.py -k looked_at"),
    "the best is held against others as if it had not been picked": Break("mnist/seeds.py", "len(several) * (len(several) - 1) // 2", "1", "tests/test_seeds.py -k any_pair"),
    "a recipe's interval is that of its networks": Break("mnist/seeds.py", "variance = sum(by_seeds) + by_images", "variance = by_images", "tests/test_repeats.py -k covers"),
    "the gate of recipes judges networks": Break("mnist/commands/compare.py", "repeats.worse(recipes)", 'found["accuracy_difference"] < 0', "tests/test_repeats.py -k gate"),
    "a run without validation images is ranked": Break("mnist/commands/groups.py", "            blind.append(run.commit[:7])\n            continue\n", "            accuracy, loss = 1.0, 0.0\n", "tests/test_leaderboard.py -k without_validation"),
    "the best run leads": Break("mnist/commands/leaderboard.py", "sign * np.mean(", "sign * np.max(", "tests/test_leaderboard.py -k best_mean"),
    "a stage replaces its own input": Break("pipeline/definition.py", "        if overlap(path, out):", "        if not out:", "tests/test_bad_input.py -k 'folder and raw'"),
    "answers overflow": Break("mnist/predict.py", "if not logits.isfinite().all():", "if not logits.any():", "tests/test_bad_input.py -k overflow"),
    "the gate is open": Break("mnist/commands/compare.py", "if gate and", "if not gate and", "tests/test_compare.py -k gate_stops"),
    "other test images are compared": Break("mnist/commands/runs.py", "a.test_files != b.test_files or", "", "tests/test_compare.py -k other_test_images"),
    "stale code is compared": Break("pipeline/stale.py", "            yield path\n", "            pass\n", "tests/test_compare.py -k older_than_their_code"),
    "a seed counts twice": Break("mnist/commands/groups.py", "            seen.add(text_of_run)\n", "", "tests/test_leaderboard.py -k newest"),
    "other data are ranked together": Break("mnist/commands/groups.py", 'made.outputs().get(DATA, "unknown")[:7]', "''", "tests/test_leaderboard.py -k libraries_or_data"),
    "recall is of another class": Break("mnist/metrics.py", "predictions.classes[k]: float", "predictions.classes[k - 1]: float", "tests/test_metrics.py"),
    "bins are weighted alike": Break("mnist/metrics.py", ", weights=images)", ")", "tests/test_metrics.py"),
    "the compiler is imported": Break("mnist/speed.py", "{**bare, ", "{", "tests/test_start_up.py -k train"),
    "a recipe loses comments": Break("pipeline/params.py", "found = YAML()", "found = YAML(typ='safe', pure=True)", "tests/test_recipes.py"),
    "a sweep's trial comes out another after a kill": Break("pipeline/study.py", 'f"{self.seed} {trial.number} {param_name}"', 'f"{self.seed} {id(study)} {param_name}"', f"{SWEEP} -k killed_workers"),
    "a killed sweep's trial is lost": Break("pipeline/study.py", "if trial.state == TrialState.RUNNING and (self.local", "if False and (self.local", f"{SWEEP} -k killed_workers"),
    "a trial counts twice": Break("pipeline/study.py", "skip_if_finished=True", "skip_if_finished=False", f"{SWEEP} -k no_two"),
    "a dead worker keeps its trial": Break("pipeline/study.py", "self.stale(trial):", "False:", f"{SWEEP} -k no_life"),
    "a study takes trials of other code": Break("pipeline/study.py", "bound.get(key) != ours.get(key)", "False", f"{SWEEP} -k another_space"),
    "data in a folder that DVC tracks change unseen": Break("pipeline/stale.py", "return inside(md5, inner, dep.md5) if inner.parts else md5", "return md5 if not inner.parts else dep.md5", "tests/test_stale.py -k folder_that"),
    "a sweep is bound to data that it does not run on": Break("mnist/commands/sweep.py", "*sorted(code), *data, *map(str, trackers)]", "*sorted(code)]", f"{SWEEP} -k data_that_are_not"),
    "a database that is away at the end costs the report": Break("pipeline/workers.py", "        self.stop.clear()", "        pass", f"{SWEEP} -k just_then"),
    "a half-edited params.yaml gets the best recipe": Break("mnist/commands/sweep.py", "    settings.read()\n    settings.write", "    settings.write", f"{SWEEP} -k half_edited"),
    "workers of a larger repository's folder share no states": Break("pipeline/sandbox.py", '(root / ".resume")', '(self.project / ".resume")', f"{SWEEP} -k larger_repository"),
    "what a kill has locked in a folder stays locked": Break("pipeline/sandbox.py", 'self.root / ".dvc/tmp" / note', 'self.folder / ".dvc/tmp" / note', f"{SWEEP} -k larger_repository"),
    "signs of life end unseen": Break("pipeline/workers.py", " and not beat.done():", ":", f"{SWEEP} -k sign_of_life"),
    "an experiment of other code is a trial's result": Break("mnist/commands/trials.py", "self.other(made)\n", "None\n", f"{SWEEP} -k no_trials_result"),
    "two sweeps run in one folder": Break("pipeline/workers.py", "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass", f"{SWEEP} -k two_sweeps"),
    "ranges are not held against the schema": Break("mnist/commands/space.py", "        settings.check(merged(tree,", "        (lambda *_: None)(merged(tree,", f"{SWEEP} -k what_a_file"),
    "a trial keeps another's test results": Break("pipeline/sandbox.py", "definition.outputs(entry).keys() - kept_outputs", "set()", f"{SWEEP} -k to_rank"),
    "a pruned run goes on": Break("pipeline/sandbox.py", "                    processes.end(process.pid)\n                time", "                    pass\n                time", f"{SWEEP} -k worse_than_others"),
    "code may have been imported before": Break("pipeline/stage.py", "        refuse(name, before.code_written_since(STARTED))\n", "", f"{GUARD} -k taken_note"),
    "a pinned library may change": Break("dvc.yaml", "      - pyproject.toml: [project.optional-dependencies.drawing]\n", "", f"{GUARD} -k pinned"),
    "a stage outlives a dvc that ended before it looked": Break("pipeline/parent.py", "    raise psutil.NoSuchProcess(os.getppid())", "    return psutil.Process(1)", f"{GUARD} -k 'ends_with and True'"),
    "two are at one state": Break("pipeline/resume.py", 'files.locked(root / f"{key}.lock", str(folder))', "contextlib.nullcontext()", "tests/test_resume.py -k second_process"),
    "two prune at once": Break("pipeline/resume.py", 'files.locked(root / "prune.lock", str(root))', "contextlib.nullcontext()", "tests/test_resume.py -k two_processes"),
    "a kill costs the random state": Break("pipeline/resume.py", RNG, "", f"{INTERRUPTIONS} -k random_moments"),
    "check does not see what DVC left": Break("pipeline/lock.py", "except (InputError, ValidationError)", "except (ValueError, ValidationError)", f"{INTERRUPTIONS} -k its_lock"),
    "check leaves its unpacked files": Break("pipeline/files.py", "    remove(path)\n    path.mkdir(parents=True)", "    path.mkdir(parents=True, exist_ok=True)\n    return (yield path)", f"{INTERRUPTIONS} -k killed_check"),
    "a full disk ends the process": Break("mnist/splits.py", ".tobytes())", ".tobytes())\n            out.truncate(10 * out.tell()), out.flush(), np.memmap(path, mode='r+').fill(1)", f"{INTERRUPTIONS} -k fills_up"),
    "Ctrl-C ends in a traceback": Break("pipeline/console.py", "        signal.signal(number, stop)", "        signal.signal(number, signal.default_int_handler)", f"{INTERRUPTIONS} -k goes_on"),
    "a full disk is told when Python ends": Break("pipeline/console.py", "        os.dup2(os.open(os.devnull", "        sys.stderr.write(os.devnull) if sys else os.dup2(os.open(os.devnull", "tests/test_console.py -k takes_nothing"),
    "a folder one may not write to": Break("pipeline/console.py", "ImportError, RuntimeError, SystemError, OSError)", "ImportError, RuntimeError, SystemError)", f"{INTERRUPTIONS} -k cannot_be_written"),
    "an edit runs too little": Break("dvc.yaml", "    params: [normalise]\n", "    params: [dataset]\n", "tests/endtoend/test_reruns.py -k touches"),
    "the committed results are others": Break("metrics/evaluate.json", '"accuracy": 0.9148', '"accuracy": 0.815', "tests/endtoend/test_mnist.py -k fresh_checkout"),
    "the folder decides": Break("mnist/models.py", 'torch=torch.__version__.split("+")[0],', "torch=str(Path.cwd()),", "tests/endtoend/test_same_bytes.py -k experiment"),
    "what cannot be read is removed": Break("pipeline/verify.py", "corrupt=gone)", "corrupt=True)", "tests/test_bad_input.py -k 'right and object'"),
    "DVC's notes are cut off": Break("mnist/commands/check.py", "    running.writers()", "    ()", "tests/test_bad_input.py -k rwlock"),
    "steps wait for the device": Break("mnist/training.py", "                loss.backward()\n", "                loss.backward()\n                loss.item()\n", "tests/test_training.py -k read_back"),
    "shifts are others": Break("mnist/augmentation.py", "windows[torch.arange(len(images), device=images.device), up, left]", "windows[torch.arange(len(images), device=images.device), left, up]", "tests/test_training.py -k step_by_step"),
    "angles are halved": Break("mnist/augmentation.py", "math.tan(math.radians(degrees) / 2)", "math.tan(math.radians(degrees) / 4)", "tests/test_augmentation.py"),
    "angles depend on the processor": Break("mnist/augmentation.py", "(1 - square) / (1 + square)", "torch.cos(2 * torch.atan(half))", "tests/test_augmentation.py -k last_bits"),
    "smoothed labels are forgotten": Break("mnist/losses.py", "label_smoothing=chosen.label_smoothing)", "label_smoothing=0.0)", "tests/test_training.py -k smoothed"),
    "classes weigh without balance": Break("mnist/losses.py", "len(labels) / (len(counts) * counts)", "len(labels) / (len(counts) * counts + 1)", "tests/test_training.py -k weigh"),
    "a batch is divided by its weights": Break("mnist/losses.py", "(each * weights[labels]).mean()", "(each * weights[labels]).sum() / weights[labels].sum()", "tests/test_training.py -k counts_by_its_weight"),
    "weights of classes are forgotten": Break("mnist/losses.py", "if chosen.class_weights else loss", "if False else loss", "tests/test_training.py -k rare_class"),
    "a class without images weighs": Break("mnist/losses.py", "if not count:", "if count < 0:", "tests/test_training.py -k has_no_weight"),
    "the file to start from is not read": Break("mnist/start.py", "{**model.state_dict(), **weights}", "model.state_dict()", "tests/test_start.py -k all_weights"),
    "mean and deviation come from the old data": Break("mnist/start.py", 'if not name.startswith("normalise.")', 'if name', "tests/test_start.py -k all_weights"),
    "a head for other classes is kept": Break("mnist/start.py", "if described.classes != description.classes:", "if len(described.classes) != len(description.classes):", "tests/test_start.py -k last_layer_is_drawn"),
    "an edit of the file to start from goes unnoticed": Break("pipeline/definition.py", "if not any(Path(path).is_relative_to(dep) for dep in deps):", "if not deps:", "tests/test_bad_input.py -k undeclared"),
    "copies of the project lack the file to start from": Break("pipeline/definition.py", "if dep not in made and not is_code(dep)", 'if dep.startswith("data/") and dep not in made', "tests/test_start.py -k 'trains_again or searched'"),
    "a table may be cut off in its last cell": Break("mnist/formats/table.py", 'or file.read() == b"\\n"', 'or file.read() != b""', "tests/test_formats.py -k cut_off_in_its_last"),
    "what is fetched is made smaller in silence": Break("stages/download.py", "if self.download and getattr", "if not self.download and getattr", "tests/test_bad_input.py -k 'harmed and fetched'"),
    "the page makes colours grey": Break("mnist/commands/page/draw.js", "value.length ? value :", "value.length ? [value[0], value[0], value[0]] :", "tests/test_colour.py -k page_shows"),
    "a report of colours is grey": Break("mnist/plots.py", "axes.imshow(image,", "axes.imshow(image if image.ndim == 2 else image.mean(2),", "tests/test_colour.py -k report_shows"),
    "workers lack the file to start from": Break("pipeline/sandbox.py", 'if any(path.is_file() for path in self.project.rglob("*.dvc")):', "if False:", "tests/test_start.py -k goes_on_when_killed"),
    "fine-tuning goes on with other chance": Break("pipeline/resume.py", RNG, "", "tests/test_start.py -k goes_on_when_killed"),
    "a model of colours sees greys": Break("mnist/models.py", "pixels.movedim(3, 1)", "pixels.float().mean(3, True).expand(-1, -1, -1, 3).movedim(3, 1)", "tests/test_colour.py -k tells_apart"),
    "a full disk is not said to be one": Break("pipeline/stage.py", 'error.filename or f"{name}, reading or writing"', "error.filename", f"{INTERRUPTIONS} -k fills_up"),
    "labels are counted in bytes": Break("mnist/predictions.py", "np.add.at(counts, (predictions.actual, predictions.predicted), 1)", "np.add.at(counts.reshape(-1), predictions.actual * len(counts) + predictions.predicted, 1)", "tests/test_metrics.py -k however_many_classes"),
    "test results may be another model's": Break("mnist/commands/leaderboard.py", "mixed := made.mixed(TEST)", "mixed := []", "tests/test_leaderboard.py -k of_another_model"),
    "a run without validation images is damaged": Break("mnist/commands/groups.py", "    validation_loss: float | None = None", "    validation_loss: float | None", "tests/test_leaderboard.py -k without_validation_images"),
    "the chance of images is that of a parameter": Break("mnist/commands/leaderboard.py", "(run.images for group in here for run in group.runs if run.images)", "iter(())", "tests/test_leaderboard.py -k chance_of_images"),
    "a pass of one image ends in torch's words": Break("mnist/training.py", "    parts.check_passes(model, images[:1], len(images), chosen)\n", "", "tests/test_parts.py -k before_it_begins"),
    "other training data go unsaid": Break("mnist/commands/compare.py", 'if found["data"] or found["code"]', 'if found["code"]', "tests/test_compare.py -k not_one_of_recipes"),
    "a model of other data claims MNIST's recipes": Break("mnist/commands/fingerprint.py", "= description.dataset == DATASET", "= True", "tests/test_fingerprint.py -k names_the_recipe"),
    "a model of another split claims a recipe": Break("mnist/commands/recipe.py", "{**normalise, **tree.get(\"normalise\", {}), \"seed\": 0}", "normalise", "tests/test_fingerprint.py -k other_images"),
    "a stage that is gone is missed": Break("pipeline/again.py", " if name in names}", "}", "tests/test_prove.py -k 'raw_data_alone and dvc'"),
    "an experiment's new keys are not set": Break("pipeline/revisions.py", "{'' if key in here else '+'}", "", "tests/test_compare.py -k any_parameters"),
    "data that git has lost go unnoticed": Break("pipeline/stale.py", "        whole = has_all(git.below", "        has_all(git.below", "tests/test_stale.py -k 'data_edited_since and git'"),
    "the exact test is contradicted in silence": Break("mnist/commands/compare.py", 'if beyond else ""', 'if not found else ""', "tests/test_compare.py -k which_decides"),
    "any network is started from": Break("mnist/start.py", "if description.model != model:", "if not model:", "tests/test_bad_input.py -k architecture"),
    "a diff of a page is not applied": Break("tests/docs.py", '"git", "apply", file.name', '"git", "apply", "--check", file.name', "tests/test_docs.py -k diff_is_applied"),
    "the validation loss is the training's": Break("mnist/training.py", "F.cross_entropy(logits, targets.long())", "F.mse_loss(logits.softmax(1), F.one_hot(targets.long(), logits.shape[1]).float())", "tests/test_training.py -k whatever_is_trained_on"),
    "the last weights are kept, not their average": Break("mnist/training.py", "        model.load_state_dict(average.module.state_dict())", "        pass", "tests/test_training.py -k measured_and_kept"),
    "batch norm is not averaged": Break("mnist/training.py", "use_buffers=True", "use_buffers=False", "tests/test_training.py -k measured_and_kept"),
    "an average starts over with a resumed training": Break("mnist/training.py", '**({"average": average} if average else {})', "", "tests/test_training.py -k from_a_checkpoint"),
    "the README's means are others": Break("benchmarks/recipes.csv", "cnn,0,0.9", "cnn,0,0.8", "tests/test_benchmarks.py -k means"),
    "the optimizer is another": Break("mnist/training.py", 'include={"weight_decay", *own}', 'include={*own}', "tests/test_training.py -k torchs_own"),
    "DVC records what changed code has made": Break("pipeline/inputs.py", "return Inputs(values, deps, {name: version for", "return Inputs(values, deps, {name: version for _ in [] for", f"{GUARD} -k 'records_nothing and training'"),
    "dvc.yaml is taken as it comes": Break("pipeline/definition.py", "    except ValidationError as error:", "    except KeyError as error:", "tests/test_bad_input.py -k 'stages and that'"),
    "another matplotlib reruns nothing": Break("dvc.yaml", "      - pyproject.toml: [project.optional-dependencies.drawing]\n", "", "tests/endtoend/test_reruns.py -k library"),
    "a library of DVC's reruns the training": Break("dvc.yaml", "project.optional-dependencies.drawing]", "project.dependencies]", "tests/endtoend/test_reruns.py -k commands_and"),
    "AdamW is another": Break("mnist/training.py", '(optim.AdamW, set())', '(optim.Adam, set())', "tests/test_training.py -k torchs_own"),
    "the page is always light": Break("mnist/commands/report.html", "(prefers-color-scheme: dark)", "(prefers-color-scheme: grey)", "tests/test_pages.py -k dark"),
    "pictures are not printed": Break("mnist/commands/report.html", "figure, tr { break-inside: avoid; }", "figure { display: none; }", "tests/test_pages.py -k printed"),
    "what DVC cannot read in brackets is read": Break("pipeline/yaml12.py", 'set(":?") & set(event.value)', "False", "tests/test_yaml12.py -k refuses_is"),
    "a merge conflict is called broken YAML": Break("pipeline/yaml12.py", "    check_merged(content, place)\n", "", f"{CHECKOUTS} -k called_one"),
    "a project has to lie at the root of its repository": Break("pipeline/files.py", "(Path.cwd(), *Path.cwd().parents)", "(Path.cwd(),)", f"{CHECKOUTS} -k 'leads_there and larger'"),
    "a frozen stage is to be run by dvc repro alone": Break("pipeline/revisions.py", 'frozen") is True]', 'frozen") is None]', f"{CHECKOUTS} -k 'leads_there and shallow'"),
    "what git cannot fetch ends in a traceback": Break("pipeline/git.py", 'io.BytesIO(checked("cat-file", "--batch", given=given))', 'io.BytesIO(execute("cat-file", "--batch", given=given).stdout)', f"{CHECKOUTS} -k remote_is_gone"),
    "one of several commits is taken": Break("pipeline/git.py", "if len(found) > 1:", "if len(found) > 9:", f"{CHECKOUTS} -k several_things"),
    "what git has started stays": Break("pipeline/processes.py", "[*started, process]", "[process]", f"{CHECKOUTS} -k one_signal"),
    "a signal does not end a wait for a remote": Break("pipeline/console.py", "raise Stopped(number)", "pass", f"{CHECKOUTS} -k one_signal"),
    "a shallow clone stays one": Break("pipeline/git.py", "git fetch --unshallow --tags", "git fetch --tags", "tests/test_compare.py -k shallow"),
    "line ends are converted": Break("pipeline/git.py", 'yield content if', 'yield content.replace(b"\\n", b"\\r\\n") if', f"{CHECKOUTS} -k line_ends"),
    "a damaged .dvc file ends in a traceback": Break("pipeline/lock.py", "Tracked.model_validate(", "Tracked.model_construct(**", "tests/test_bad_input.py -k 'dvc and file and number'"),
    "check overlooks what DVC cannot read": Break("mnist/commands/check.py", "    verify.check_graph()", "    ()", "tests/test_bad_input.py -k 'dvc and file and number'"),
    "loading SciPy never ends": Break("pipeline/__init__.py", "mmap.mmap(-1, LEAST)", "mmap.mmap(-1, 1)", "tests/test_console.py -k too_little"),
    "a remote that does not answer has nothing": Break("pipeline/revisions.py", "NoRemoteError, FileNotFoundError", "NoRemoteError, OSError", f"{CHECKOUTS} -k from_dvcs_remote"),
    "make installs nothing": Break("Makefile", "pip install --quiet --disable-pip-version-check -r", "pip check #", "tests/test_make.py -k messages_say"),
    "prove overlooks what differs": Break("pipeline/again.py", "if then.get(what) != now.get(what):", "if then.get(what) is None:", "tests/test_prove.py -k first_difference"),
    "prove leaves its folder": Break("pipeline/again.py", "files.scratch(place):", "files.scratch(place.with_name('other')):\n        place.mkdir(exist_ok=True)", "tests/test_prove.py -k half_way"),
    "a run is overlooked in a branch": Break("pipeline/git.py", '"--all", "--full-history"', '"HEAD", "--full-history"', "tests/test_show.py -k newest"),
    "an exported model does not normalise": Break("mnist/commands/export.py", "    return plain.eval()", "    plain.normalise.mean.zero_()\n    return plain.eval()", "tests/test_export.py -k any_number"),
    "an exported file is not tried": Break("mnist/commands/export.py", "    if unlike:", "    if False:", "tests/test_export.py -k there_is_no_file"),
    "bars stand still while a stroke grows": Break("mnist/commands/page/draw.js", "panel.due && !drawing", "panel.due", "tests/test_serve.py -k grows"),
    "a picture that is too large is waited for": Break("mnist/commands/web.py", "        raise too_much  # before", "        pass  # before", "tests/test_serve.py -k announced"),
    "the page of the API asks others": Break("mnist/commands/web.py", "app = FastAPIOffline(", "app = FastAPI(", "tests/test_serve.py -k documented"),
    "a picture takes minutes": Break("mnist/pictures.py", "MOST_SCANS = 100", "MOST_SCANS = 10**9", "tests/test_handwriting.py -k too_many_parts"),
    "a released model reaches nobody": Break("dvc.yaml", "    path: models/model.safetensors\n", "    path: metrics/train.json\n", "tests/test_artifacts.py"),
    "a damaged commit is the end of show": Break("pipeline/origin.py", "            return False\n", "            raise\n", "tests/test_show.py -k newest"),
    "the model's key is another than dvc.lock's": Break("stages/train.py", "statistics, run.key)", "statistics, run.key[::-1])", "tests/test_lock.py"),
    "all data are handwriting": Break("mnist/formats/sources.py", "handwriting and name not in NOT_WRITTEN)", "True)", "tests/test_sources.py -k handwriting"),
    "pictures by class are in another order": Break("mnist/formats/classes.py", "        return sorted(files, key=lambda each: int(each[0].stem))\n", "        return files\n", "tests/test_formats.py -k whatever_form"),
    "there may be too few GPUs": Break("pipeline/group.py", "processes > (there := torch.cuda.device_count())", "processes < (there := 0)", "tests/endtoend/test_processes.py -k gpus"),
    "an image has what was run before": Break(".dockerignore", "data/raw\n", "", "tests/test_repository.py -k image"),
    "a part of the benchmark is not kept": Break("benchmarks/__main__.py", " | {name: text}", "", "tests/test_benchmarks.py -k section"),
    "convolutions are padded": Break("mnist/models.py", '(12, "valid") if', '(0, "same") if', "tests/test_models.py -k by_hand"),
    "processes that read pictures decide their order": Break("mnist/formats/photos.py", "zip(itertools.cycle(ours),", "zip(itertools.cycle(ours[::-1]),", "tests/test_formats.py -k however_many"),
    "a data set's own validation images are not used": Break("mnist/splits.py", '    if "validation" in whole:\n', '    if "valid" in whole:\n', "tests/test_formats.py -k validation_split"),
    "test images are drawn without regard to classes": Break("mnist/formats/sources.py", "stratified(labels, count, seed)", "stratified(labels * 0, count, seed)", "tests/test_formats.py -k gives_its_share"),
    "leakage is not seen": Break("mnist/commands/oddities.py", "setdefault(first[0], [])", "setdefault(split, [])", "tests/test_formats.py -k look_says"),
    "an npz may bring objects": Break("mnist/formats/npz.py", "if dtype.hasobject:", "if not dtype:", "tests/test_bad_input.py -k 'by_look and objects'"),
    "an npz may go on for ever": Break("mnist/formats/npz.py", "            if stream.read(1):", "            if not stream:", "tests/test_bad_input.py -k 'by_look and bomb'"),
    "some rows say where a table's labels are": Break("mnist/formats/table.py", "        for row in rows:\n", "        for row in itertools.islice(rows, 200):\n", "tests/test_formats.py -k class_after_class"),
    "pandas' header is an image": Break("mnist/formats/table.py", "    if cells == [", "    if not cells == [", "tests/test_bad_input.py -k 'by_look and pandas'"),
    "rows of a table may be short": Break("mnist/formats/table.py", "!= found.cells:", "== 10**9:", "tests/test_bad_input.py -k 'by_look and CSV and row'"),
    "one of two test folders is overlooked": Break("mnist/formats/classes.py", "elif (other := splits.setdefault(split, each)) != each:", "elif not (other := splits.setdefault(split, each)):", "tests/test_bad_input.py -k 'by_look and both'"),
    "large images are batched as small ones": Break("mnist/dataset.py", "CHUNK // max(1, size)", "CHUNK // 784", "tests/test_formats.py -k become_large"),
    "large images are measured as small ones": Break("mnist/training.py", "dataset.at_once(images[:1].nbytes)", "1000", "tests/test_training.py -k thousand_images"),
    "an animation is its first frame": Break("mnist/formats/photos.py", '"n_frames", 1) > 1:', '"n_frames", 1) > 10:', "tests/test_bad_input.py -k 'by_look and animated'"),
    "colours are lost on the way": Break("mnist/formats/photos.py", "and options.channels != COLOUR:", ":", "tests/test_colour.py -k whatever_form"),
    "all channels have the mean of the first": Break("mnist/splits.py", "shades[:, k]", "shades[:, 0]", "tests/test_splits.py -k more_images"),
    "channels are mixed": Break("mnist/models.py", "pixels.movedim(3, 1)", "pixels.movedim(3, 1).flip(1)", "tests/test_models.py -k of_colours"),
    "channels move apart": Break("mnist/augmentation.py", "moved.movedim(1, 3)", "moved.reshape(images.shape)", "tests/test_augmentation.py -k channel"),
    "pictures of colours are grey": Break("mnist/plots.py", "axes.imshow(image,", "axes.imshow(image if image.ndim == 2 else image.mean(2),", "tests/test_colour.py -k show_the_colours"),
    "a colour is seen in grey": Break("mnist/handwriting.py", "channels=COLOUR if shape[2:] else 1)", "channels=1)", "tests/test_handwriting.py -k as_for_training"),
    "predict shrinks pictures otherwise than training": Break("mnist/handwriting.py", "        return photos.pixels(image, options)\n", "        raise InputError\n", "tests/test_handwriting.py -k as_for_training"),
    "a fourth dimension may be anything": Break("mnist/idx.py", "if shape[3:] not in ([], [3]):", "if not shape:", "tests/test_idx.py -k header"),
    "a port in use is a traceback": Break("mnist/commands/serve.py", "    except OSError as error:\n        reason", "    except KeyError as error:\n        reason", "tests/test_serve.py -k port_in_use"),
    "one who goes away leaves a traceback": Break("mnist/commands/web.py", "    except ClientDisconnect as error:", "    except KeyError as error:", "tests/test_serve.py -k goes_away"),
    "a checkout is the submodule's outer repository": Break("pipeline/git.py", "{run('rev-parse', '--absolute-git-dir').strip()}", ".git/", "tests/test_prove.py -k submodule"),
    "one damaged picture is the end": Break("mnist/pictures.py", "    except Exception as error:  # what", "    except KeyError as error:  # what", "tests/test_predict.py -k hostile"),
    "the server keeps what pictures took": Break("mnist/commands/serve.py", "mallopt(speed.M_MMAP_THRESHOLD, LARGE)", "mallopt(0, 0)", "tests/test_speed.py -k gives_back"),
    "a run writes to the home": Break("pipeline/files.py", 'return Path(os.path.relpath(folder), ".dvc/tmp")', 'return Path.home() / "tmp"', "tests/endtoend/test_same_bytes.py -k another_disk"),
    "a forked command always succeeds": Break("tests/forked.py", "str(status).encode()", 'b"0"', "tests/test_forked.py -k prints_and_ends"),
    "a forked command has an older environment": Break("tests/forked.py", "    os.environ.clear()\n", "", "tests/test_forked.py -k environment_of"),
    "an output is not shared": Break("dvc.yaml", "outs: [metrics/predictions.csv]", "outs: [{metrics/predictions.csv: {push: false}}]", "tests/test_sharing.py -k 'what_one_has_run and folder'"),
    "a killed push is not completed": Break("tests/remotes.py", '"dvc", "push", "--run-cache")\n    return Killed', '"true")\n    return Killed', "tests/test_sharing.py -k 'killed and folder'"),
    "damage from a remote is overlooked": Break("pipeline/verify.py", "if digest.hexdigest() != path", "if not path", "tests/test_sharing.py -k 'damaged and folder'"),
}  # fmt: skip


def verdict(broken: Break, folder: Path) -> str:
    """Clone, break, run the tests: `red` if one fails that passes in the clone as it is."""
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    path = folder / broken.file
    text = path.read_text("utf-8")
    command = f"{sys.executable} -m pytest -x {broken.tests}"
    statuses = []
    for content in (text, text.replace(broken.old, broken.new, 1)):
        path.write_text(content, "utf-8")
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=False)
        statuses.append(done.returncode)
    return "red" if statuses == [0, 1] else "NOT GREEN BEFORE" if statuses[0] else "NOT RED"


def main(names: list[str]) -> None:
    """Break what is named, or everything."""
    if unknown := [name for name in names if name not in BREAKS]:
        sys.exit(f"{__doc__}\nerror: {unknown[0]}: no such row{suggestion(unknown[0], list(BREAKS), '')}")
    failed = []
    for name in names or BREAKS:
        with tempfile.TemporaryDirectory() as folder:
            found = verdict(BREAKS[name], Path(folder, "mnist"))
        print(f"{found}  {name}: {BREAKS[name].tests}", flush=True)
        failed += [] if found == "red" else [name]
    sys.exit(len(failed) > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
