"""Models in the style of public collections, rebuilt: one table a field, name -> entry.

The idioms are those of the collections: layers without `get_config`, layers that take layers, subclassed and
nested subclassed models, Lambdas, `tf.*` functions, shapes of an unknown batch. Sizes are tiny.
"""

import importlib
import importlib.util

FIELDS = (
    "vision",
    "vision_transformers",
    "text",
    "series",
    "tables",
    "audio",
    "generative",
    "video",
    "agents",
    "hub",
    "backbones",
    "tutorials",
)


def models():
    """Return all tables in one, name -> entry, in order; KerasHub's own classes last, where installed."""
    merged = {}
    for field in (*FIELDS, *(["kerashub"] if importlib.util.find_spec("keras_hub") else [])):
        table = importlib.import_module(f"{__name__}.{field}").MODELS
        if twice := merged.keys() & table.keys():
            raise ValueError(f"Names of two models each: {sorted(twice)}.")
        merged |= table
    return merged
