import keras
import pytest
import tensorflow as tf

from tfopt import distribute
from tfopt.errors import InvalidArgumentError


def test_names():
    assert distribute.describe(distribute.resolve("one_device")) == {"name": "one_device", "replicas": 1}
    assert distribute.describe(distribute.resolve("mirrored")) == {"name": "mirrored", "replicas": 2}
    gpus = len(tf.config.list_logical_devices("GPU"))
    assert distribute.resolve("auto").num_replicas_in_sync == max(gpus, 1)


def test_a_strategy_of_ones_own_is_taken_as_it_is(two_devices):
    assert distribute.resolve(two_devices) is two_devices
    assert distribute.describe(tf.distribute.OneDeviceStrategy("CPU:0"))["name"] == "one_device"


def test_auto_inside_a_scope_is_that_strategy(two_devices):
    with two_devices.scope():
        assert distribute.resolve("auto") is two_devices
        with pytest.raises(InvalidArgumentError, match="inside the scope of MirroredStrategy"):
            distribute.resolve("one_device")


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("horovod", "Unknown strategy 'horovod'; choose from auto, one_device, mirrored"),
        (None, "Unknown strategy None"),
        (keras.distribution.DataParallel(devices=["cpu:0"]), "has no effect on the TensorFlow backend"),
    ],
)
def test_what_is_refused(strategy, message):
    with pytest.raises(InvalidArgumentError, match=message):
        distribute.resolve(strategy)


def test_the_mirrored_strategy_of_a_process_is_one():
    assert distribute.resolve("mirrored") is distribute.resolve("mirrored")
