"""The stage Distill, and the teachers of other stages."""

import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.stages.teaching import Teacher, checked_teacher, teacher_of

X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


def _model(seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu", name="hidden"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(2, activation="softmax", name="head"),
        ],
        name="small",
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def data():
    return tfopt.data.from_arrays(X, Y)


def _run(stages, data, out, **kwargs):
    return tfopt.Pipeline(stages).run(_model(), data, out=out, quiet=True, **kwargs)


class _Stopping(keras.callbacks.Callback):
    """Fails in the second epoch of the stage that distils, once."""

    failed = False
    stages = 0

    def on_train_begin(self, logs=None):
        _Stopping.stages += 1

    def on_epoch_begin(self, epoch, logs=None):
        if _Stopping.stages == 3 and epoch == 1 and not _Stopping.failed:
            _Stopping.failed = True
            raise RuntimeError("cut off")


@pytest.mark.parametrize(
    "last", [tfopt.Distill(epochs=2, student_weight=0.2), tfopt.Cluster(4, epochs=2, teacher="float")]
)
def test_a_run_that_is_cut_off_while_it_learns_ends_as_one_that_was_not(last, data, tmp_path):
    _Stopping.failed, _Stopping.stages = False, 0
    stages = [tfopt.Train(epochs=2), tfopt.Prune(0.5, epochs=1, teacher="float"), last]
    with pytest.raises(RuntimeError, match="cut off"):
        _run(stages, data, tmp_path / "a", callbacks=_stopping)
    ended = _run(stages, data, tmp_path / "a", callbacks=_stopping)
    whole = _run(stages, data, tmp_path / "b", callbacks=_stopping)
    for ours, theirs in zip(ended.record["stages"], whole.record["stages"], strict=True):
        assert ours["metrics"] == theirs["metrics"]
        assert ours["history"] == theirs["history"]
    names = {"loss", "accuracy", "val_loss", "val_accuracy"}
    histories = [{*stage["history"]} - {"sparsity"} for stage in whole.record["stages"]]
    assert all(names <= history for history in histories)
    assert histories[0] == histories[1] == histories[2]
    assert ended.model(3).count_params() == _model().count_params()
    assert tfopt.measure.sparsity(ended.model(3)) == pytest.approx(0.5, abs=0.02)
    for ours, theirs in zip(ended.model(3).get_weights(), whole.model(3).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _stopping():
    return [_Stopping()]


def test_the_float_model_is_the_one_before_anything_was_taken(data, tmp_path):
    seen = []

    class Watching(tfopt.Train):
        def apply(self, model, context):
            seen.append(context.teacher().get_weights())
            return super().apply(model, context)

    stages = [tfopt.Train(epochs=1), tfopt.Train(epochs=1), tfopt.Prune(0.5, epochs=1), Watching(epochs=1)]
    run = _run(stages, data, tmp_path / "trained")
    for a, b in zip(seen.pop(), run.model(2).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    given = _model()
    tfopt.Pipeline([tfopt.Prune(0.5, epochs=1), Watching(epochs=1)]).run(
        given, data, out=tmp_path / "given", quiet=True
    )
    for a, b in zip(seen.pop(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_teaches_and_is_part_of_the_fingerprint(data, tmp_path):
    path = tmp_path / "teacher.keras"
    prints = []
    for seed in (1, 2):
        _model(seed).save(path)
        stages = [tfopt.Distill(epochs=1, teacher=str(path), student_weight=0.0)]
        prints.append(_run(stages, data, tmp_path / "out").record["fingerprint"])
    assert prints[0] != prints[1]


def test_teachers_are_checked_before_any_training(data, tmp_path):
    wrong = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    wrong.save(tmp_path / "wrong.keras")
    for teacher, message in (
        ("nobody.keras", r"there is no teacher '.*nobody\.keras'"),
        ("wrong.keras", "must be the same"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            _run([tfopt.Train(epochs=1, teacher=str(tmp_path / teacher))], data, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_it_is_data():
    for stage in (
        tfopt.Distill(epochs=2, temperature=4.0, outputs={"head": "logits"}),
        tfopt.QuantizeAware(teacher={"student_weight": 0.1}),
        tfopt.Prune(0.9, teacher="float"),
        tfopt.Train(teacher="a.keras"),
    ):
        config = json.loads(json.dumps(stage.get_config()))
        assert type(stage)(**{key: value for key, value in config.items() if key != "class"}) == stage
    assert teacher_of(tfopt.Distill(temperature=4.0)) == Teacher(temperature=4.0)
    assert teacher_of(tfopt.QuantizeAware(teacher={"student_weight": 0.1})) == Teacher(student_weight=0.1)
    assert teacher_of(tfopt.ExportTFLite()) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tfopt.Distill(epochs=0), "epochs to be a whole number >= 1"),
        (lambda: tfopt.Distill(temperature=0), "temperature to be a finite number > 0"),
        (lambda: tfopt.Distill(student_weight=1), r"student_weight to be a finite number in \[0, 1\)"),
        (lambda: tfopt.Distill(learning_rate=0), "learning_rate to be a finite number > 0"),
        (lambda: tfopt.Distill(teacher=""), "must be .* or a path"),
        (lambda: tfopt.Train(teacher=3), 'teacher must be "float", the path'),
        (lambda: tfopt.Prune(teacher={"who": "float"}), "a dict of model, temperature"),
        (lambda: tfopt.QuantizeAware(teacher="float", epochs=0), "with epochs=0 nothing is trained"),
        (lambda: checked_teacher("X", {"temperature": "hot"}), "X: expected temperature"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make()
