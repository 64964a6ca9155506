"""Names by which groups are told apart."""

from __future__ import annotations

from tfopt.channels.groups import Dependencies, Group


def named_groups(dependencies: Dependencies) -> dict[str, Group]:
    """Return name -> group, in the order of the model.

    The name is the path of the first layer that makes its units. A layer whose channels part ways makes
    several groups: from the second on they are `conv (2)`, `conv (3)`.
    """
    found: dict[str, Group] = {}
    for group in dependencies.groups:
        name, number = group.name, 1
        while name in found:
            number += 1
            name = f"{group.name} ({number})"
        found[name] = group
    return found
