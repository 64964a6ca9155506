"""What the layers of both Kerases can be told."""

import keras
import pytest
import tf_keras

from tfopt.legacy.settings import means_nothing, settings_of


def test_arguments_that_a_class_hands_to_its_parents_count():
    assert {"filters", "kernel_size", "name", "dtype"} <= settings_of(keras.layers.Conv2D)
    assert not {"self", "args", "kwargs"} & settings_of(keras.layers.Conv2D)
    assert "batch_input_shape" in settings_of(tf_keras.layers.Dense)


@pytest.mark.parametrize(
    ("key", "value", "nothing"),
    [("groups", 1, True), ("groups", 2, False), ("seed", 7, True), ("unknown", None, False)],
)
def test_a_setting_that_means_nothing_can_be_left_out(key, value, nothing):
    assert means_nothing({"groups": (1,), "seed": None}, key, value) is nothing
