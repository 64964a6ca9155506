"""Finding what can be removed from a model: units are followed from the layers that make them.

Every layer that makes channels makes a unit for each. A rule for each operation says where on its outputs the
units of its inputs stand, and which of them can only go together, as those of two tensors that are added.
What no rule can follow lets its units stay, and says why.
"""

from __future__ import annotations

import collections
import dataclasses
import logging

import keras
import numpy as np

from tfopt.channels.groups import FIXED, Dependencies, Group, Slice
from tfopt.channels.rule import Call, Layout, Walk, fixed, positions
from tfopt.channels.rules.registry import rule_of
from tfopt.channels.units import Resolved
from tfopt.errors import InvalidArgumentError
from tfopt.graph import (
    Node,
    is_quantized,
    nodes,
    output_producers,
    producer,
    require_built,
    with_own_layers_decomposed,
)

logger = logging.getLogger(__name__)


def dependencies(model: keras.Model) -> Dependencies:
    """Return what can be removed from a model, and what has to stay.

    Takes a time that grows linearly with the number of operations.

    Args:
        model: any built model: nested, with shared layers, of several inputs and outputs. Layers of the
            user's own and subclassed models are read as `tfopt.quantize_aware` reads them.

    Raises:
        UnsupportedModel: the model is subclassed and has not been called, or its code cannot be read.
        InvalidArgumentError: it is no Keras 3 model, or quantization-aware.
    """
    require_built(model)
    if is_quantized(model):
        raise InvalidArgumentError(
            f"prune_channels: the model {model.name!r} is quantization-aware: its ranges are those of the "
            "channels that it has. Prune the float model that it was made of, then call tfopt.quantize_aware."
        )
    graph = with_own_layers_decomposed(model)
    called = nodes(graph)
    readers: dict[int, list[Node]] = {}
    for node in called:
        for tensor in node.inputs:
            readers.setdefault(id(tensor), []).append(node)
    choices: dict[int, int] = {}
    for _ in range(_MOST_CHOICES):
        walk = Walk(readers=readers)
        layouts = _followed(graph, called, walk, choices)
        resolved = walk.units.resolved()
        again = _other_choices(walk, resolved, choices)
        if not again:
            break
        choices |= again
    return _numbered(graph, resolved, walk, layouts)


_MOST_CHOICES = 4
"""How many axes are tried where rules have to choose one."""


def _followed(
    graph: keras.Model, called: list[Node], walk: Walk, choices: dict[int, int]
) -> dict[int, Layout]:
    """Return the layout of each tensor by its `id`, and note what is found on the way.

    Args:
        graph: that is followed.
        called: its calls.
        walk: where to note it.
        choices: place of a call -> which of the axes that may have its units is to have them.
    """
    layouts: dict[int, Layout] = {id(x): fixed(x) for x in graph.inputs}
    for place, node in enumerate(called):
        inputs = tuple(layouts[id(x)] for x in node.inputs)
        call = Call(node, inputs, walk, place, choices.get(place, 0))
        outputs = _regularized(call, rule_of(node.operation).follow(call))
        layouts.update({id(x): layout for x, layout in zip(node.outputs, outputs, strict=True)})
    for name, output in zip(output_producers(graph), graph.outputs, strict=True):
        for along in layouts[id(output)].axes:
            if along is not None:
                walk.units.fix(along, _OUTPUT.format(name))
    _unite_shared(called, walk)
    return layouts


def _regularized(call: Call, outputs: list[Layout]) -> list[Layout]:
    """Let the outputs of a layer stay that a user's code regularizes, which may know their sizes."""
    regularizer = getattr(call.operation, "activity_regularizer", None)
    if regularizer is None or type(regularizer).__module__.startswith("keras."):
        return outputs
    return [call.fix(each, "has an activity regularizer that is not one of Keras's") for each in outputs]


def _other_choices(walk: Walk, resolved: Resolved, choices: dict[int, int]) -> dict[int, int]:
    """Return the next choices of calls whose units all stay by the choice that was made."""
    stays = np.array([why is not None for why in resolved.reason])
    return {
        place: choices.get(place, 0) + 1
        for place, units, count in walk.choices
        if choices.get(place, 0) + 1 < count and stays[resolved.component[units[units != FIXED]]].all()
    }


def _unite_shared(called: list[Node], walk: Walk) -> None:
    """Let the units of one axis of a variable go together, as several calls found them."""
    units, slices = walk.units, walk.slices
    readers = collections.Counter[int]()
    owners: dict[int, set[int]] = {}
    for node in called:
        for variable in getattr(node.operation, "variables", ()):
            readers[id(variable)] += 1
            owners.setdefault(id(variable), set()).add(id(node.operation))
    found: dict[tuple[int, int], list[Slice]] = {}
    for each in slices:
        found.setdefault((id(each.variable), each.axis), []).append(each)
    for same in found.values():
        first, *others = same
        for other in others:
            units.unite(first.units, other.units, f"{first.layer} is shared, and reads channels that stay")
        if len(owners[id(first.variable)]) > 1:
            units.fix(first.units, f"Several layers share {first.variable.path}.")
        elif len(same) < readers[id(first.variable)]:
            units.fix(first.units, f"{first.layer} is shared, and not all of its calls can be followed.")


