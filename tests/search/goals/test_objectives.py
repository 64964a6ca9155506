import inspect

import keras
import pytest

from tfopt.search.goals.objectives import COSTS, direction_of, is_share, measured_as, unknown_metric

ARGUMENTS = (
    {},
    {"num_classes": 2},
    {"num_classes": 2, "target_class_ids": [0]},
    *({name: 0.5} for name in ("recall", "precision", "specificity", "sensitivity")),
)


def metrics_of_keras():
    for cls in vars(keras.metrics).values():
        if inspect.isclass(cls) and issubclass(cls, keras.metrics.Metric):
            for arguments in ARGUMENTS:
                try:
                    yield cls(**arguments)
                except (TypeError, ValueError):
                    continue
                break


def test_directions_are_those_of_keras():
    known = {metric.name: getattr(metric, "_direction", None) for metric in metrics_of_keras()}
    assert len(known) > 35
    for name, direction in known.items():
        expected = {"up": "max", "down": "min"}.get(direction)
        if expected is not None:
            assert direction_of(name) == expected, name
            assert direction_of(f"head_{name}_1") == expected, name


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((cost, "min") for cost in COSTS),
        ("acc", "max"),
        ("head.accuracy", "max"),
        ("mask_mean_io_u", "max"),
        ("val", None),
        ("satisfaction", None),
        ("terror", None),
    ],
)
def test_direction(name, direction):
    assert direction_of(name) == direction


def test_shares():
    assert is_share("head_accuracy")
    assert not is_share("loss")
    assert not is_share("bytes")


@pytest.mark.parametrize(
    ("name", "measured", "found"),
    [
        ("mae", ["loss", "mae"], "mae"),
        ("head.mae", ["loss", "head_mae", "other_mae"], "head_mae"),
        ("acc", ["accuracy"], "accuracy"),
        ("accuracy", ["loss", "sparse_categorical_accuracy"], "sparse_categorical_accuracy"),
        ("accuracy", ["a_accuracy", "b_accuracy"], None),
        ("mae", ["loss"], None),
    ],
)
def test_how_keras_calls_it(name, measured, found):
    assert measured_as(name, measured) == found


def test_what_is_not_measured_is_told():
    assert (
        unknown_metric("accuracy", ["a_accuracy", "b_accuracy"])
        == "There are several metrics 'accuracy': name one of a_accuracy, b_accuracy."
    )
    told = unknown_metric("byte", ["loss"])
    assert "no metric 'byte'; it has loss, and the costs bytes, " in told
    assert told.endswith("Did you mean 'bytes'?")
