"""Train a recipe in the current folder and measure it: python -m benchmarks.recipe NAME [SEED]

Prints a JSON object: what a `Run` of benchmarks/recipes.py has.
"""

import json
import sys
import time

from mnist import numerics
from mnist.commands import recipe, settings
from pipeline import resume

name, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
recipe.apply(name)
chosen = settings.read().train.model_copy(update={"seed": seed})
numerics.pin(chosen.threads)

from mnist import dataset, models, predict, training  # noqa: E402
from mnist.commands import fingerprint  # noqa: E402

model, _ = models.create(chosen, dataset.statistics())
split = dataset.load("train")
start, worked = time.perf_counter(), time.process_time()
training.train(model, chosen, split, None, resume.Checkpoint(None))
seconds, processor_seconds = time.perf_counter() - start, time.process_time() - worked
test = dataset.load("test")
right = predict.probabilities(model.eval(), test.images, 1000).argmax(1) == test.labels
print(
    json.dumps(
        {
            "recipe": name,
            "seed": seed,
            "accuracy": right.mean(),
            "seconds": round(seconds, 1),
            "processor_seconds": round(processor_seconds, 1),
            "fingerprint": fingerprint.of(model.state_dict()),
        }
    )
)
