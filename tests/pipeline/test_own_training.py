"""Models whose class trains in a way of its own: stages train them so, with or without a loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.stages import Prune, Train

DATA = tfopt.data.from_arrays(
    np.random.default_rng(0).random((100, 6), dtype=np.float32),
    np.ones((100, 1), np.float32),
    num_classes=None,
    name="ones",
)


@keras.saving.register_keras_serializable("tests")
class OwnStep(keras.Model):
    """Trains by seven times the squared error."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = 7 * keras.ops.mean(keras.ops.square(self(x, training=True) - y))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"mine": loss}


@keras.saving.register_keras_serializable("tests")
class OwnLoss(keras.Model):
    """Has a loss of its own."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 7 * keras.ops.mean(keras.ops.square(y_pred - y))


@keras.saving.register_keras_serializable("tests")
class OwnCompile(OwnStep):
    """Takes an argument that Keras does not know."""

    def compile(self, optimizer, factor):
        super().compile(optimizer)
        self.factor = factor


def _model(kind, **compiled):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="in")
    x = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = kind(inputs, keras.layers.Dense(1, name="out")(x), name="own")
    model.compile(optimizer=keras.optimizers.SGD(0.01), **compiled)
    return model


@pytest.mark.parametrize(("kind", "logged"), [(OwnStep, "mine"), (OwnLoss, "val_loss")])
@pytest.mark.parametrize("loss", [None, "mse"])
def test_the_stages_train_a_model_as_its_class_says(kind, logged, loss, tmp_path):
    run = tfopt.Pipeline([Train(epochs=1), Prune(0.5, epochs=1)]).run(
        _model(kind, loss=loss), DATA, out=tmp_path, batch_size=100, quiet=True
    )
    for stage in run.record["stages"]:
        assert logged in stage["history"]
    assert type(run.model()) is kind
    assert tfopt.measure.sparsity(run.model()) == 0.5
    assert (run.path / "report.html").exists()
    expected = _model(kind, loss=loss)
    expected.fit(DATA.x_train, DATA.y_train, batch_size=100, verbose=0)
    for a, b in zip(run.model(1).get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_without_a_loss_there_are_no_metrics_but_those_of_training(tmp_path):
    run = tfopt.Pipeline([Train(epochs=1), tfopt.ExportTFLite()]).run(
        _model(OwnStep), DATA, out=tmp_path, batch_size=100, quiet=True
    )
    assert [stage["metrics"] for stage in run.record["stages"]] == [{}, {}]
    assert run.tflite.predict(DATA.x_test[:2]).shape == (2, 1)


def test_a_model_without_a_loss_or_a_training_step_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="has no loss"):
        tfopt.Pipeline([Train(epochs=1)]).run(_model(keras.Model), DATA, out=tmp_path, quiet=True)


def test_a_compile_that_no_stage_can_call_is_refused_with_the_way_out(tmp_path):
    model = _model(OwnCompile, factor=2.0)
    with pytest.raises(InvalidArgumentError, match=r"'factor'.*Take the others in __init__"):
        tfopt.Pipeline([Train(epochs=1)]).run(model, DATA, out=tmp_path, quiet=True)


def test_what_the_advice_says_works(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class InInit(OwnStep):
        def __init__(self, *args, factor=1.0, **kwargs):
            super().__init__(*args, **kwargs)
            self.factor = factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    inputs = keras.Input((6,), name="in")
    model = InInit(inputs, keras.layers.Dense(1, name="out")(inputs), factor=2.0)
    model.compile("sgd")
    run = tfopt.Pipeline([Train(epochs=1), Prune(0.5, epochs=1)]).run(
        model, DATA, out=tmp_path, batch_size=100, quiet=True
    )
    assert run.model().factor == 2.0


def test_a_recipe_of_such_a_model_needs_no_loss():
    recipe = tfopt.Recipe(
        data=DATA,
        model=lambda: _model(OwnStep),
        optimizer=keras.optimizers.SGD(0.01),
        stages=[Train(epochs=1)],
    )
    assert recipe.compilation(_model(OwnStep)).config["loss"] is None
    with pytest.raises(InvalidArgumentError, match="needs a loss"):
        recipe.compilation(_model(keras.Model))
