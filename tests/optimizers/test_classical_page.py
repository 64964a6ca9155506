"""The tables of docs/classical_optimizers.md hold what its formulas give, and what Keras computes."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "classical_optimizers.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| 2 \| ([^|]+) \| ([^|]+) \| ([^|]+) \| `([^`]+)` \|$", PAGE, re.MULTILINE)
RATE = 0.1


def _momentum(theta, g, t, state, ahead=False):
    state["v"] = 0.9 * state.get("v", 0.0) - RATE * g
    return theta + (0.9 * state["v"] - RATE * g if ahead else state["v"])


def _average(theta, g, t, state):
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
    return theta - RATE * state["m"]


def _adagrad(theta, g, t, state, start=0.0):
    state["a"] = state.get("a", start) + g * g
    return theta - RATE * g / np.sqrt(state["a"] + 1e-7)


def _rmsprop(theta, g, t, state):
    state["v"] = 0.9 * state.get("v", 0.0) + 0.1 * g * g
    return theta - RATE * g / np.sqrt(state["v"] + 1e-7)


def _adam(theta, g, t, state, largest=False):
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * g * g
    state["most"] = max(state.get("most", 0.0), state["v"]) if largest else state["v"]
    return theta - RATE * (state["m"] / (1 - 0.9**t)) / (np.sqrt(state["most"] / (1 - 0.999**t)) + 1e-8)


FORMULAS = {
    "gradient descent": lambda theta, g, t, state: theta - RATE * g,
    "momentum 0.9, EMA": _average,
    "momentum 0.9, heavy ball": _momentum,
    "momentum 0.9, Nesterov": lambda *given: _momentum(*given, ahead=True),
    "AdaGrad, a from 0": _adagrad,
    "AdaGrad, Keras's a from 0.1": lambda *given: _adagrad(*given, start=0.1),
    "RMSprop, \u03c1 = 0.9": _rmsprop,
    "Adam": _adam,
    "AMSGrad": lambda *given: _adam(*given, largest=True),
}


def test_every_row_has_its_formula():
    assert [row[0] for row in ROWS] == list(FORMULAS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_holds_what_its_formula_and_keras_give(row):
    name, *told, code = row
    optimizer = eval(f"keras.optimizers.{code}", {"keras": keras})
    variable, theta, state = keras.Variable(2.0), 2.0, {}
    for t, cell in enumerate(told, 1):
        theta = FORMULAS[name](theta, 2 * theta, t, state)
        optimizer.apply([2 * keras.ops.convert_to_tensor(variable)], [variable])
        assert f"{theta:.4f}".rstrip("0").rstrip(".") == cell
        assert float(variable.value) == pytest.approx(theta, abs=5e-6)


def test_amsgrad_remembers_a_rare_large_gradient():
    def last_step(amsgrad):
        optimizer = keras.optimizers.Adam(RATE, amsgrad=amsgrad)
        variable, before = keras.Variable(0.0), 0.0
        for t in range(1001):
            before = float(variable.value)
            optimizer.apply([keras.ops.convert_to_tensor(0.1 if t else 10.0)], [variable])
        return before - float(variable.value)

    assert f"is {last_step(True) / last_step(False):.2f} of Adam's" in PAGE
