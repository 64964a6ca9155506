"""Records of searches."""

import math
import random

NASTY = "<b>rate</b> & $x_{1$"


def trial(number, metrics, values, **more):
    return {
        "number": number, "status": "complete", "values": values, "figures": metrics, "feasible": True,
        "run": f"../trials/{number:08x}", "seconds": 60.0, "epochs": 4, "hypervolume": 0.1 + number / 100,
    } | more  # fmt: skip


def record(objectives, trials, **more):
    metric, direction = next(iter(objectives.items()))
    return {
        "schema": 2, "name": "digits", "id": "12ab34cd", "status": "complete", "sampler": "random",
        "created": "2026-11-29T10:00:00+00:00", "seconds": 60.0 * len(trials), "searched": 900.0,
        "goal": {"metric": metric, "direction": direction, "objectives": objectives, "keep": {}},
        "requested_trials": 12, "best": 2, "front": [2, 3], "hypervolume": 0.4321, "trials": trials,
        "command": "tfopt search recipes/digits.py",
    } | more  # fmt: skip


def several(objectives):
    """Return a search with trials of every status, names and values that a page must escape."""
    rng = random.Random(0)
    trials = []
    for number in range(1, 9):
        width, rate = rng.choice([8, 16, 24]), 10 ** rng.uniform(-4, -1)
        metrics = {
            "bytes": 700 * width + 13 * number,
            "latency": 0.5 + width / 40,
            "accuracy": 0.9 + width / 400 - 0.01 * abs(math.log10(rate) + 2.5),
            "mae": 0.5 + rate,
        }
        values = {"width": width, NASTY: rate, "activation": rng.choice(["relu", "<i>swish</i>"])}
        if width > 8:
            values["only sometimes"] = rng.random()
        trials.append(trial(number, metrics, values))
    trials[4] |= {"feasible": False, "violations": {"max bytes": 0.25}}
    blank = {"figures": {}, "feasible": None, "hypervolume": None}
    trials += [
        trial(9, {}, {"width": 8}, **blank | {"status": "failed", "reason": "<script>alert(1)</script>"}),
        trial(10, {}, {"width": 16}, **blank | {"status": "stopped", "epochs": 1}),
        trial(11, {}, {"width": 99}, **blank | {"status": "rejected", "run": None, "reason": "too large"}),
        trial(12, {}, {"width": 8}, **blank | {"status": "running", "run": None, "seconds": None}),
    ]
    return record(objectives, trials)


THREE = {"bytes": "min", "latency": "min", "accuracy": "max"}
