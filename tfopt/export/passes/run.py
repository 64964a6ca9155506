"""The loop that runs passes over a parsed file, and logs what each of them changes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec

from tfopt.export.flatbuffer.edit import empty_buffers, remove_empty_buffers
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.flatbuffer.file import ParsedFile

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True)
class Pass:
    """One edit of a file that is planned and not yet done. Make it with `Pass.of`.

    Attributes:
        name: of the function that edits.
        edit: changes a file in place and returns whether it did.
    """

    name: str
    edit: Callable[[ParsedFile], bool] = field(repr=False)

    @classmethod
    def of(
        cls,
        function: Callable[Concatenate[ParsedFile, Arguments], bool],
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> Pass:
        """Return the pass that calls `function` with a file and these arguments."""

        def edit(file: ParsedFile) -> bool:
            return function(file, *arguments, **keywords)

        return cls(function.__name__, edit)


def run_passes(file: ParsedFile, passes: Iterable[Pass]) -> None:
    """Run passes in order; log at info level which of them changed the file, and how.

    Each pass may refer to buffers by number while it runs. Those that the passes before it have emptied are
    removed after it.

    Args:
        file: to change.
        passes: as `tfopt.export.passes.plan` lists them.
    """
    for each in passes:
        before, empty = _counts(file), empty_buffers(file.model)
        if each.edit(file):
            remove_empty_buffers(file.model, empty)
            file.mark_changed()
            logger.info("%s changed the file: %s", each.name, _difference(before, _counts(file)))
        else:
            logger.debug("%s left the file as it was", each.name)


def _counts(file: ParsedFile) -> Counter[str]:
    """Return how many operators of each kind and tensors of each type a file has."""
    counts = Counter(f"{call.name} operators" for call in file.calls())
    counts.update(f"{type_name(tensor)} tensors" for graph in file.graphs for tensor in graph.tensors or [])
    return counts


def _difference(before: Counter[str], after: Counter[str]) -> str:
    moved = {what: after[what] - before[what] for what in sorted(before.keys() | after.keys())}
    listed = ", ".join(f"{count:+} {what}" for what, count in moved.items() if count)
    return listed or "names, values or scales alone"
