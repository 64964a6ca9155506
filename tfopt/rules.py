"""Rules: a layer-path pattern -> a setting. The first match wins; a rule that matches nothing raises.

A pattern is a shell-style glob (`fnmatch`) on the whole path of a layer, or of something that it stands
in: `"block"` matches the layers of the nested model `block` too, and `"*"` crosses the `/` between them.
`"conv1"` matches that layer alone, `"conv*"` all whose path starts so, `"*/conv1"` it in any nested model.

`.` is the same as `/`: where a nested model or a layer of the user's own was flattened, as `prune_channels`
does, the layer `block/conv` is called `block.conv` (Keras allows no `/` in names), and a rule for one matches
the other.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeVar

from tfopt.errors import InvalidArgumentError

T = TypeVar("T")


def resolve(rules: Mapping[str, T] | None, paths: Iterable[str], default: T) -> dict[str, T]:
    """Return the setting of every path.

    Args:
        rules: pattern -> setting, most specific first. `None` means no rules.
        paths: the layer paths to decide on, in the order of the model.
        default: the setting of a path that no rule matches.

    Raises:
        InvalidArgumentError: a rule was no path's first match. The message lists the paths.
    """
    if rules is not None and not isinstance(rules, Mapping):
        raise InvalidArgumentError(
            "rules must be a dict, pattern of layer paths -> setting, such as {'head': None}, got "
            f"{rules!r}."
        )
    rules = dict(rules or {})
    paths = list(paths)
    settings, used = {}, set()
    for path in paths:
        pattern = _first(rules, path)
        settings[path] = default if pattern is None else rules[pattern]
        used.add(pattern)
    unused = [pattern for pattern in rules if pattern not in used]
    if unused:
        named = ", ".join(map(repr, unused))
        they = f"The rule {named} matches" if len(unused) == 1 else f"The rules {named} match"
        close = [name for pattern in unused for name in get_close_matches(pattern, paths, n=1)]
        meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise InvalidArgumentError(
            f"{they} no layer, or an earlier rule matches first.{meant} Put specific rules first. Layers: "
            f"{', '.join(paths) or 'none'}."
        )
    return settings


def setting(rules: Mapping[str, T], path: str, default: T) -> T:
    """Return the setting of one path."""
    pattern = _first(rules, path)
    return default if pattern is None else rules[pattern]


def wholes(path: str) -> list[str]:
    """Return a path and those of what it is a part of, the largest first: `lstm`, `lstm/input`."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def matched_part(path: str, pattern: str) -> str:
    """Return the largest part of a path that a pattern matches: of `block/conv` and `"block"`, `block`."""
    ends = [found.start() for found in re.finditer(r"[/.]", path)]
    return next(path[:end] for end in [*ends, len(path)] if _matches_whole(path[:end], pattern))


def _first(rules: Iterable[str], path: str) -> str | None:
    return next((pattern for pattern in rules if _matches(path, pattern)), None)


def _matches(path: str, pattern: str) -> bool:
    path = path.replace(".", "/")
    return _matches_whole(path, pattern) or ("/" in path and _matches(path.rpartition("/")[0], pattern))


def _matches_whole(path: str, pattern: str) -> bool:
    return fnmatchcase(path.replace(".", "/"), pattern.replace(".", "/"))
