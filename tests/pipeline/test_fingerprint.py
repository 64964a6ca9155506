import keras

from tfopt.pipeline.fingerprint import (
    callback_configs,
    fingerprint,
    model_config,
    weights_digest,
    without_made_up_names,
)


def small(units=3, activation="relu"):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(units, activation=activation)(inputs)
    x = keras.layers.BatchNormalization()(x)
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    return keras.Model(inputs, keras.layers.Add()([inner(x), keras.layers.Dense(2)(x)]))


def digest(model):
    return fingerprint(model_config(model))


def test_names_that_keras_counts_up_do_not_matter_and_all_else_does():
    first, second = small(), small()
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    assert digest(first) == digest(second)
    assert digest(small(units=4)) != digest(first)
    assert digest(small(activation="tanh")) != digest(first)


def test_optimizers_are_numbered_too():
    def config(rate):
        return without_made_up_names(
            {"optimizer": keras.saving.serialize_keras_object(keras.optimizers.Adam(rate))}
        )

    assert config(0.5) == config(0.5)
    assert config(0.5) != config(0.25)


def test_weights():
    keras.utils.set_random_seed(0)
    first, other = small(), small()
    keras.utils.set_random_seed(0)
    again = small()
    assert weights_digest(first) == weights_digest(again)
    assert weights_digest(first) != weights_digest(other)


def test_callbacks_by_their_config_or_their_plain_attributes():
    def stopping(**arguments):
        return callback_configs([keras.callbacks.EarlyStopping(**arguments)])

    assert fingerprint(stopping(patience=2)) == fingerprint(stopping(patience=2))
    assert fingerprint(stopping(patience=2)) != fingerprint(stopping(patience=3))

    class WithConfig(keras.callbacks.Callback):
        def get_config(self):
            return {"a": 1}

    assert callback_configs([WithConfig()]) == [{"class": "WithConfig", "a": 1}]
