from typing import ClassVar

import keras
import pytest
import tensorflow as tf

from tfopt import distribute
from tfopt.distribute import strategies
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


@pytest.mark.parametrize("name", ["tpu=", "mirrored=2", "auto=x", "", 3])
def test_names_that_are_almost_one(name):
    with pytest.raises(InvalidArgumentError, match="Unknown strategy"):
        distribute.resolve(name)


def test_a_choice_says_why(two_devices, caplog):
    with caplog.at_level("INFO", "tfopt"):
        assert distribute.choose("one_device").reason == "one_device on CPU, as asked"
        assert distribute.choose("auto").reason == "one_device on CPU, because there is no GPU"
        assert distribute.choose("mirrored").reason == "mirrored over 2 CPU, as asked"
        assert distribute.choose(two_devices).reason == "mirrored over 2 CPU, as given"
    assert "strategy: one_device on CPU, because there is no GPU" in caplog.text


class Resolver:
    """Stands where TensorFlow meets a TPU."""

    asked: ClassVar[list] = []

    def __init__(self, tpu):
        self.asked.append(tpu)
        if tpu == "down":
            raise ValueError("Request failed with\n404")


@pytest.fixture
def tpus(monkeypatch):
    strategies._tpu.cache_clear()
    Resolver.asked.clear()
    connected = []
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", Resolver)
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", connected.append)
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", lambda resolver: None)
    monkeypatch.setattr(
        tf.distribute, "TPUStrategy", lambda resolver: tf.distribute.OneDeviceStrategy("CPU:0")
    )
    yield connected
    strategies._tpu.cache_clear()


def test_a_tpu_by_its_name_and_that_of_this_machine(tpus, monkeypatch):
    distribute.resolve("tpu=v5e-8")
    assert (Resolver.asked, len(tpus)) == (["v5e-8"], 1)
    distribute.resolve("tpu")
    assert (Resolver.asked[1:], len(tpus)) == (["local"], 1)
    strategies._tpu.cache_clear()
    monkeypatch.setenv("TPU_NAME", "mine")
    assert distribute.choose("auto").reason.endswith("because there is one")
    assert Resolver.asked[2:] == ["mine"]


def test_a_tpu_that_does_not_answer(tpus):
    with pytest.raises(
        InvalidArgumentError, match=r"no TPU down that answers \(ValueError: Request failed with 404\)"
    ):
        distribute.resolve("tpu=down")


def test_what_trains_in_one_process(two_devices):
    distribute.check_single_process("search", "mirrored")
    distribute.check_single_process("search", two_devices)
    with pytest.raises(InvalidArgumentError, match='search: strategy="multi_worker" is for single runs'):
        distribute.check_single_process("search", "multi_worker")
    with pytest.raises(InvalidArgumentError, match="Unknown strategy 'horovod'"):
        distribute.check_single_process("search", "horovod")