@dataclasses.dataclass(frozen=True, eq=False)
class _Groups:
    """Components in groups; `unit` is the number of each, `FIXED` for what stays."""

    unit: np.ndarray
    groups: tuple[Group, ...]
    reason: tuple[str | None, ...]


def _numbered(graph: keras.Model, resolved: Resolved, walk: Walk, layouts: dict[int, Layout]) -> Dependencies:
    """Return the dependencies in which units that go together have one number."""
    slices = walk.slices
    found = _grouped(resolved, slices, walk.parts)
    number = np.append(found.unit[resolved.component], FIXED)  # FIXED is the last

    def numbered(along: np.ndarray | None) -> np.ndarray | None:
        return None if along is None else positions(number[along])

    kept = [dataclasses.replace(each, units=number[each.units]) for each in slices]
    return Dependencies(
        model=graph,
        groups=found.groups,
        slices=_distinct([each for each in kept if positions(each.units) is not None]),
        frozen=_frozen(graph, resolved, found.reason, slices, kept),
        axes={key: tuple(map(numbered, layout.axes)) for key, layout in layouts.items()},
    )


def _distinct(slices: list[Slice]) -> tuple[Slice, ...]:
    """Return slices without those of the further calls of shared layers."""
    return tuple({(id(each.variable), each.axis): each for each in reversed(slices)}.values())[::-1]


def _grouped(resolved: Resolved, slices: list[Slice], parts: list[np.ndarray]) -> _Groups:
    """Return groups of the components that stand in the same slices, and in the same parts of tensors."""
    count = len(resolved.reason)
    reason = list(resolved.reason)
    # A random number for each axis of a variable; their sums tell in which of them a component stands.
    draw = np.random.default_rng(0)
    marks = np.zeros((count, 2), np.uint64)
    first = np.full(count, len(slices))
    seen: set[tuple[int, int]] = set()
    for position, each in enumerate(slices):
        inside = np.unique(resolved.component[each.units[each.units != FIXED]])
        if each.made:
            first[inside] = np.minimum(first[inside], position)
        if (id(each.variable), each.axis) not in seen:
            seen.add((id(each.variable), each.axis))
            marks[inside] += draw.integers(0, 2**63, 2, dtype=np.uint64)
    for units in parts:
        inside = np.unique(resolved.component[units[units != FIXED]])
        marks[inside] += draw.integers(0, 2**63, 2, dtype=np.uint64)
    order = _in_order(resolved, slices, count)
    unit = np.full(count, FIXED)
    groups: dict[tuple[int, ...], list[int]] = {}
    for component in order:
        if reason[component] is None:
            groups.setdefault(tuple(marks[component]), []).append(component)
    made = []
    number = 0
    for members in groups.values():
        if len(members) == 1:
            reason[members[0]] = "All of its channels can only go together."
            continue
        unit[members] = np.arange(number, number + len(members))
        made.append(
            Group(
                slices[min(first[members])].layer,
                np.arange(number, number + len(members)),
                bool(resolved.exact[members].all()),
            )
        )
        number += len(members)
    return _Groups(unit, tuple(made), tuple(reason))


def _in_order(resolved: Resolved, slices: list[Slice], count: int) -> list[int]:
    """Return components in the order in which layers make them, each once."""
    seen = np.zeros(count, bool)
    order: list[int] = []
    for each in slices:
        inside = resolved.component[each.units[each.units != FIXED]]
        if each.made and not seen[inside].all():
            distinct, places = np.unique(inside, return_index=True)
            new = distinct[np.argsort(places)]
            new = new[~seen[new]]
            seen[new] = True
            order += new.tolist()
    return order


def _frozen(
    graph: keras.Model,
    resolved: Resolved,
    reason: tuple[str | None, ...],
    slices: list[Slice],
    kept: list[Slice],
) -> dict[str, str]:
    """Return the path of each layer whose channels all stay -> why."""
    goes = {new.layer for new in kept if new.made and positions(new.units) is not None}
    frozen: dict[str, str] = {}
    for old in slices:
        if not old.made or old.layer in goes:
            continue
        some = old.units[old.units != FIXED]
        why = reason[resolved.component[some[0]]] if len(some) else None
        frozen.setdefault(old.layer, why or _ALONE)
        if why is not None and frozen[old.layer] == _ALONE:
            frozen[old.layer] = why
    for name, output in zip(output_producers(graph), graph.outputs, strict=True):
        made = producer(output)
        if made is not None and made.path in frozen:
            frozen[made.path] = _OUTPUT.format(name)
    return frozen


_ALONE = "It makes a single channel, or one for each of those that it reads, which stay."
_OUTPUT = "They are an output of the model, that of {!r}."
