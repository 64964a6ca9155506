"""Why an operation stays in float: each reason with a model that has it."""

import keras
import pytest

import tfopt
from tfopt.quantization import left_in_float

L, ops = keras.layers, keras.ops


def _of(shape, function, **settings):
    x = keras.Input(shape, name="x", **settings)
    return keras.Model(x, function(x))


def _columns():
    return _of((2,), L.Normalization(mean=[0.0, 1e5], variance=[1.0, 1e8], name="norm"))


def _masked(tokens):
    return L.GlobalAveragePooling1D(name="mean")(L.Embedding(9, 4, mask_zero=True, name="table")(tokens))


CASES = {
    "elu": (
        lambda: _of((4,), L.ELU(name="elu")),
        {"elu": "LiteRT has no int8 kernel for ELU"},
    ),
    "a rule": (lambda: _of((4,), L.Dense(3, name="dense")), {"dense": "a rule says so"}),
    "columns": (_columns, {"norm": "8 bits do not hold columns of so different a size"}),
    "a mask": (
        lambda: _of((5,), _masked, dtype="int32"),
        {"mean": "LiteRT has no int8 kernel for an average under a mask"},
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:'norm' is left in float")
def test_the_reason(name):
    build, expected = CASES[name]
    rules = {"dense": None} if name == "a rule" else None
    assert expected.items() <= tfopt.plan(build(), rules=rules).in_float.items()


def test_a_small_summand_of_a_root():
    def root(x):
        return ops.sqrt(ops.square(L.Dense(3, name="dense")(x)) + 1e-5)

    reasons = tfopt.plan(_of((4,), root)).in_float
    assert "rounded, the small number that it adds would be 0" in reasons.values()


def test_what_passes_indices_on():
    def shifted(x):
        return L.Embedding(9, 2, name="table")(L.Rescaling(1.0, offset=1.0, name="shift")(x))

    assert tfopt.plan(_of((3,), shifted)).in_float == {"shift": "it passes on indices, which are not rounded"}


def test_a_spectrum():
    def heard(x):
        return ops.abs(ops.rfft(x)[0])

    assert (
        "8 bits do not hold the quiet parts of a sound and its spectrum"
        in tfopt.plan(_of((16,), heard)).in_float.values()
    )


@pytest.mark.parametrize("rules", [None, {"b": None}, {"a": "dynamic"}])
def test_all_that_left_in_float_names_is_there(rules):
    x = keras.Input((4,), name="x")
    model = keras.Model(x, L.ELU(name="c")(L.Dense(3, name="b")(L.Dense(4, name="a")(x))))
    expected = left_in_float(model, rules)
    found = tfopt.plan(model, rules=rules).in_float
    assert {path: reason for path, reason in found.items() if reason != "by its scheme"} == expected
