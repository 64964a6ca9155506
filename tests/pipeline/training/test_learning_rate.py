"""Which learning rate a stage trains at."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.data import from_arrays
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline.training.learning_rate import Scaled, StageRate

STEPS = 40


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    return from_arrays(rng.normal(size=(120, 6)) + 3 * np.eye(3, 6)[labels], labels, name="blobs")


def model(optimizer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="in")
    x = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    made = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x))
    made.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def rates(run):
    return [
        (stage["name"], stage["learning_rate"]["used"], stage["history"]["learning_rate"][0])
        for stage in run.record["stages"]
        if "learning_rate" in stage
    ]


def run(made, data, out, stages):
    return tfopt.Pipeline(stages).run(made, data, out=out, quiet=True, batch_size=16)


def test_quantization_after_train_uses_a_tenth_and_pruning_the_compiled_rate(data, tmp_path):
    stages = [tfopt.Train(epochs=1), tfopt.Prune(0.5, epochs=1), tfopt.QuantizeAware(epochs=1)]
    done = run(model(keras.optimizers.Adam(0.01)), data, tmp_path, stages)
    expected = [("train", 0.01), ("prune", 0.01), ("quantize_aware", 0.001)]
    for (name, used, seen), (stage, rate) in zip(rates(done), expected, strict=True):
        assert name == stage
        assert used == pytest.approx(rate)
        assert seen == pytest.approx(rate)
    assert done.record["stages"][2]["learning_rate"] == {"used": 0.001, "compiled": 0.01}


@pytest.mark.parametrize("kind", [tfopt.Prune, tfopt.QuantizeAware])
def test_a_stage_may_be_told(data, tmp_path, kind):
    stages = [tfopt.Train(epochs=1), kind(epochs=1, learning_rate=2e-4)]
    done = run(model(keras.optimizers.Adam(0.01)), data, tmp_path, stages)
    assert rates(done)[1][1:] == (2e-4, pytest.approx(2e-4))


def test_a_trained_model_as_given_is_fine_tuned_and_one_without_training_is_trained(data, tmp_path):
    made = model(keras.optimizers.Adam(0.02))
    stages = [tfopt.QuantizeAware(epochs=1)]
    with pytest.warns(UserWarning, match="no better than a guess"):
        raw = run(made, data, tmp_path / "raw", stages)
    made.fit(*data.split("train"), epochs=10, verbose=0)
    trained = run(made, data, tmp_path / "trained", stages)
    assert [used for _, used, _ in rates(raw)] == pytest.approx([0.02])
    assert [used for _, used, _ in rates(trained)] == pytest.approx([0.002])


def test_a_run_with_a_schedule_is_found_again_and_the_schedule_keeps_its_shape(data, tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.01, decay_steps=100)
    stages = [tfopt.Train(epochs=1), tfopt.QuantizeAware(epochs=2)]
    done = run(model(keras.optimizers.SGD(schedule)), data, tmp_path, stages)
    again = run(model(keras.optimizers.SGD(schedule)), data, tmp_path, stages)
    assert again.path == done.path
    assert rates(done)[1][1] == pytest.approx(0.001)
    assert rates(done)[1][2] < 0.001


SCHEDULE = tfopt.schedules.WarmupCosine(0.02, warmup_steps=4, total_steps=STEPS)
OPTIMIZERS = {
    "number": (lambda: keras.optimizers.Adam(0.02), 0.1),
    "Keras's schedule": (
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, STEPS)),
        0.1,
    ),
    "tfopt's schedule": (lambda: tfopt.optimizers.Adan(SCHEDULE), 0.1),
    "a function": (lambda: keras.optimizers.SGD(lambda: 0.02), 0.1),
    "a wrapper": (lambda: tfopt.optimizers.Lookahead(keras.optimizers.Adam(0.02)), 0.1),
    "a scaled loss": (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)), 0.1),
    "schedule-free": (lambda: tfopt.optimizers.ScheduleFreeAdamW(0.02), 0.1),
    "8 bits": (lambda: tfopt.optimizers.AdamW8bit(0.02), 0.1),
    "one that finds its rate": (lambda: tfopt.optimizers.Prodigy(0.02), 1.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_kind_of_optimizer(name):
    make, factor = OPTIMIZERS[name]
    for rate, expected in (
        (StageRate(), 0.02),
        (StageRate(factor=0.1), 0.02 * factor),
        (StageRate(highest=0.005, factor=0.1), 0.005),
    ):
        optimizer = make()
        said = rate.apply(optimizer, STEPS)
        assert said.used == pytest.approx(expected, rel=1e-3)
        assert said.compiled == pytest.approx(0.02, rel=1e-3)
        variable = keras.Variable(np.zeros(3, np.float32))
        optimizer.build([variable])
        seen = []
        for _ in range(STEPS):
            seen.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
            optimizer.apply([keras.ops.ones((3,))], [variable])
        assert max(seen) == pytest.approx(expected, rel=0.01)
        if "schedule" in name and "free" not in name:
            plain = make()
            plain.build([keras.Variable(np.zeros(3, np.float32))])
            assert len({round(each, 7) for each in seen}) > STEPS / 2  # it keeps its shape


def test_a_scaled_schedule_is_data():
    for schedule in (SCHEDULE, keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)):
        scaled = Scaled(schedule, 0.25)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(scaled))
        for step in (0, 7, 30):
            assert float(scaled(step)) == pytest.approx(0.25 * float(schedule(step)))
            assert float(again(step)) == pytest.approx(float(scaled(step)))


@pytest.mark.parametrize("stage", [tfopt.Prune, tfopt.QuantizeAware])
@pytest.mark.parametrize("rate", [0, -1e-3, "1e-3", float("nan"), True])
def test_a_rate_that_is_none(stage, rate):
    with pytest.raises(InvalidArgumentError, match="learning_rate"):
        stage(learning_rate=rate)
