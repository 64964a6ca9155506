"""Of how many bits activations are, where a model has some of 8 and some of 16.

An operator of LiteRT reads and writes activations of one width, here that of its output. Where it reads 8
bits and writes 16, its inputs are converted without loss when the file is written. Where it reads 16 bits and
writes 8, its inputs are requantized to 8 bits first, by a quantizer of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from tfopt.graph import Node, nodes
from tfopt.quantization.operators.traits import Kind
from tfopt.quantization.planning.quantizer_placement import QuantizerPlacement
from tfopt.quantization.scheme import Scheme

_ANY = (Kind.SAME_SCALE, Kind.FLOAT)
"""The kinds of operations that take what they are given: to the scale of their inputs, or in float."""


def is_int16(scheme: Scheme | None) -> bool:
    """Return whether a scheme gives activations 16 bits."""
    return scheme is not None and scheme.activation_bits == 16


class BitWidths:
    """The bits of each quantizer, and which tensors must be rounded to fewer.

    Args:
        model: canonical.
        placement: of its quantizers.
        kinds: `id` of each operation -> its kind.
        scheme_of: the scheme of a node, None for float.
    """

    def __init__(
        self,
        model: keras.Model,
        placement: QuantizerPlacement,
        kinds: Mapping[int, Kind],
        scheme_of: Callable[[Node | None], Scheme | None],
    ) -> None:
        self._placement = placement
        self._kinds = kinds
        self._nodes = nodes(model)
        self._reader = {id(tensor): node for node in self._nodes for tensor in node.inputs}
        makers = {id(tensor): node for node in self._nodes for tensor in node.outputs}
        given = [scheme_of(node) for node in (None, *self._nodes)]
        known = [each.activation_bits for each in given if each is not None and each.activation_bits]
        least = min(known, default=8)
        self._bits: dict[str, int] = {}
        for tensor, name in placement.quantizers.items():
            maker = makers.get(tensor)
            # What is computed in float has no bits of its own.
            in_float = maker is not None and kinds[id(maker.operation)] is Kind.FLOAT
            scheme = None if in_float else scheme_of(maker)
            bits = (scheme.activation_bits if scheme is not None else None) or least
            self._bits[name] = max(bits, self._bits.get(name, 0))

        self._kept = self._kept_scales()

    def of_quantizer(self, name: str) -> int:
        """Return the bits of a quantizer: of the tensors that share it, the most."""
        return self._bits[name]

    def requantized(self, node: Node) -> list[str | None]:
        """Return, for each input of a node, the quantizer of 16 bits that it has passed; else None.

        None too where nothing has to round it to 8 bits.
        """
        if self._kinds[id(node.operation)] in _ANY or self._of_operator(node) != 8:
            return [None] * len(node.inputs)
        found = [self._kept.get(id(tensor)) for tensor in node.inputs]
        return [None if name is None or self._bits[name] == 8 else name for name in found]

    def _of_operator(self, node: Node) -> int:
        """Return the bits of what an operator writes, which may come after nodes that are fused into it."""
        tensor = id(node.outputs[0])
        while tensor not in self._placement.quantizers and tensor in self._reader:
            tensor = id(self._reader[tensor].outputs[0])
        name = self._placement.quantizers.get(tensor)
        return 8 if name is None else self._bits[name]

    def _kept_scales(self) -> dict[int, str]:
        """Return tensor -> the quantizer whose scale it has, also where it only keeps that of others."""
        kept = dict(self._placement.quantizers)
        for node in self._nodes:
            found = [kept[id(tensor)] for tensor in node.inputs if id(tensor) in kept]
            if self._kinds[id(node.operation)] is Kind.SAME_SCALE and found:
                kept.update({id(tensor): kept.get(id(tensor), found[0]) for tensor in node.outputs})
        return kept
