"""The same recipe done by each engine: models that it refuses, files that it makes, and its speed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import ConversionError, InvalidArgumentError, UnsupportedModel, VerificationError
from tfopt.recipe.recipe import Recipe

if TYPE_CHECKING:
    import keras

    from tfopt.pipeline import Run
    from tfopt.stages import Stage

ENGINES = ("keras", "tfmot")

_REFUSALS = (ConversionError, InvalidArgumentError, UnsupportedModel, VerificationError)
"""What an engine may say to a recipe without the comparison being at an end."""

_STEPS, _WARM_UP = 30, 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineResult:
    """The result of a recipe with one engine.

    Attributes:
        engine: its name.
        run: the run; None where the engine refused.
        refusal: what it said then.
        step_ratio: the time of a training step, as a ratio to that of the plain Keras 3 model, of each
            stage that the engine does.
    """

    engine: str
    run: Run | None
    refusal: str | None
    step_ratio: Mapping[str, float]


def compare_engines(
    recipe: Recipe, out: str | os.PathLike[str], *, quiet: bool = False
) -> list[EngineResult]:
    """Run a recipe once for each engine: same model, data, schedule and seeds.

    Every stage that has an engine is done by the one in turn; the others stay what they are. The runs go into
    folders named as the engines, and one that was interrupted resumes there.

    Args:
        recipe: with at least one stage that has an engine.
        out: the folder of both.
        quiet: show no progress.

    Raises:
        InvalidArgumentError: no stage of the recipe has an engine.
        TfoptError: whatever stops a run other than a refusal.
    """
    if not any(type(stage).__name__ in _WRAPPED for stage in recipe.stages):
        raise InvalidArgumentError(
            "No stage of the recipe has an engine: Prune, Cluster and QuantizeAware have one, for example "
            "stages=[tfopt.Train(epochs=5), tfopt.QuantizeAware(epochs=2), tfopt.ExportTFLite()]."
        )
    results = []
    for engine in ENGINES:
        run, refusal = None, None
        try:
            changed = dataclasses.replace(recipe, stages=[_by(engine, stage) for stage in recipe.stages])
            run = changed.run(Path(out, engine), quiet=quiet)
        except _REFUSALS as error:
            refusal = str(error)
        results.append(EngineResult(engine=engine, run=run, refusal=refusal, step_ratio={}))
    ratios = step_ratios(recipe)
    return [dataclasses.replace(each, step_ratio=ratios.get(each.engine, {})) for each in results]


def _by(engine: str, stage: Stage) -> Stage:
    if getattr(stage, "engine", engine) == engine or type(stage).__name__ not in _WRAPPED:
        return stage
    changes: dict[str, Any] = {"engine": engine, "engine_options": None}
    return dataclasses.replace(stage, **changes)


def step_ratios(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return engine -> stage -> time of a training step, as a ratio to the plain model's.

    The models of all engines are trained by turns on one batch in this process, so that what else the
    machine does meets all of them. What an engine refuses is left out.
    """
    import keras

    from tfopt import graph

    keras.utils.set_random_seed(recipe.seed)
    plain = recipe.new_model()
    models = {("plain", "plain"): plain}
    for stage in recipe.stages:
        name = type(stage).__name__
        for engine in ENGINES if name in _WRAPPED else ():
            with contextlib.suppress(*_REFUSALS):
                models[engine, name] = _WRAPPED[name](plain, stage, engine)
                graph.fuse_in_place(models[engine, name])  # as every stage does before it trains
    x, y = recipe.data.split("train")
    batch = keras.tree.map_structure(lambda array: array[: recipe.batch_size], (x, y))
    compilation = recipe.compilation(plain)
    for model in models.values():
        compilation.compile(model, _STEPS)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in models}
    # One after another: TensorFlow warns of retracing where so many first calls follow each other.
    for model in models.values():
        for _ in range(_WARM_UP):
            model.train_on_batch(*batch)
    for _ in range(_STEPS):
        for key, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(*batch)
            times[key].append(time.perf_counter() - start)
    medians = {key: statistics.median(seconds) for key, seconds in times.items()}
    baseline = medians.pop(("plain", "plain"))
    found: dict[str, dict[str, float]] = {}
    for (engine, name), median in medians.items():
        found.setdefault(engine, {})[name] = median / baseline
    return found


def _prune(model: keras.Model, stage: Any, engine: Any) -> keras.Model:
    from tfopt.pruning import prune

    return prune(model, stage.sparsity, engine=engine)


def _quantize_aware(model: keras.Model, stage: Any, engine: Any) -> keras.Model:
    from tfopt.quantization import quantize_aware

    return quantize_aware(model, stage.scheme, engine=engine)


def _cluster(model: keras.Model, stage: Any, engine: Any) -> keras.Model:
    from tfopt.clustering import cluster

    return cluster(model, stage.clusters, engine=engine)


_WRAPPED = {"Prune": _prune, "QuantizeAware": _quantize_aware, "Cluster": _cluster}
"""Stage -> what makes the model that it trains."""
