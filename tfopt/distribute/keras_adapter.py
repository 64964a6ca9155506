"""The one place that knows what Keras's `fit` does wrong under several replicas: that of Keras 3.15.

`training` puts functions in place of four methods of one model and its optimizer while it trains, of no
class:

- `_maybe_symbolic_build` averages the parts of the first batch, which fails for several workers and for
  parts of different lengths. One part tells shapes and types as well.
- `reduce_per_replica` averages metrics over axis 0, which scalars do not have, where there are several
  workers (keras-team/keras#20585). `make_train_function` and `make_test_function` are public, and make
  functions here that reduce scalars.
- Each replica has the mean loss of its own samples, and gradients are averaged over replicas. Where the last
  batch of an epoch does not divide, samples of the smaller parts would count more. `scale_loss` weighs the
  loss by the share of the samples.
- A replica that gets no sample of the last batch: see `tfopt.distribute.spare_part`.
- `steps_per_execution` above 1: see `tfopt.distribute.several_steps`, which also serves one replica.
- `LossScaleOptimizer.check_finite` looks at gradients before they are summed, and the first replica decides
  for all: an overflow in another one becomes NaN weights. Here all are asked.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfopt import _replica_share
from tfopt.distribute import several_steps
from tfopt.distribute.spare_part import SparePart
from tfopt.distribute.workers import group_of
from tfopt.errors import InvalidArgumentError, UnsupportedModel

logger = logging.getLogger(__name__)

KERAS = "3.15"
_NEEDED = (
    "_maybe_symbolic_build",
    "_symbolic_build",
    "_make_function",
    "make_train_function",
    "make_test_function",
)


@contextlib.contextmanager
def training(
    model: keras.Model, *, uneven: bool = True, steps_per_epoch: int | None = None, first_step: int = 0
) -> Iterator[None]:
    """Let `fit` and `evaluate` of a compiled model train under several replicas as on one device.

    Does nothing to a model of one replica, but for one compiled with `steps_per_execution` above 1 where
    `steps_per_epoch` is known: its epochs have exactly so many steps.

    Args:
        model: compiled, made in the scope of a strategy.
        uneven: whether a batch may come whose samples do not divide by the replicas, such as the last one of
            an epoch; each step then counts the samples of all replicas.
        steps_per_epoch: as `fit` is told; `steps_per_execution` above 1 needs it on several replicas.
        first_step: of the first epoch, where a training goes on in the middle of one.

    Raises:
        UnsupportedModel: this Keras has no more what has to be replaced.
        InvalidArgumentError: the model is compiled with `steps_per_execution` above 1 for several replicas,
            and `steps_per_epoch` is not given; or with `jit_compile=True` for several devices of one process
            that are no TPU; or the first batch has no sample for this process.

    Example:
        ```python
        strategy = tfopt.distribute.multi_worker("a:2222,b:2222", worker=0)
        with strategy.scope():
            model = build()
            model.compile("adam", "sparse_categorical_crossentropy")
        with tfopt.distribute.training(model):
            model.fit(x, y, batch_size=64, epochs=3)
        ```
    """
    strategy = model.distribute_strategy
    several = model.steps_per_execution != 1
    epoch = None if steps_per_epoch is None else several_steps.Epoch(steps_per_epoch, first_step)
    if strategy.num_replicas_in_sync == 1 and group_of(strategy) is None:
        if several and epoch is not None:
            with _in_place(model, [(model, "make_train_function", _maker(model, "train", epoch, None))]):
                yield
        else:
            yield
        return
    _require_keras(model)
    check_jit_compile(f"The model {model.name!r}", strategy, model.jit_compile)
    if several and steps_per_epoch is None:
        raise InvalidArgumentError(
            f"The model {model.name!r} is compiled with steps_per_execution={model.steps_per_execution}, "
            "which on several replicas needs the steps of an epoch: pass "
            "tfopt.distribute.training(model, steps_per_epoch=...), and fit the same, or leave it at 1."
        )
    optimizers = [] if model.optimizer is None else [*_nested(model.optimizer)]
    spare = SparePart()
    ours: list[tuple[Any, str, Any]] = [
        (model, "_maybe_symbolic_build", _symbolic_build(model, spare)),
        (model, "make_train_function", _maker(model, "train", epoch, spare if uneven else None)),
        (model, "make_test_function", _maker(model, "test", None, spare)),
        *(
            (each, "check_finite", _finite_everywhere(each.check_finite))
            for each in optimizers
            if isinstance(each, keras.optimizers.LossScaleOptimizer)
        ),
    ]
    if uneven and optimizers:
        ours.append((optimizers[0], "scale_loss", _weighed(optimizers[0].scale_loss)))
    with _in_place(model, ours):
        yield


@contextlib.contextmanager
def _in_place(model: keras.Model, ours: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Put functions in place of methods: (object, name of the method, function)."""
    for owner, name, method in ours:
        vars(owner)[name] = method  # not an attribute that Keras tracks
    try:
        _forget(model)
        yield
    finally:
        for owner, name, _ in ours:
            vars(owner).pop(name, None)
        _forget(model)


