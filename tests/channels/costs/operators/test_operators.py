"""Operators are cut out of files, and the axes of their tensors are traced to the channels that they hold."""

from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import layers as L

from tests.at_length import some
from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.files import CutFiles
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.costs.operators.latency_table import LatencyTable
from tfopt.channels.costs.operators.matched import matched
from tfopt.channels.costs.operators.probes import probes
from tfopt.channels.costs.operators.single_operator import single_operator
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies
from tfopt.channels.groups import Group
from tfopt.export.runtime.first_run import failure_of
from tfopt.export.untrained import UntrainedFiles, untrained


@pytest.fixture(scope="module")
def found():
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(16, 3, padding="same", activation="relu", name="first")(inputs)
    y = L.DepthwiseConv2D(3, padding="same")(L.Conv2D(24, 1, name="second")(x))
    x = L.Concatenate()([x, L.Add(name="sum")([x, L.Conv2D(16, 1)(y)])])
    x = L.Dense(12, name="dense")(L.Flatten()(L.AveragePooling2D(2)(x)))
    return dependencies(keras.Model(inputs, L.Dense(5, name="head")(x)))


def files(found, scheme):
    keeps = [np.ones(found.count, bool), *probes(found.groups)]
    return [untrained(cut(found, keep), scheme, None) for keep in keeps], keeps


@pytest.mark.parametrize("scheme", some(["float32", "int8", "dynamic", "int4"], ["float32", "int8"]))
def test_operators_run_alone_at_every_size(found, scheme):
    costs = ModelCosts(found)
    costs.add_tensors()
    contents, keeps = files(found, scheme)
    operators = matched(contents, keeps, costs.sizes)
    whole = costs.sizes.at(keeps[0])
    rows = {group.name: costs.sizes.row(group.units) for group in found.groups}
    by_layer = {name: each for each in operators for name in each.call.layers}
    assert set(by_layer["second"].rows) == {rows["first"], rows["second"]}
    assert by_layer["sum"].rows == (rows["first"],)
    for operator in operators:
        for share in (Fraction(1), Fraction(1, 2)):
            content = single_operator(
                operator.file.model, operator.call, operator.shapes(dict.fromkeys(operator.rows, share))
            )
            assert failure_of(content) is None, operator.call.name
    assert whole[rows["second"]] == 24


def test_the_time_of_a_file_is_that_of_its_operators(found):
    costs = ModelCosts(found)
    measured = CutFiles(found, UntrainedFiles(found.model, "float32", timed=True))
    table = measured.latency(costs)
    whole = table.at(costs.sizes.at(np.ones(found.count, bool)))
    assert whole == pytest.approx(measured.original["latency"], rel=0.9)
    half = table.at(costs.sizes.at(probes(found.groups)[0]))
    assert 0 < half < whole


def test_files_of_other_operators_are_not_matched(found):
    sizes = AxisSizes(found.groups)
    one, other = (
        untrained(keras.Sequential([keras.Input((4,)), *each]), "float32")
        for each in ([L.Dense(3)], [L.Dense(3), L.Dense(2)])
    )
    keep = np.ones(found.count, bool)
    assert matched([one, other], [keep, keep], sizes) is None


def test_a_size_that_no_channel_has_is_not_matched(found):
    sizes = AxisSizes(found.groups)
    contents = [untrained(keras.Sequential([keras.Input((4,)), L.Dense(n)]), "float32") for n in (7, 3)]
    keep = np.ones(found.count, bool)
    assert matched(contents, [keep, keep], sizes) is None
    assert matched(contents[:1] * 2, [keep, keep], sizes) is not None


def test_probes_tell_groups_of_the_same_width_apart():
    groups = [Group(str(n), np.arange(8) + 8 * n) for n in range(20)]
    keeps = probes(groups)
    widths = {tuple(int(keep[group.units].sum()) for keep in keeps) for group in groups}
    assert len(widths) == 20
    assert all(0 < width < 8 for each in widths for width in each)
    assert len(probes(groups[:1])) == 1


def test_the_operators_of_attention_are_a_function_of_its_heads():
    inputs = keras.Input((6, 8))
    attention = L.MultiHeadAttention(4, 3)(L.Dense(8)(inputs), inputs)
    found = dependencies(keras.Model(inputs, L.Dense(2)(attention)))
    assert [len(group.units) for group in found.groups] == [8, 4, 3, 3, 8]
    costs = ModelCosts(found)
    table = CutFiles(found, UntrainedFiles(found.model, "float32", timed=True)).latency(costs)
    assert isinstance(table, LatencyTable)
