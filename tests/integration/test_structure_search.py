"""A search over structures is the search over any other hyperparameter."""

from pathlib import Path

import pytest

import tfopt

RECIPE = Path(__file__).parents[2] / "recipes" / "structure_digits.py"


@pytest.mark.slow
def test_trials_have_different_structures_and_the_smallest_is_of_the_front(tmp_path):
    source = RECIPE.read_text().replace("epochs=12", "epochs=2").replace("epochs=3", "epochs=1")
    short = tmp_path / "structure.py"
    short.write_text(source.replace("max_drop=0.01", ""))
    result = tfopt.search(short, trials=3, minimize="bytes", maximize="accuracy", out=tmp_path / "search")
    trials = [trial for trial in result.typed.trials if trial.status == "complete"]
    assert len(trials) == 3
    structures = {
        tuple(trial.values[name] for name in ("width", "depth", "stages", "block")) for trial in trials
    }
    sizes = {trial.number: trial.metrics["bytes"] for trial in trials}
    assert len(structures) > 1
    assert len(set(sizes.values())) == len(structures)
    assert min(sizes, key=sizes.get) in result.typed.front
    smallest = result.front[result.typed.front.index(min(sizes, key=sizes.get))]
    assert smallest.tflite.summary().integer