def _require_keras(model: keras.Model) -> None:
    missing = [name for name in _NEEDED if not hasattr(model, name)]
    if missing:
        raise UnsupportedModel(
            f"Keras {keras.__version__} has no {', '.join(missing)}: tfopt trains on several replicas "
            f"through these methods of the models of Keras {KERAS}. Install keras=={KERAS}.*, or train on "
            "one device."
        )
    if not keras.__version__.startswith(f"{KERAS}."):
        logger.warning(
            "training on several replicas is tested with Keras %s, and this is %s", KERAS, keras.__version__
        )


def check_jit_compile(name: str, strategy: tf.distribute.Strategy, jit_compile: Any) -> None:
    """Raise where XLA would have to compile the step of several devices, which it does for TPUs alone.

    Args:
        name: what is compiled, which the error begins with.
        strategy: of the training.
        jit_compile: as for `compile`.
    """
    if jit_compile is not True or strategy.num_replicas_in_sync == 1:
        return
    devices = len(strategy.extended.worker_devices)
    if devices > 1 and not isinstance(strategy, tf.distribute.TPUStrategy):
        raise InvalidArgumentError(
            f"{name} is compiled with jit_compile=True for {devices} devices of one process, and XLA "
            'compiles a step of one: leave it at "auto", or take one device, a TPU or one process a device '
            '(strategy="multi_worker").'
        )


def _forget(model: keras.Model) -> None:
    """Drop compiled steps, which hold what was replaced."""
    model.train_function = model.test_function = None


def _nested(optimizer: Any) -> Iterator[Any]:
    """Yield an optimizer and those in it, from the outside."""
    while optimizer is not None:
        yield optimizer
        optimizer = getattr(optimizer, "inner_optimizer", None)


def _symbolic_build(model: Any, spare: SparePart) -> Callable[..., None]:
    """Return what builds a model and its metrics from the first replica's part of the first batch.

    `fit` and `evaluate` call it before they make their functions: the part is the spare one of those.
    """
    strategy = model.distribute_strategy

    def build(iterator: Any = None, data_batch: Any = None) -> None:
        for _, _, batches in iterator if iterator is not None else ():
            parts = next(batches)
            data_batch = keras.tree.map_structure(lambda v: strategy.experimental_local_results(v)[0], parts)
            spare.remember(data_batch)
            break
        with strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    return build


def _maker(
    model: Any, kind: str, epoch: several_steps.Epoch | None, spare: SparePart | None
) -> Callable[..., Any]:
    """Return `make_train_function` or `make_test_function` of a model.

    Args:
        model: compiled.
        kind: train or test.
        epoch: of a training with several steps at once.
        spare: what a replica without samples works on; `None` where all have the same number.
    """
    function = f"{kind}_function"

    def make(force: bool = False) -> Any:
        if getattr(model, function) is None or force:
            step = getattr(model, f"{kind}_step")
            if spare is not None and kind == "train":
                step = _replica_share.counted(spare.for_training(step, model))
            elif spare is not None:
                step = spare.for_evaluation(step, model)
            setattr(model, function, _function(model, step, kind, epoch))
        return getattr(model, function)

    return make


def _function(model: Any, step: Callable[..., Any], kind: str, epoch: several_steps.Epoch | None) -> Any:
    """Return the function of an iterator that does the steps of one execution."""
    if model.steps_per_execution == 1:
        if group_of(model.distribute_strategy) is None:
            return model._make_function(step)
        one_step = _one_step(model, step)
        return lambda batches: one_step(next(batches))
    if kind == "train" and epoch is not None:
        return several_steps.train_function(model, _one_step(model, step), epoch)
    return several_steps.test_function(model, _one_step(model, step))


def _one_step(model: Any, step: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return what does one step with a batch on all replicas."""
    strategy = model.distribute_strategy

    def one_step(batch: Any) -> Any:
        outputs = strategy.run(step, args=(batch,))
        return keras.tree.map_structure(
            lambda v: strategy.reduce(tf.distribute.ReduceOp.MEAN, v, axis=None), outputs
        )

    if not model.run_eagerly:
        one_step = tf.function(
            tf.autograph.experimental.do_not_convert(one_step),
            reduce_retracing=True,
            jit_compile=model.jit_compile,
        )
    return one_step


def _weighed(own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `scale_loss` that also weighs the loss by the replica's share of the samples."""
    return lambda loss: _replica_share.weighed(own(loss))


def _finite_everywhere(own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `check_finite` that asks all replicas."""

    def check(gradients: Any) -> Any:
        finite, context = own(gradients), tf.distribute.get_replica_context()
        if context is None:
            return finite
        others = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(tf.logical_not(finite), tf.float32))
        return tf.equal(others, 0.0)

    return check
