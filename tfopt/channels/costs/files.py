"""What is left of a model when units are removed, as a file."""

from __future__ import annotations

import logging

import numpy as np

from tfopt.channels.costs.metric import Metric
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.costs.operators.matched import matched
from tfopt.channels.costs.operators.measured import latency_table
from tfopt.channels.costs.operators.probes import probes
from tfopt.channels.cut import cut
from tfopt.channels.groups import FIXED, Dependencies, Slice
from tfopt.export.untrained import UntrainedFiles

logger = logging.getLogger(__name__)


class CutFiles:
    """The files of a model and of what is left of it when units are removed.

    Args:
        dependencies: of the model.
        files: whose original is the whole model.

    Attributes:
        original: metric -> that of the whole model.
    """

    def __init__(self, dependencies: Dependencies, files: UntrainedFiles) -> None:
        self._dependencies, self._files = dependencies, files
        self.original = files.original

    def latency(self, costs: ModelCosts) -> Metric:
        """Return the seconds of a file as a function of sizes: the sum over the operators of this one.

        Heads are flattened along one axis, which holds fewer where heads are fewer or narrower: seconds are a
        function of how many there are.

        Args:
            costs: of the model; its `sizes` get the axes of all tensors.
        """
        costs.add_tensors()
        whole = _inside_of_others(self._dependencies)
        keeps = [np.ones(self._dependencies.count, bool), *probes(self._dependencies.groups, whole)]
        cuts = (cut(self._dependencies, keep) for keep in keeps[1:])
        contents = [self._files.content, *map(self._files.written, cuts)]
        operators = matched(contents, keeps, costs.sizes)
        if operators is None:
            logger.warning(
                "The operators of the file of %r do not follow its channels one by one: its latency is "
                "predicted from its multiply-accumulates and the sizes of its tensors.",
                self._dependencies.model.name,
            )
            return costs.work()
        return latency_table(operators, costs.sizes, self.original["latency"])

    def measured(self, keep: np.ndarray) -> dict[str, float]:
        """Return metric -> that of the file of what is kept, as `keep`, of shape `(units,)`, tells."""
        return self._files.measured(cut(self._dependencies, keep))


def _inside_of_others(dependencies: Dependencies) -> set[int]:
    """Return the numbers of the groups whose units are inside of others, as places inside of heads are."""
    made: dict[int, list[Slice]] = {}
    for part in dependencies.slices:
        if part.made and (part.units != FIXED).any():
            made.setdefault(id(part.variable), []).append(part)
    inside = [max(parts, key=lambda part: part.axis).units for parts in made.values() if len(parts) > 1]
    units = np.unique(np.concatenate([np.zeros(0, int), *inside]))
    return {number for number, group in enumerate(dependencies.groups) if np.isin(group.units, units).any()}
