"""Train a recipe in the current folder and measure it: python -m benchmarks.recipe NAME [SEED]

Prints a JSON object: seconds of training, test accuracy, and the recipe that the weights are known to be of.
"""

import json
import sys
import time

from mnist import numerics
from mnist.commands import recipe, settings
from pipeline import resume

recipe.apply(sys.argv[1])
chosen = settings.read().train.model_copy(update={"seed": int(sys.argv[2]) if len(sys.argv) > 2 else 0})
numerics.pin(chosen.threads)

from mnist import dataset, models, predict, training  # noqa: E402
from mnist.commands import fingerprint  # noqa: E402

model, _ = models.create(chosen, dataset.statistics())
split = dataset.load("train")
start = time.perf_counter()
training.train(model, chosen, split, None, resume.Checkpoint(None))
seconds = time.perf_counter() - start
test = dataset.load("test")
right = predict.probabilities(model.eval(), test.images, 1000).argmax(1) == test.labels
known = {row.fingerprint: row.recipe for row in fingerprint.known()}.get(fingerprint.of(model.state_dict()))
print(json.dumps({"seconds": seconds, "accuracy": right.mean(), "known": known}))
