"""What every stage promises of XLA, the compiler of TPUs: compiled for one shape, it ends as it does without.

And of several steps in one call: they are the same steps.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

import tfopt
from tests.at_length import some
from tfopt import optimizers
from tfopt.callbacks import GradientClipping
from tfopt.pipeline.progress import Display
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.stage_context import StageContext
from tfopt.pipeline.training.compilation import Compilation
from tfopt.pipeline.training.precision import with_precision
from tfopt.quantization import SCHEMES, Scheme
from tfopt.stages.teaching import teacher_of

STAGES = {
    "Train": tfopt.Train(epochs=1),
    "Prune": tfopt.Prune(0.5, epochs=1),
    "Prune 2:4": tfopt.Prune(pattern="2:4", epochs=1),
    "Prune block": tfopt.Prune(0.5, pattern="1x4", epochs=1),
    "Prune one shot": tfopt.Prune(0.5, schedule="one_shot", epochs=1),
    "Prune constant": tfopt.Prune(0.5, schedule="constant", epochs=1),
    "Prune regrow": tfopt.Prune(0.5, regrow=True, frequency=2, epochs=1),
    "Prune rigl": tfopt.Prune(0.5, schedule="rigl", frequency=2, epochs=1),
    "Prune movement": tfopt.Prune(0.5, criterion="movement", epochs=1),
    "Prune taylor": tfopt.Prune(0.5, criterion="taylor", epochs=1),
    "Prune lottery ticket": tfopt.Prune(0.5, schedule="lottery_ticket", rounds=2, epochs=1),
    "Prune taught": tfopt.Prune(0.5, epochs=1, teacher="float"),
    "PruneChannels": tfopt.PruneChannels(0.3, round_to=1, epochs=1),
    "PruneChannels sparse": tfopt.PruneChannels(0.3, round_to=1, epochs=1, sparse_epochs=1),
    "Cluster": tfopt.Cluster(8, epochs=1),
    "LowRank": tfopt.LowRank(0.5, epochs=1),
    "Distill": tfopt.Distill(epochs=1),
    **{f"QuantizeAware {name}": tfopt.QuantizeAware(name, epochs=1) for name in SCHEMES},
    "QuantizeAware lsq": tfopt.QuantizeAware(Scheme(weight_bits=4, weight_range="lsq"), epochs=1),
    "QuantizeAware pact": tfopt.QuantizeAware(Scheme(activation_range="pact"), epochs=1),
    "QuantizeAware with moments": tfopt.QuantizeAware("int8", epochs=1, start_at=1, freeze_ranges_at=0.5),
}
# What their schedules do, they do between executions, so at other steps; single steps regrow weights.
SCHEDULED = {
    *("Prune", "Prune 2:4", "Prune block", "Prune constant", "Prune movement", "Prune taylor"),
    *("Prune taught", "QuantizeAware with moments"),
}
# Where a value lies halfway between two integers, the last bit decides, and training goes on from there.
LOOSE = 2e-2

# Every optimizer and clipping method is compiled in test_optimizers.py and test_callbacks.py.
TRAININGS = {
    "moving average of weights": {"optimizer": keras.optimizers.Adam(1e-2, use_ema=True)},
    "accumulated gradients": {"optimizer": optimizers.Adan(1e-2, gradient_accumulation_steps=2)},
    "accumulated gradients of Keras": {"optimizer": keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)},
    "SAM": {"optimizer": optimizers.SAM(keras.optimizers.SGD(0.1))},
    "clipping": {"callbacks": [GradientClipping("zclip")]},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "float16": {"precision": "mixed_float16"},
}


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, use_bias=False, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(8, "relu", name="hidden"),
            keras.layers.Dense(10, "softmax", name="head"),
        ]
    )
    return model


@pytest.fixture(scope="module")
def few():
    """Digits that do not fill their last batch."""
    whole = tfopt.data.load("digits")
    splits = {"train": 70, "val": 8, "test": 8}
    x, y = ({name: getattr(whole, f"{part}_{name}")[:n] for name, n in splits.items()} for part in "xy")
    return tfopt.data.from_arrays(
        x["train"], y["train"], x_val=x["val"], y_val=y["val"], x_test=x["test"], y_test=y["test"],
        scale="none", num_classes=10,
    )  # fmt: skip


def done(stage, data, folder, *, optimizer=None, callbacks=(), precision=None, strategy=None, **compiled):
    """Return the weights that a stage ends with, and its losses."""
    model = with_precision("Pipeline", network(), precision)
    optimizer = optimizer or keras.optimizers.SGD(0.05, 0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    folder.mkdir()
    model.save(folder / "float.keras")
    config = RunConfig(
        caller="Pipeline",
        name="",
        data=data,
        stages=(stage,),
        compilation=Compilation.of_model(model),
        callbacks=callbacks,
        batch_size=16,
        seed=0,
        strategy=strategy or tf.distribute.get_strategy(),
        drop_remainder=True,
    )
    context = OfOneShape(
        config,
        seed=0,
        directory=folder,
        logs=folder / "logs",
        display=Display(1, Console(quiet=True)),
        epochs=stage.epochs,
        teacher=teacher_of(stage),
        float_model=folder / "float.keras",
    )
    keras.utils.set_random_seed(1)
    with config.scope():
        made = stage.apply(keras.saving.load_model(folder / "float.keras", compile=False), context)
    return made.get_weights(), context.history["loss"]


class OfOneShape(StageContext):
    """Asserts that the step of a training is traced for one shape, which is known when it is traced."""

    def fit(self, model, **arguments):
        own = model.train_step
        traced = set()

        def step(batch):
            traced.add(tuple(tuple(tensor.shape) for tensor in keras.tree.flatten(batch)))
            return own(batch)

        vars(model)["train_step"] = step
        super().fit(model, **arguments)
        del vars(model)["train_step"]
        assert len(traced) == 1
        assert None not in sum(traced.pop(), ())


def assert_alike(one, other, tolerance):
    np.testing.assert_allclose(other[1], one[1], rtol=tolerance, atol=tolerance)
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", some(STAGES, {"Prune"}))
def test_a_compiled_stage_ends_as_without(row, few, tmp_path):
    plain = done(STAGES[row], few, tmp_path / "plain", jit_compile=False)
    compiled = done(STAGES[row], few, tmp_path / "xla", jit_compile=True)
    assert_alike(plain, compiled, LOOSE if "Quantize" in row else 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("row", TRAININGS)
def test_a_compiled_training_ends_as_without(row, few, tmp_path):
    plain = done(tfopt.Train(epochs=2), few, tmp_path / "plain", jit_compile=False, **TRAININGS[row])
    compiled = done(tfopt.Train(epochs=2), few, tmp_path / "xla", jit_compile=True, **TRAININGS[row])
    assert_alike(plain, compiled, 2e-2 if "16" in row else 1e-4)


# Three of four steps, then the fourth.
@pytest.mark.parametrize("row", some(STAGES, {"Train"}))
def test_several_steps_at_once_are_the_same_steps(row, few, tmp_path):
    one = done(STAGES[row], few, tmp_path / "one")
    three = done(STAGES[row], few, tmp_path / "three", steps_per_execution=3)
    if row not in SCHEDULED:
        assert_alike(one, three, 1e-6)
        return
    np.testing.assert_allclose(three[1], one[1], rtol=0.1)
    zeros = [[np.count_nonzero(w == 0) for w in found[0] if w.ndim > 1] for found in (one, three)]
    assert zeros[0] == zeros[1]


@pytest.mark.slow
def test_several_steps_at_once_on_several_devices(few, two_devices, tmp_path):
    two = {"strategy": two_devices}
    one = done(tfopt.Train(epochs=2), few, tmp_path / "one", **two)
    three = done(tfopt.Train(epochs=2), few, tmp_path / "three", steps_per_execution=3, **two)
    assert_alike(one, three, 1e-6)
