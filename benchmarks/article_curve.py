"""Draw the article's ten losses beside this project's, for five seeds: python -m benchmarks.article_curve

Trains the recipe `article` on all of MNIST in a clone; writes docs/images/article-curve.png and the table in
docs/article.md. Takes a minute.
"""

import re
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks import pipeline
from mnist import plots, results

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs/article.md", ROOT / "docs/images/article-curve.png"
ARTICLE = [1.9487, 0.8663, 0.5124, 0.4226, 0.3805, 0.3552, 0.3370, 0.3234, 0.3124, 0.3027]
SEEDS = range(5)


def losses() -> np.ndarray:
    """Mean training loss, (seeds, epochs)."""
    with tempfile.TemporaryDirectory() as folder:
        project = pipeline.clone(ROOT, Path(folder, "mnist"))
        pipeline.run(project, "python", "-m", "mnist", "recipe", "article")
        found = []
        for seed in SEEDS:
            pipeline.run(project, "dvc", "exp", "run", "-S", f"train.seed={seed}")
            found.append([row.train_loss for row in results.read_history(project / results.HISTORY)])
    return np.array(found)


def table(found: np.ndarray) -> str:
    """The losses by epoch, the article's beside the smallest and largest of ours, and by how much the worst is off."""
    lines = ["| epoch | article | five seeds | furthest off |", "|---|---|---|---|"]
    for epoch, (theirs, ours) in enumerate(zip(ARTICLE, found.T, strict=True), start=1):
        off = 100 * max(abs(ours - theirs)) / theirs
        lines.append(f"| {epoch} | {theirs:.4f} | {ours.min():.4f}–{ours.max():.4f} | {off:.1f} % |")
    return "\n".join(lines)


def draw(found: np.ndarray) -> Figure:
    """The article's curve over the band of ours."""
    plots.settle()
    epochs = range(1, len(ARTICLE) + 1)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(epochs, found.min(0), found.max(0), color=plots.BLUE, alpha=0.25, label="band of five seeds")
    for run in found:
        axes.plot(epochs, run, color=plots.BLUE, lw=0.8)
    axes.plot(epochs, ARTICLE, "o", color=plots.VERMILLION, ms=5, label="printed in the article")
    axes.set(xlabel="epoch", ylabel="mean training loss", ylim=(0, None), xticks=list(epochs))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    measured = losses()
    plots.save(draw(measured), PICTURE)
    between = re.compile(r"(<!-- by benchmarks\.article_curve -->\n).*?(<!-- end -->)", re.DOTALL)
    text = PAGE.read_text("utf-8")
    PAGE.write_text(between.sub(lambda match: match[1] + table(measured) + "\n" + match[2], text), "utf-8")
