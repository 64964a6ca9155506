"""The values of constants of which a file of 8 bits with the steps of 16 holds only what it can."""

import numpy as np

from tfopt.export.int16.constants import cut_off_from, rounded_from
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec

ONE, OTHER, KERNEL = np.array([0.5, 1.0, -2.0]), np.array([0.4, 3.0, -1.0]), np.array([[0.2], [0.3], [-0.1]])
STEPS = {0: 2.0 / 32767, 1: 3.0 / 32767}
SPEC = Int16Spec(constants=[KERNEL, ONE, OTHER], cut=[(STEPS[0], ONE), (STEPS[1], OTHER)])


def _cut(values, step):
    return np.clip(np.rint(values / step), -128, 127) * step


def test_the_step_tells_which_constant_was_cut_off():
    for step, values in SPEC.cut:
        held = _cut(values, step)
        assert np.all(np.abs(held) > 126 * step)  # nothing but the signs is left
        np.testing.assert_array_equal(cut_off_from(SPEC, held, step), values)


def test_also_behind_another_grid():
    held = _cut(OTHER, STEPS[1])
    np.testing.assert_array_equal(cut_off_from(SPEC, held, 2.5 * STEPS[1]), OTHER)
    np.testing.assert_array_equal(rounded_from(SPEC, held, np.max(np.abs(held)) / 127), OTHER)


def test_what_has_no_quantizer_is_told_by_what_is_left_of_it():
    table = np.array([[0.001, -0.002], [0.3, 0.0005]])
    step = 1e-4
    int16 = Int16Spec(constants=[KERNEL, table], cut=SPEC.cut)
    np.testing.assert_array_equal(cut_off_from(int16, _cut(table, step).ravel(), step), table.ravel())


def test_what_the_converter_made_itself_is_what_it_holds():
    np.testing.assert_array_equal(cut_off_from(SPEC, np.zeros(1), 1e-4), [0.0])
    assert cut_off_from(SPEC, np.array([127e-4]), 1e-4) is None


def test_what_could_be_several_is_none():
    step = 1e-4
    int16 = Int16Spec(constants=[ONE, OTHER], cut=[])
    assert cut_off_from(int16, _cut(ONE, step), step) is None
    same = Int16Spec(constants=[ONE, ONE.copy()], cut=[])
    np.testing.assert_array_equal(cut_off_from(same, _cut(ONE, step), step), ONE)


def test_a_constant_that_was_only_rounded_is_the_models_or_its_own():
    scale = 2.0 / 127
    held = np.rint(ONE / scale) * scale
    np.testing.assert_array_equal(rounded_from(SPEC, held, scale), ONE)
    strange = np.array([5.0, 6.0, 7.0])
    np.testing.assert_array_equal(rounded_from(SPEC, strange, 7 / 127), strange)
