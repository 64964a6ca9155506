"""Which rows of the contract of optimizers are tested at length without being asked."""

import pytest

# What the base classes do for all optimizers alike, and what is tested with two devices anyway.
SHARED = {
    "test_compiled_equals_eager": ("arguments1",),
    "test_trains_in_mixed_precision": ("mixed_bfloat16",),
    "test_accumulated_batches_equal_one_large_batch": ("-1]",),
    "test_moving_average_of_weights": ("",),
    "test_static_loss_scale_changes_nothing": ("",),
    "test_skips_nonfinite_updates": ("True",),
}
FULLY = {"Adan", "AdamW8bit", "Cautious of Keras", "Lookahead", "Prodigy", "SAM", "ScheduleFreeAdamW"}


def pytest_collection_modifyitems(items):
    """Mark as slow what `make test` leaves to `make test-all`.

    A row named by two words is another form of one named by the first.
    """
    for item in items:
        if item.path.name != "test_optimizers.py" or "make" not in getattr(item, "fixturenames", ()):
            continue
        row = item.callspec.params["make"]
        shared = any(part in item.name for part in SHARED.get(item.originalname, ()))
        another_form = " " in row and item.originalname not in ("test_config_round_trip", "test_learns")
        if row not in FULLY and (shared or another_form):
            item.add_marker(pytest.mark.slow)
