"""What may be wrong with the model file that a training is to start from, and with the weights of classes."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import shutil

from tests.cases import CHECK, MODEL, TRAIN, Case
from tests.harms import Harm, given, in_turn, model, swap, text

OLD = "old.safetensors"
NAMED = given("  device: cpu", f"  start_from: {OLD}\n  device: cpu")
DECLARED = in_turn(
    NAMED, swap("dvc.yaml", ("      - mnist/augmentation.py\n", f"      - mnist/augmentation.py\n      - {OLD}\n"))
)
BALANCED = given("  device: cpu", "  class_weights: balanced\n  device: cpu")


def start(*harms: Harm) -> Harm:
    """Have training start from a copy of the model, made after these harms."""
    return in_turn(DECLARED, *harms, lambda root: shutil.copy(root / MODEL, root / OLD))


TRACKED = text(f"{OLD}.dvc", f"outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 1\n  hash: md5\n  path: {OLD}\n")
WIDE = start(model(lambda _, description: description.update(image_shape=[14, 56])))
OTHER = start(given("model: mlp", "model: cnn"))
START = [
    *(Case("an undeclared start", command, NAMED,
           r"dvc\.yaml: stages: train: reads old\.safetensors \(train\.start_from\), .*; add `- old\.safetensors` to its deps") for command in (CHECK, TRAIN)),
    Case("no file to start from", CHECK, DECLARED, r"train\.start_from: old\.safetensors: no such file; name one that is there, or null"),
    Case("no file to start from", TRAIN, DECLARED, r"old\.safetensors: missing, and dvc\.yaml says that this stage reads it; "),
    Case("no file to start from, which DVC tracks", CHECK, in_turn(DECLARED, TRACKED), r"no such file; `dvc checkout old\.safetensors\.dvc` or `dvc pull old\.safetensors\.dvc`"),
    Case("no file to start from, which DVC tracks", TRAIN, in_turn(DECLARED, TRACKED), r"old\.safetensors: missing, .*; `dvc checkout old\.safetensors\.dvc`"),
    *(Case("a start of no model", command, in_turn(DECLARED, text(OLD, "x")),
           r"train\.start_from: old\.safetensors: not a whole safetensors file .*; name a model file of this project") for command in (CHECK, TRAIN)),
    *(Case("a start of another architecture", command, OTHER, r"train\.start_from: old\.safetensors: is mlp, not cnn; set train\.model to mlp") for command in (CHECK, TRAIN)),
    *(Case("a start for other images", command, WIDE, r"is for images of 14×56, and the data set has 28×28; set dataset\.image_size to \[14, 56\]") for command in (CHECK, TRAIN)),
    Case("other weights of classes", TRAIN, given("  device: cpu", "  class_weights: {0: 2}\n  device: cpu"), r"train\.class_weights: should be 'balanced', not a dict"),
    Case("a class that weighs without an image", CHECK, in_turn(BALANCED, given("validation: 200", "validation: 1199")),
     r"train\.class_weights: the class '\d' has no training images, .*; set it to null"),
]  # fmt: skip
