import keras
import numpy as np

import tfopt
from tests.channels.two_convolutions import two_convolutions
from tfopt.channels.groups import Dependencies, Group
from tfopt.channels.planning import plan_file
from tfopt.channels.planning.named_groups import named_groups


def test_groups_of_one_layer_have_names_of_their_own():
    found = two_convolutions()
    units = np.arange(4)
    groups = tuple(Group(name, units + 4 * i) for i, name in enumerate(("conv1", "conv1", "conv2", "conv1")))
    found = Dependencies(found.model, groups, found.slices, {}, found.axes)
    assert list(named_groups(found)) == ["conv1", "conv1 (2)", "conv2", "conv1 (3)"]


def test_a_layer_whose_channels_part_ways_is_planned_cut_and_written_in_parts():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(16, name="both")(inputs)
    parts = keras.ops.split(x, 2, axis=-1)
    ways = [keras.layers.Dense(4, name=name)(part) for name, part in zip("ab", parts, strict=True)]
    model = keras.Model(inputs, ways)
    both = model.get_layer("both").kernel
    both.assign(both.numpy() * np.repeat([1.0, 1e-3], 8))
    plan = tfopt.prune_channels(model, 0.25, scope="local", round_to=1, dry_run=True)
    assert [(group.name, group.before, group.after) for group in plan.groups] == [
        ("both", 8, 6),
        ("both (2)", 8, 6),
    ]
    again = plan_file.from_json(plan_file.to_json(plan), model)
    assert np.array_equal(again.keep, plan.keep)
    assert again.to_dict() == plan.to_dict()
    assert plan.apply().get_layer("both").units == 12
    smaller = tfopt.prune_channels(model, params=0.6, rules={"both": 0.5})
    assert 8 <= smaller.get_layer("both").units < 16
