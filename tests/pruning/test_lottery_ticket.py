import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.pruning import lottery_ticket, rewind
from tfopt.pruning.masks import masked


def _data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 12)).astype("float32"), rng.integers(0, 10, 48)


def _model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, name="hidden"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(10, name="head"),
        ]
    )


class _Training:
    """Trains, and keeps what it was given and what came of it."""

    def __init__(self):
        self.before, self.after, self.masks = [], [], []

    def __call__(self, model):
        self.before.append(model.get_weights())
        self.masks.append([entry.mask.value for entry in masked(model)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(*_data(), epochs=2, verbose=0)
        self.after.append(model.get_weights())


@pytest.mark.parametrize(
    "arguments",
    [
        {"sparsity": 0.8},
        pytest.param({"pattern": "2:4"}, marks=pytest.mark.slow),
        pytest.param({"sparsity": 0.5, "pattern": "1x4"}, marks=pytest.mark.slow),
    ],
)
def test_rounds_prune_what_was_trained_and_go_back_to_early_values(arguments):
    model, train = _model(), _Training()
    early = [np.array(array) for array in model.get_weights()]
    ticket = lottery_ticket(model, train, rounds=2, **arguments)
    final = arguments.get("sparsity", 0.5)
    shares = [np.mean(np.concatenate([~mask.ravel() for mask in masks])) for masks in train.masks]
    assert shares == pytest.approx([0, 1 - (1 - final) ** 0.5, final], abs=0.02)
    for weights, masks in zip(train.before, train.masks, strict=True):
        for place, array in enumerate(weights):
            expected = early[place]
            if early[place].ndim > 1:
                expected = np.where(masks[0 if early[place].shape[0] == 12 else 1], expected, 0)
            np.testing.assert_array_equal(array, expected)
    if "pattern" not in arguments:
        first = np.abs(train.after[0][0])
        mask = train.masks[1][0]
        assert first[mask].min() >= first[~mask].max()
    assert tfopt.measure.sparsity(ticket) == pytest.approx(final, abs=0.01)
    for old, new in zip(early, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_a_data_driven_criterion_and_rules():
    ticket = lottery_ticket(
        _model(), _Training(), 0.75, rounds=2, criterion="taylor", data=_data(), rules={"head": 0.5},
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )  # fmt: skip
    table = {kernel.layer: kernel.sparsity for kernel in tfopt.measure.layer_table(ticket)}
    assert table == pytest.approx({"hidden": 0.75, "head": 0.5}, abs=0.01)


def test_rewind_takes_a_model_too():
    early, later = _model(), tfopt.prune(_model(), 0.5)
    later.set_weights([array + 1 for array in later.get_weights()])
    rewind(later, early)
    for entry, kernel in zip(masked(later), ("hidden", "head"), strict=True):
        expected = early.get_layer(kernel).kernel.numpy()
        np.testing.assert_array_equal(entry.weights, np.where(entry.mask.value, expected, 0))


def test_bad_arguments_are_told_before_any_training():
    def train(model):
        raise AssertionError("nothing is to be trained")

    with pytest.raises(InvalidArgumentError, match="rounds"):
        lottery_ticket(_model(), train, rounds=0)
    with pytest.raises(InvalidArgumentError, match="rewind: expected the 8 weights"):
        lottery_ticket(_model(), train, early=[np.ones(3)])
    with pytest.raises(InvalidArgumentError, match="give a schedule"):
        lottery_ticket(_model(), train, criterion="movement")
    with pytest.raises(InvalidArgumentError, match="'haed'"):
        lottery_ticket(_model(), train, rules={"haed": None})
