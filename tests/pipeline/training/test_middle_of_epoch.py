"""A training that is cut off in the middle of an epoch goes on there, and ends as one that was not."""

import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.pipeline.training import checkpoint
from tfopt.pipeline.training.epoch_start import starting_at

L = keras.layers
rng = np.random.default_rng(0)
X = rng.normal(size=(110, 6)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(int)


AT_THE_END = -1, -1


class CutOff(Exception):
    pass


class Cuts(keras.callbacks.Callback):
    """Ends the process, so to speak, after some batch of an epoch; counts what it sees."""

    batches = 0
    """Of all trainings of this process: it is no state of a training."""

    def __init__(self, at=None):
        super().__init__()
        self.at = at
        self.seen = []
        self.epochs_begun = 0

    def get_config(self):
        return {}  # a run with another moment is the same run

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.epochs_begun += 1

    def on_train_end(self, logs=None):
        if self.at == AT_THE_END:
            raise CutOff

    def on_train_batch_end(self, batch, logs=None):
        Cuts.batches += 1
        self.seen.append([self.epoch, batch])
        if self.at == (self.epoch, batch):
            raise CutOff


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = L.Dropout(0.3, seed=1)(L.BatchNormalization()(L.Dense(8, activation="relu")(inputs)))
    return keras.Model(inputs, L.Dense(2, activation="softmax")(x))


def run(out, stages, cuts=(), *, at_once=1, **options):
    made = model()
    made.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=at_once,
    )
    data = tfopt.data.from_arrays(X, Y)
    found = [*cuts, tfopt.callbacks.GradientClipping("zclip")]
    return tfopt.Pipeline(stages).run(
        made, data, out=out, batch_size=8, callbacks=lambda: found, quiet=True, **options
    )


def weights(done):
    return keras.saving.load_model(done.path / "stages/1-train/model.keras", compile=False).get_weights()


@pytest.mark.parametrize(
    ("at", "left"),
    [
        pytest.param((0, 5), 30 - 4, marks=pytest.mark.slow),
        ((1, 7), 20 - 4),  # the checkpoint at step 8 comes after the callback that ends it
        pytest.param((2, 3), 10, marks=pytest.mark.slow),
    ],
)
def test_it_ends_as_one_that_was_not_cut_off(tmp_path, at, left):
    stages = [tfopt.Train(epochs=3)]
    whole = run(tmp_path / "whole", stages, [Cuts()])
    with pytest.raises(CutOff):
        run(tmp_path / "cut", stages, [Cuts(at)], checkpoint_steps=4)
    again, Cuts.batches = Cuts(), 0
    done = run(tmp_path / "cut", stages, [again], checkpoint_steps=4)
    assert Cuts.batches == left
    assert done.path.name == whole.path.name
    # The callback has the state of one that saw each step once, and each epoch begin once.
    assert again.seen == [[epoch, batch] for epoch in range(3) for batch in range(10)]
    assert again.epochs_begun == 3
    for ours, theirs in zip(weights(done), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name, values in whole.typed.stages[0].history.items():
        np.testing.assert_array_equal(done.typed.stages[0].history[name], values, err_msg=name)
    assert not list(done.path.rglob(checkpoint.PATTERN))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"drop_remainder": True}])
