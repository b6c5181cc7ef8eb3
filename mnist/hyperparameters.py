"""The hyper-parameters of a training: what the section `train` of params.yaml holds."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Hyperparameters(BaseModel):
    """What decides a training, beside the data; params.yaml says what each of them does."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    model: Literal["mlp", "cnn"]
    loss: Literal["cross_entropy", "nll", "mse"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: Annotated[float, Field(gt=0, le=1000)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1000)]
    schedule: Literal["constant", "one_cycle", "cosine"]
    shift: Annotated[int, Field(ge=0, le=100)]
    rotate: Annotated[float, Field(ge=0, le=90)]
    average: Annotated[float, Field(ge=0, lt=1)]
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    device: Literal["cpu", "cuda"]
    parts: Annotated[int, Field(ge=1, le=1024)] = 1
    class_weights: Literal["balanced"] | None = None
    start_from: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def momentum_is_for_sgd(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum is for sgd; {self.optimizer} has its own: set train.momentum to 0.0")
        return self

    @model_validator(mode="after")
    def smoothing_is_for_cross_entropy(self) -> Self:
        if self.label_smoothing and self.loss != "cross_entropy":
            raise ValueError(
                f"label_smoothing is for cross_entropy; {self.loss} takes none: set train.label_smoothing to 0.0"
            )
        return self

    @model_validator(mode="after")
    def each_part_has_an_image(self) -> Self:
        if self.parts > self.batch_size:
            raise ValueError(f"parts: {self.parts} of {self.batch_size} images a batch; set train.parts to fewer")
        return self
