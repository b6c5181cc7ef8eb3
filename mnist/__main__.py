"""The commands beside DVC's: python -m mnist COMMAND."""

if __name__ == "__main__":
    import pipeline.interrupt  # noqa: F401

from mnist.commands import (
    check,
    compare,
    export,
    fingerprint,
    leaderboard,
    look,
    predict,
    prove,
    recipe,
    report,
    serve,
    show,
    stress,
    sweep,
    verify,
)
from pipeline import console

app = console.application("Commands beside DVC's own, for the pipeline in this folder.")
app.callback()(lambda: None)  # so that a single command would still be called by its name
for command in (
    recipe.recipe,
    check.check,
    look.look,
    predict.predict,
    compare.compare,
    report.report,
    leaderboard.leaderboard,
    sweep.sweep,
    stress.stress,
    fingerprint.fingerprint,
    show.show,
    prove.prove,
    export.export,
    serve.serve,
    verify.verify,
):
    app.command()(command)

if __name__ == "__main__":
    console.main(app)
