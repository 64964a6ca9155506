"""Optimizers whose state takes 8 bits a number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group, Layout
from tfopt.optimizers.eight_bit import block_quantization
from tfopt.optimizers.eight_bit.block_quantization import SIGNED, UNSIGNED, DynamicMap


class EightBitOptimizer(Optimizer):
    """Base of optimizers that keep the state of large variables in blocks of 8-bit codes.

    A subclass writes `slots` and `update` as if the state were float: it is decoded before an update and
    coded after it, so an update follows from the averages before they are rounded. Each number costs one
    byte, and each block of 256 a float32 scale: 1.016 bytes.

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
        count = (block_quantization.blocks(math.prod(layout.shape)),)
        state = {}
        for slot in self.slots:
            state[f"{slot}_codes"] = self.add_state(layout, f"{slot}_codes", dtype="uint8")
            state[f"{slot}_scales"] = self.add_state(layout, f"{slot}_scales", shape=count)
        return state

    def updates(self, groups: Sequence[Group]) -> Iterator[Update]:
        """Yield the update of each group, decay included."""
        evaluate = self.evaluator()
        for group in groups:
            if not self._in_8_bits(group.layout):
                yield evaluate(self.decayed_update, group)
                continue
            change, state = evaluate(self._decoded_update, group)
            # By itself: XLA would compute the state anew for each thing that follows from it, thrice as slow.
            yield change, evaluate(self._encode, dataclasses.replace(group, state=state))

    def _decoded_update(self, group: Group) -> Update:
        """Return `decayed_update` of a group with coded state; the new state is float."""
        state = {}
        for slot in self.slots:
            codes, scales = (group.state[f"{slot}_{part}"] for part in ("codes", "scales"))
            x = block_quantization.dequantize(codes, scales, self._map(slot))
            state[slot] = tf.square(x) if slot in self.square_slots else x
        return self.decayed_update(dataclasses.replace(group, state=state))

    def _encode(self, group: Group) -> dict[str, tf.Tensor]:
        """Return the codes and scales of a group's float state."""
        coded: dict[str, tf.Tensor] = {}
        for slot in self.slots:
            x = tf.sqrt(group.state[slot]) if slot in self.square_slots else group.state[slot]
            codes, scales = block_quantization.quantize(x, self._map(slot))
            coded |= {f"{slot}_codes": codes, f"{slot}_scales": scales}
        return coded

    def _in_8_bits(self, layout: Layout) -> bool:
        return not layout.joined and math.prod(layout.shape) >= self.min_8bit_size

    def _map(self, slot: str) -> DynamicMap:
        return UNSIGNED if slot in self.square_slots else SIGNED
