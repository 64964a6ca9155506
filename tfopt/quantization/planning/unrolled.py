"""A model with its loops unrolled, on which quantization is planned, and where its tensors are in there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from tfopt.graph import Node, Recurrence, nodes, producer, replay
from tfopt.quantization.planning.bit_widths import BitWidths
from tfopt.quantization.planning.quantizer_placement import QuantizerPlacement

STEPS = 3
"""How far loops are unrolled: a first step, one that another follows, and one that ends."""


class Flat:
    """A canonical model without loops, made of the same operations.

    The steps of a loop are alike, so a few of them show which tensors are quantized and which share a scale.

    Attributes:
        model: the model without loops; itself where it has none.

    Args:
        model: canonical.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._loops = [node for node in nodes(model) if isinstance(node.operation, Recurrence)]
        self._tensors: dict[int, list[keras.KerasTensor]] = defaultdict(list)
        self.model = self._unrolled() if self._loops else model

    def _unrolled(self) -> keras.Model:
        def emit(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            made = node.operation(*args, **kwargs)
            for old, new in zip(node.outputs, keras.tree.flatten(made), strict=True):
                self._tensors[id(old)].append(new)
            return made

        inputs = iter(self._model.inputs)

        def emit_input(tensor: keras.KerasTensor) -> keras.KerasTensor:
            self._tensors[id(next(inputs))].append(tensor)
            return tensor

        model = replay(self._model, emit, emit_input, unroll=STEPS)
        there = {id(x) for node in nodes(model) for x in node.outputs}
        for old, images in self._tensors.items():
            # Of an output that is no state, only the last step's may be in the model.
            self._tensors[old] = [image for image in images if id(image) in there] or images
        return model

    def tensor(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Return what a tensor is in the flat model: of a loop's, that of a step that another follows."""
        found = self._tensors.get(id(tensor), [tensor])
        return found[-2] if len(found) > 1 else found[-1]

    def node(self, node: Node) -> Node:
        """Return the call in the flat model that a node is."""
        if not self._loops:
            return node
        found = producer(self.tensor(node.outputs[0]))
        assert found is not None
        return found

    def paths(self, paths: Mapping[str, str]) -> dict[str, str]:
        """Return the paths of what moves tensors into and out of loops, which are those of the loops."""
        loops = [node.path for node in self._loops]
        return {
            node.path: paths[loop]
            for node in (nodes(self.model) if loops else ())
            for loop in loops
            if node.path not in paths and node.path.startswith(loop + ".") and loop in paths
        }

    def leaving(self, placement: QuantizerPlacement) -> dict[int, keras.KerasTensor]:
        """Return, by `id`, the outputs of loops that have another scale than in the loop, and their image.

        What a loop ends with meets other tensors in one scale, where its steps have their own.
        """
        steps = {id(image[-1]): image[-2] for image in self._tensors.values() if len(image) > 1}
        found = {}
        for node in nodes(self._model) if self._loops else ():
            if isinstance(node.operation, Recurrence):
                continue
            for tensor, image in zip(node.inputs, map(self._inside, self.node(node).inputs), strict=True):
                step = steps.get(id(image))
                name = placement.quantizers.get(id(image))
                if step is not None and name is not None and name != placement.quantizers.get(id(step)):
                    found[id(tensor)] = image
        return found

    def _inside(self, image: keras.KerasTensor) -> keras.KerasTensor:
        """Return the tensor of a last step that an identity hands out of its loop; else the tensor itself."""
        made = producer(image)
        moved = made is not None and isinstance(made.operation, keras.layers.Identity)
        if made is None or not moved or not any(made.path.startswith(f"{x.path}.") for x in self._loops):
            return image
        return made.inputs[0]

    def numbered(
        self, placement: QuantizerPlacement, leaving: Mapping[int, keras.KerasTensor]
    ) -> tuple[dict[int, int | None], Counter[str]]:
        """Return, by `id`, the number of each tensor of the model among those that share its quantizer.

        Of a tensor in a loop, that of its first step; None as in `QuantizerPlacement.tensors`. And quantizer
        -> how many there are.

        Args:
            placement: of the quantizers.
            leaving: as `leaving` returns it.
        """
        counts: Counter[str] = Counter()
        numbers: dict[int, int | None] = {}
        for tensor, times in self._made():
            image = id(self.tensor(tensor))
            name = placement.quantizers.get(image)
            if name is None or placement.tensors[image] is None:
                numbers[id(tensor)] = None
                continue
            numbers[id(tensor)] = counts[name]
            counts[name] += times
        for tensor, image in leaving.items():
            name = placement.quantizers[id(image)]
            numbers[tensor] = counts[name]
            counts[name] += 1
        return numbers, counts

    def requantizations(self, widths: BitWidths) -> tuple[dict[tuple[str, int], int], Counter[str]]:
        """Return the same for what is rounded to fewer bits: (quantizer of 16 bits, `id`) -> number."""
        counts: Counter[str] = Counter()
        numbers: dict[tuple[str, int], int] = {}
        for node, times in self._calls():
            for tensor, int16 in zip(node.inputs, widths.requantized(self.node(node)), strict=True):
                if int16 is not None and (int16, id(tensor)) not in numbers:
                    numbers[int16, id(tensor)] = counts[int16]
                    counts[int16] += times
        return numbers, counts

    def _calls(self) -> Iterator[tuple[Node, int]]:
        """Yield every call but those of loops, and how often it runs."""
        for node in nodes(self._model):
            loop = node.operation
            if not isinstance(loop, Recurrence):
                yield node, 1
                continue
            for program in loop.programs:
                yield from ((each, loop.times(program)) for each in program.nodes())

    def _made(self) -> Iterator[tuple[keras.KerasTensor, int]]:
        yield from ((tensor, 1) for tensor in self._model.inputs)
        for node, times in self._calls():
            yield from ((tensor, times) for tensor in node.outputs)
