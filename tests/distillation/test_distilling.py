"""Learning from a teacher in a plain `fit`."""

import keras
import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from tfopt.distillation import distilling
from tfopt.distillation.outputs import output_kinds
from tfopt.distillation.soft_targets import distance
from tfopt.errors import InvalidArgumentError, UnsupportedModel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = RNG.integers(0, 3, 32)


def _divergence(teacher, student, temperature):
    p, q = softmax(teacher / temperature, -1), log_softmax(student / temperature, -1)
    return temperature**2 * np.mean(np.sum(p * (np.log(p) - q), axis=-1))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_distance_of_classes_is_that_of_the_paper(temperature):
    teacher, student = RNG.normal(size=(2, 8, 3)).astype("float32") * 3
    expected = _divergence(teacher.astype(float), student.astype(float), temperature)
    assert float(distance("logits", teacher, student, temperature)) == pytest.approx(expected, rel=1e-3)
    rows = [softmax(each, -1) for each in (teacher, student)]
    assert float(distance("probabilities", *rows, temperature)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_number_alone_is_two_classes(temperature):
    teacher, student = RNG.normal(size=(2, 8, 1)).astype("float32")
    two = [np.stack([0 * each, each], -1).astype(float) for each in (teacher, student)]
    expected = _divergence(*two, temperature)
    assert float(distance("binary_logits", teacher, student, temperature)) == pytest.approx(
        expected, rel=1e-3
    )
    rows = [expit(each) for each in (teacher, student)]
    assert float(distance("binary_probabilities", *rows, temperature)) == pytest.approx(expected, rel=1e-3)


def test_the_distance_of_numbers_is_their_mean_squared_error():
    teacher, student = RNG.normal(size=(2, 8, 2)).astype("float32")
    assert float(distance("values", teacher, student, 3.0)) == pytest.approx(
        np.mean((teacher - student) ** 2)
    )


def _model(seed, activation=None, regularizer=None, outputs=3):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(outputs, activation, kernel_regularizer=regularizer, name="head")(inputs)
    return keras.Model(inputs, x)


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_the_loss_is_the_compiled_one_and_the_distance_and_what_layers_add():
    student, teacher = _model(0, regularizer=keras.regularizers.L2(0.1)), _model(1)
    weights = RNG.random(32).astype("float32")
    student.compile(keras.optimizers.SGD(0.0), LOGITS)
    plain = student.evaluate(X, Y, sample_weight=weights, batch_size=32, return_dict=True, verbose=0)["loss"]
    penalty = float(sum(student.losses))
    with distilling(student, teacher, temperature=2.0, student_weight=0.3):
        found = student.fit(
            X, Y, sample_weight=weights, batch_size=32, verbose=0, validation_data=(X, Y, weights)
        ).history
    outputs = [each.predict(X, verbose=0).astype(float) for each in (teacher, student)]
    expected = 0.3 * (plain - penalty) + penalty + 0.7 * _divergence(*outputs, 2.0)
    assert found["loss"][0] == pytest.approx(expected, rel=1e-4)
    assert found["val_loss"][0] == pytest.approx(plain, rel=1e-5)
    assert set(found) == {"loss", "val_loss"}


def test_a_student_comes_near_its_teacher_and_keeps_no_trace_of_it(tmp_path):
    student, teacher = _model(0, "softmax"), _model(1, "softmax")
    before = teacher.get_weights()
    student.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    variables = [each.path for each in student.variables]
    far = np.abs(student.predict(X, verbose=0) - teacher.predict(X, verbose=0)).mean()
    with distilling(student, teacher, student_weight=0.0):
        student.fit(X, Y, epochs=60, verbose=0)
    near = np.abs(student.predict(X, verbose=0) - teacher.predict(X, verbose=0)).mean()
    assert near < 0.1 * far
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "compute_loss" not in vars(student)
    assert [each.path for each in student.variables] == variables
    student.save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras").count_params() == student.count_params()
    loss = student.fit(X, Y, epochs=1, batch_size=32, verbose=0).history["loss"][0]
    student.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    assert loss != pytest.approx(0.0)


def test_several_outputs_are_taught_each_in_its_way():
    def two(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((6,))
        kind = keras.layers.Dense(3, "softmax", name="kind")(inputs)
        return keras.Model(inputs, {"size": keras.layers.Dense(1, name="size")(inputs), "kind": kind})

    student, teacher = two(0), two(1)
    student.compile(keras.optimizers.SGD(0.0), {"kind": "sparse_categorical_crossentropy", "size": "mse"})
    targets = {"kind": Y, "size": X[:, :1]}
    plain = student.evaluate(X, targets, batch_size=32, return_dict=True, verbose=0)["loss"]
    with distilling(student, teacher, temperature=1.0, student_weight=0.5):
        found = student.fit(X, targets, batch_size=32, verbose=0).history["loss"][0]
    taught, learned = teacher.predict(X, verbose=0), student.predict(X, verbose=0)
    kinds = [np.log(each["kind"].astype(float)) for each in (taught, learned)]
    expected = _divergence(*kinds, 1.0) + np.mean((taught["size"] - learned["size"]) ** 2)
    assert found == pytest.approx(0.5 * plain + 0.5 * expected, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("sparse_categorical_crossentropy", "probabilities"),
        ("categorical_crossentropy", "probabilities"),
        (keras.losses.CategoricalCrossentropy(from_logits=True), "logits"),
        (LOGITS, "logits"),
        ("binary_crossentropy", "binary_probabilities"),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), "binary_logits"),
        ("kl_divergence", "probabilities"),
        *((name, "values") for name in ("mse", "mae", "huber", "log_cosh", "cosine_similarity")),
    ],
)
def test_a_loss_of_keras_tells_what_outputs_are(loss, kind):
    assert output_kinds(_model(0), loss) == [kind]


