"""`tfopt.Pipeline`: stages in order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf
from rich.console import Console

from tfopt import _validation, distribute
from tfopt.data.sources.batches import as_dataset
from tfopt.pipeline.execution import execute
from tfopt.pipeline.preflight import planned
from tfopt.pipeline.run import Run
from tfopt.pipeline.run_config import Callbacks, RunConfig
from tfopt.pipeline.training.compilation import Compilation
from tfopt.stages.base import Stage
from tfopt.stages.order import check_order


class Pipeline:
    """Stages in order, run with resume and with what earlier stages made checked after each.

    Args:
        stages: at least one; the order is checked at once.

    Raises:
        StageOrderError: one stage would undo another.

    Example:
        >>> pipeline = tfopt.Pipeline([tfopt.Prune(sparsity=0.8), tfopt.ExportTFLite("int8")])
        >>> run = pipeline.run(model, data, out="saved_models/digits")
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        check_order(stages)
        self.stages = tuple(stages)

    def run(
        self,
        model: keras.Model,
        data: Any,
        *,
        out: str | os.PathLike[str],
        strategy: str | tf.distribute.Strategy = "auto",
        scale_learning_rate: Literal["linear", "sqrt"] | None = None,
        precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None,
        drop_remainder: bool = False,
        seed: int = 0,
        fresh: bool = False,
        name: str | None = None,
        batch_size: int = 64,
        checkpoint_steps: int | None = None,
        callbacks: Callbacks = (),
        quiet: bool = False,
    ) -> Run:
        """Run the stages on a compiled model, in a folder of its own below `out`.

        The folder's name is derived from what will be done: the model with its weights, how it is
        compiled, the stages, the data, seed and batch size. Called again with the same, a run that is
        complete is returned and one that was interrupted resumes, with the same result; set the seed
        (`keras.utils.set_random_seed`) before you make the model, or its weights are new every time.
        The model itself is left as it is: every stage works on a copy, with a new optimizer of the
        same config.

        Args:
            model: functional or Sequential, compiled with optimizer, loss and metrics.
            data: what to train, validate and test on: a `tfopt.data.Dataset`, or what
                `tfopt.data.from_batches` takes, or a dict of such with `train` and optionally `validation`
                and `test`.
            out: the folder of runs.
            strategy: see `tfopt.distribute.resolve`. Of several processes (`"multi_worker"`), each calls
                this with the same arguments; the chief writes, and all return the run.
            scale_learning_rate: multiply learning rates by the number of replicas (`"linear"`) or its root
                (`"sqrt"`), where `batch_size` was raised with them; `None` leaves them.
            precision: what the layers compute in, but for those that make the outputs: `"float32"`,
                `"mixed_bfloat16"` or `"mixed_float16"` (with a loss scale); `None` leaves the model's own.
            drop_remainder: train each epoch without the samples that do not fill a batch, so that all
                batches have one shape, which a TPU and XLA compile once. With `jit_compile` and
                `steps_per_execution` the stages train as the model is compiled.
            seed: random seed of the stages, from 0.
            fresh: start anew although the same run exists.
            name: of the run in reports; by default that of `out`.
            batch_size: samples a step, over all replicas.
            checkpoint_steps: keep the state of a training each so many steps too, so that a run that is cut
                off goes on from there, with the same result; `None` after each epoch alone.
            callbacks: Keras callbacks for every training; copied, or made anew where a callable.
            quiet: show no progress.

        Raises:
            InvalidArgumentError, UnsupportedModel, DataError: before any training, for what cannot work.
            InvariantError: a stage broke what an earlier one had made.
            VerificationError: the exported file does not do what the model does.
            RunError: the folder cannot be written, or another process writes it.
            WorkerError: another process of the strategy is gone, or is to run something else.
        """
        out = _validation.path("Pipeline.run", "out", out)
        choice = distribute.choose(strategy)
        with distribute.taking_part(choice.strategy):
            config = RunConfig(
                caller="Pipeline",
                name=name or out.resolve().name,
                data=as_dataset(data),
                stages=self.stages,
                compilation=Compilation.of_model(model),
                callbacks=callbacks,
                batch_size=batch_size,
                seed=seed,
                strategy=choice.strategy,
                reason=choice.reason,
                scale_learning_rate=scale_learning_rate,
                precision=precision,
                drop_remainder=drop_remainder,
                checkpoint_steps=checkpoint_steps,
            )
            console = None if quiet else Console(stderr=True)
            return execute(planned(config, model), out, fresh=fresh, console=console)

    def __repr__(self) -> str:
        return f"Pipeline([{', '.join(map(repr, self.stages))}])"
