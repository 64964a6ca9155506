"""Optimizers whose state takes 8 bits a number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from tfopt.optimizers._core.base import Optimizer, Values
from tfopt.optimizers._core.group import Group, Layout
from tfopt.optimizers.eight_bit import block_quantization
from tfopt.optimizers.eight_bit.block_quantization import SIGNED, UNSIGNED, Blocks, DynamicMap


class EightBitOptimizer(Optimizer):
    """Base of optimizers that keep the state of large variables in blocks of 8-bit codes.

    A subclass writes `slots` and `update` as if the state were float: it is decoded before an update and
    coded after it, so an update follows from the averages before they are rounded. Each number costs one
    byte, and each block of 200 to 256 a float32 scale: 1.016 to 1.02 bytes.

    What `update` sees of a group in 8 bits, gradient and weights too, has the shape of its blocks, with zeros
    after the last entry; `layout` is that of the variable.

    A subclass names in `square_slots` the averages of squares. Their roots are coded, on the unsigned map,
    and never as 0 where they are above it: dividing by a root that was rounded to 0 throws weights far off.

    Attributes, which a subclass sets:
        min_8bit_size: variables with fewer entries keep float32 state: they cost little and matter most.
    """

    square_slots: ClassVar[tuple[str, ...]] = ()
    min_8bit_size: int

    def joins(self, variable: keras.Variable) -> bool:
        """Return whether the state of `variable` is float."""
        return math.prod(variable.shape) < self.min_8bit_size

    def create_state(self, layout: Layout) -> dict[str, keras.Variable]:
        """Return the state of a group: of each slot itself, or its codes and its scales."""
        if not self._in_8_bits(layout):
            return super().create_state(layout)
        blocks = Blocks(layout.shape)
        state = {}
        for slot in self.slots:
            state[f"{slot}_codes"] = self.add_state(
                layout, f"{slot}_codes", shape=(blocks.count, blocks.size), dtype="uint8"
            )
            state[f"{slot}_scales"] = self.add_state(layout, f"{slot}_scales", shape=(blocks.count,))
        return state

    def updates(self, groups: Sequence[Group]) -> Iterator[Values]:
        """Yield the values of each group after its update."""
        evaluate = self.evaluator()
        for group in groups:
            if not self._in_8_bits(group.layout):
                yield evaluate(self.updated, group)
                continue
            # Cut and joined outside of what is compiled: XLA takes twice as long for results of other shapes.
            blocks = Blocks(group.layout.shape)
            gradient, weights = blocks.cut(group.gradient), blocks.cut(group.weights)
            in_blocks = dataclasses.replace(group, gradient=gradient, weights=weights)
            weights, state = evaluate(self._decoded_update, in_blocks)
            # By itself: XLA would compute the state anew for each thing that follows from it, thrice as slow.
            coded = evaluate(self._encode, dataclasses.replace(in_blocks, state=state))
            yield blocks.join(weights), coded

    def _decoded_update(self, group: Group) -> Values:
        """Return `updated` of a group with coded state; the new state is float."""
        state = {}
        for slot in self.slots:
            codes, scales = (group.state[f"{slot}_{part}"] for part in ("codes", "scales"))
            x = block_quantization.dequantize(codes, scales, self._map(slot))
            state[slot] = tf.square(x) if slot in self.square_slots else x
        return self.updated(dataclasses.replace(group, state=state))

    def _encode(self, group: Group) -> dict[str, tf.Tensor]:
        """Return the codes and scales of a group's float state."""
        coded: dict[str, tf.Tensor] = {}
        for slot in self.slots:
            codes, scales = block_quantization.quantize(
                group.state[slot], self._map(slot), roots=slot in self.square_slots
            )
            coded |= {f"{slot}_codes": codes, f"{slot}_scales": scales}
        return coded

    def _in_8_bits(self, layout: Layout) -> bool:
        return not layout.joined and math.prod(layout.shape) >= self.min_8bit_size

    def _map(self, slot: str) -> DynamicMap:
        return UNSIGNED if slot in self.square_slots else SIGNED
