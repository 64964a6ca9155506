"""The engines that run the trials of a search, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.search.executors.devices import environments
from tfopt.search.executors.messages import Runner
from tfopt.search.executors.processes import ProcessSlot
from tfopt.search.executors.slot import InProcess, Slot

if TYPE_CHECKING:
    from tfopt.search.recipe_runner import RecipeRunner

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)

MADE_BY = "tfopt.search.recipe_runner:RecipeRunner"


def check_engine(
    engine: str,
    *,
    workers: int | None,
    address: str | None,
    resources: Mapping[str, float] | None,
) -> None:
    """Raise where an engine cannot be asked for, before anything is run.

    Raises:
        InvalidArgumentError: there is none of this name, it takes no address or resources, Ray is not
            installed, or the workers are no number of 1 or more.
        RunError: nothing listens at the address.
    """
    _validation.choice("search", "engine", engine, ENGINES)
    if workers is not None:
        _validation.whole("search", "workers", workers, at_least=1)
    given = {"address": address, "resources": resources or None}
    for name, value in given.items():
        if value is not None and engine != RAY:
            raise InvalidArgumentError(
                f'search: {name}={value!r} is for engine="ray" (--engine ray); the engine is {engine!r}.'
            )
    if engine == RAY:
        from tfopt.search.executors.ray import check_ray

        check_ray(address, resources)


@contextlib.contextmanager
def slots_of(
    runner: RecipeRunner,
    engine: str,
    *,
    workers: int | None,
    address: str | None,
    resources: Mapping[str, float] | None,
) -> Iterator[list[Slot]]:
    """Yield the slots in which an engine runs the trials of a recipe.

    Args:
        runner: of the recipe.
        engine: one of `ENGINES`.
        workers: how many slots.
        address, resources: of Ray.

    Raises:
        RunError: no Ray cluster answers at the address.
    """
    elsewhere = Runner(made_by=MADE_BY, arguments=runner.arguments())
    if engine == RAY:
        from tfopt.search.executors.ray import ray_slots

        with ray_slots(elsewhere, workers=workers, address=address, resources=resources) as slots:
            yield slots
    elif workers is None or workers == 1:
        yield [InProcess(runner.run_trial, runner.measure_latency, runner.declare, runner.foresee)]
    else:
        yield [ProcessSlot(elsewhere, each) for each in environments(workers)]