def test_several_steps_at_once(tmp_path, options):
    stages = [tfopt.Train(epochs=3)]
    whole = run(tmp_path / "whole", stages, [Cuts()], at_once=3, **options)
    with pytest.raises(CutOff):
        run(tmp_path / "cut", stages, [Cuts((1, 5))], at_once=3, checkpoint_steps=3, **options)
    done = run(tmp_path / "cut", stages, [Cuts()], at_once=3, checkpoint_steps=3, **options)
    for ours, theirs in zip(weights(done), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_pruning_and_ranges_go_on(tmp_path):
    stages = [tfopt.Train(epochs=1), tfopt.Prune(0.5, epochs=2), tfopt.QuantizeAware(epochs=2)]
    whole = run(tmp_path / "whole", stages)

    class InStage(Cuts):
        begun = -1

        def on_train_begin(self, logs=None):
            InStage.begun += 1

        def on_train_batch_end(self, batch, logs=None):
            if self.at == (InStage.begun, self.epoch, batch):
                raise CutOff

    for at in ((1, 0, 7), (1, 1, 4)):  # in the stage Prune, then, resumed there, in QuantizeAware
        InStage.begun = -1 if at[1] == 0 else 0
        with pytest.raises(CutOff):
            run(tmp_path / "cut", stages, [InStage(at)], checkpoint_steps=3)
    done = run(tmp_path / "cut", stages, checkpoint_steps=5)
    for ours, theirs in zip(done.typed.stages, whole.typed.stages, strict=True):
        assert ours.metrics == theirs.metrics
        assert ours.history.keys() == theirs.history.keys()
        for name, values in theirs.history.items():
            np.testing.assert_array_equal(ours.history[name], values, err_msg=f"{ours.name} {name}")


@pytest.mark.parametrize(
    ("at", "steps"),
    [pytest.param((1, 6), 2, marks=pytest.mark.slow), ((1, 9), 9), (AT_THE_END, 9)],
    ids=["in the middle", "before the last batch of all", "after it"],
)
def test_on_two_devices(tmp_path, two_devices, at, steps):
    stages = [tfopt.Train(epochs=2)]
    whole = run(tmp_path / "whole", stages, [Cuts()], strategy=two_devices)
    with pytest.raises(CutOff):
        run(tmp_path / "cut", stages, [Cuts(at)], strategy=two_devices, checkpoint_steps=steps)
    done = run(tmp_path / "cut", stages, [Cuts()], strategy=two_devices, checkpoint_steps=steps)
    for ours, theirs in zip(weights(done), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_steps_that_are_none(tmp_path):
    with pytest.raises(InvalidArgumentError, match="checkpoint_steps to be a whole number >= 1, got 0"):
        run(tmp_path, [tfopt.Train(epochs=1)], checkpoint_steps=0)


def test_a_keras_that_has_moved_on():
    class Other:
        pass

    with (
        pytest.raises(UnsupportedModel, match=r"goes on in the middle of an epoch\. Install keras"),
        starting_at(Other(), 3),
    ):
        pass
    with starting_at(Other(), 0):
        pass


PROGRAM = """
import os, signal, sys
import keras
import tfopt

OUT, KILLED_AT = sys.argv[1], int(sys.argv[2])


class Kill(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        Kill.steps += 1
        if Kill.steps == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    def get_config(self):
        return {}


def model():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.RandomTranslation(0.1, 0.1, seed=3)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


tfopt.Recipe(
    data=tfopt.data.load("digits"),
    model=model,
    optimizer=lambda steps: tfopt.optimizers.Adan(
        tfopt.schedules.WarmupCosine(1e-2, warmup_steps=5, total_steps=steps)
    ),
    callbacks=[Kill()],
    stages=[tfopt.Train(epochs=2), tfopt.Prune(0.5, epochs=1)],
).run(out=OUT, quiet=True, checkpoint_steps=3)
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_epochs(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def start(out, killed_at):
        command = [sys.executable, str(program), str(tmp_path / out), str(killed_at)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == (-signal.SIGKILL if killed_at else 0), done.stderr
        (folder,) = (each for each in (tmp_path / out).iterdir() if each.is_dir())
        return folder

    whole = start("whole", 0)
    for killed_at in (8, 50):  # steps of each process; an epoch has 21: the first epoch, then pruning
        start("killed", killed_at)
    killed = start("killed", 0)
    for stage in sorted(os.listdir(whole / "stages")):
        if stage.startswith("."):
            continue
        ours, theirs = (
            keras.saving.load_model(folder / "stages" / stage / "model.keras", compile=False).get_weights()
            for folder in (killed, whole)
        )
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=stage)
