"""Methods and thresholds of clipping, for all layers and by rules."""

import keras
import pytest

from tfopt.callbacks._core import clip_setting
from tfopt.errors import InvalidArgumentError

SCHEDULE = keras.optimizers.schedules.CosineDecay(1.0, 10)


def test_a_method_brings_its_threshold_and_its_memory():
    plain = clip_setting.make("adaptive", None, {})
    assert (plain.threshold, plain.stateful, plain.state_size) == (0.01, None, 0)
    stateful = clip_setting.make("autoclip", 5, {"history": 7})
    assert stateful.threshold == 5.0
    assert stateful.state_size == 8


@pytest.mark.parametrize(
    ("rule", "method", "threshold"),
    [
        (0.5, "zclip", 0.5),
        ("norm", "norm", 1.0),
        (("norm", 2.0), "norm", 2.0),
        (["zclip", None], "zclip", 2.5),
    ],
)
def test_a_rule_is_a_threshold_a_method_or_both(rule, method, threshold):
    setting = clip_setting.of_rule(rule, "zclip", {"warmup_steps": 3}, where="")
    assert (setting.method, setting.threshold) == (method, threshold)
    assert method != "zclip" or setting.stateful.warmup_steps == 3


def test_a_rule_of_none_clips_nothing():
    assert clip_setting.of_rule(None, "norm", {}, where="") is None


def test_thresholds_at_a_batch():
    assert clip_setting.at_batch(2.0, 5) == 2.0
    assert clip_setting.at_batch(lambda number: 0.5 * number, 5) == 2.5
    assert clip_setting.traceable(SCHEDULE)
    assert not clip_setting.traceable(lambda number: 1.0)


@pytest.mark.parametrize("schedule", [lambda number: -1.0, lambda number: float("inf"), lambda number: "a"])
def test_a_function_must_give_thresholds(schedule):
    with pytest.raises(InvalidArgumentError, match="expected a schedule"):
        clip_setting.at_batch(schedule, 3)


def test_a_description_is_what_json_can_hold():
    assert clip_setting.describe(0.5) == 0.5
    assert clip_setting.describe(SCHEDULE)["class_name"] == "CosineDecay"
    assert clip_setting.describe(test_thresholds_at_a_batch) == "test_thresholds_at_a_batch"
