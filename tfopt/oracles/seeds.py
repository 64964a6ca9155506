"""Seeds that are far from each other, whatever they are derived from."""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, *parts: object) -> int:
    """Return a seed in [0, 2**32) for a part of a search.

    keras-tuner counts seeds up, so that two searches with neighbouring seeds draw the same values, one
    trial later. The hash of all parts has no neighbours.

    Args:
        seed: of the search.
        parts: what the seed is for, such as the id of a trial; what `str` makes of each counts.
    """
    text = " ".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
