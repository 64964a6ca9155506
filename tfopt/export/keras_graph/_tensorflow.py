"""The one place of the export that touches what TensorFlow keeps private.

The function that puts constants in place of the variables of a concrete function has no public name in
TensorFlow 2.21, though its own guide for frozen graphs imports it from here.
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def with_constants(function: Any) -> Any:
    """Return a concrete function in which the values of its variables are constants."""
    return convert_variables_to_constants_v2(function)