def _own_loss(y, p):
    return keras.ops.mean(y - p)


def test_what_an_own_loss_does_not_tell_is_said():
    with pytest.raises(
        InvalidArgumentError, match=r"_own_loss of the output 'head' .*outputs=\{'head': ...\}"
    ):
        output_kinds(_model(0), _own_loss)
    assert output_kinds(_model(0), _own_loss, {"head": "logits"}) == ["logits"]
    assert output_kinds(_model(0), _own_loss, "values") == ["values"]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("classes", "outputs to be one of"),
        ({"tail": "logits"}, "outputs names 'tail'; .* has the outputs 'head'"),
        ({"head": None}, "no output to be taught"),
        (3, "outputs to be a dict"),
    ],
)
def test_kinds_that_are_none(outputs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        output_kinds(_model(0), "mse", outputs)


class _Own(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def test_what_cannot_be_taught():
    student, teacher = _model(0), _model(1)
    for arguments, message in (
        ({}, "compile the model"),
        ({"temperature": 0}, r"temperature to be a finite number > 0"),
        ({"student_weight": 1.0}, r"student_weight to be a finite number in \[0, 1\)"),
    ):
        with pytest.raises(InvalidArgumentError, match=message), distilling(student, teacher, **arguments):
            pass
    student.compile("sgd", LOGITS)
    with (
        pytest.raises(InvalidArgumentError, match="must be the same"),
        distilling(student, _model(0, outputs=4)),
    ):
        pass
    with (
        pytest.raises(InvalidArgumentError, match=r"teacher must be a keras.Model"),
        distilling(student, "float"),
    ):
        pass
    own = _Own(student.inputs, student.outputs)
    own.compile("sgd", LOGITS)
    with pytest.raises(UnsupportedModel, match=r"trains by its own train_step\(\)"), distilling(own, teacher):
        pass


def test_an_error_in_fit_takes_the_teacher_away_too():
    student = _model(0)
    student.compile("sgd", LOGITS)
    with pytest.raises(ValueError), distilling(student, _model(1)):
        student.fit(X[:, :2], Y, verbose=0)
    assert "compute_loss" not in vars(student)


def test_two_devices_take_the_steps_of_one(two_devices):
    def trained(student, teacher):
        with distilling(student, teacher, student_weight=0.2):
            student.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        return student.get_weights()

    with two_devices.scope():
        student, teacher = _model(0), _model(1)
        student.compile(keras.optimizers.SGD(0.3), LOGITS)
    found = trained(student, teacher)
    single = _model(0)
    single.compile(keras.optimizers.SGD(0.3), LOGITS)
    for a, b in zip(found, trained(single, _model(1)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_teacher_that_normalizes_teaches_what_it_predicts_and_stays_what_it_is():
    keras.utils.set_random_seed(0)
    images = RNG.normal(size=(16, 5, 5, 3)).astype("float32")

    def network():
        layers = [
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(),
        ]
        model = keras.Sequential(
            [keras.Input((5, 5, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        for variable in model.variables:
            variable.assign(RNG.uniform(-1, 2, variable.shape) ** 2)
        return model

    teacher, student = network(), network()
    student.compile(keras.optimizers.SGD(0.0), "mse")
    student.get_layer("norm").trainable = False  # so that it predicts what it trains on
    taught, answers = teacher.predict(images, verbose=0), student.predict(images, verbose=0)
    with distilling(student, teacher, student_weight=0.0):
        found = student.fit(images, np.zeros((16, 3)), batch_size=16, verbose=0).history["loss"][0]
        assert type(teacher.get_layer("norm")) is not keras.layers.BatchNormalization
    assert found == pytest.approx(np.mean((taught - answers) ** 2), rel=1e-4)
    assert type(teacher.get_layer("norm")) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(teacher.predict(images, verbose=0), taught)
