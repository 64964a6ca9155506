"""Which rows of the long contract tables are tested at length without being asked: `make test-all` asks."""

import pytest

# table: (rows that are tested in full, tests of what rows share, and which of their parameters)
# A shared promise is kept by a base class or by the hook that all callbacks use.
AT_LENGTH = {
    "test_optimizers.py": (
        {"Adan", "SAM"},
        {
            "test_learns": "",
            "test_compiled_equals_eager": "",
            "test_trains_in_mixed_precision": "",
            "test_accumulated_batches_equal_one_large_batch": "",
            "test_moving_average_of_weights": "",
            "test_static_loss_scale_changes_nothing": "",
            "test_skips_nonfinite_updates": "",
            "test_two_devices_equal_one": "",
            "test_resumes_from_a_saved_model_exactly": "",
            "test_large_variables_equal_joined_ones": "",
            "test_sparse_gradients_equal_dense_ones": "",
            "test_decays_what_is_not_excluded": "",
        },
    ),
    "test_callbacks.py": (
        {"GradientClipping zclip"},
        {
            "test_compiled_equals_eager": "",
            "test_accumulated_batches_equal_one_large_batch": "",
            "test_loss_scale_does_not_matter": "",
            "test_works_in_a_multi_optimizer": "",
            "test_can_be_copied_used_again_and_leaves_nothing_behind": "",
            "test_a_fit_that_broke_off_leaves_no_second_clipping": "",
            "test_optimizer_can_be_saved_while_training": "",
            "test_replicas_accumulate_batches": "",
            "test_two_devices_equal_one": "",
            "test_works_in_mixed_precision": "",
        },
    ),
    "test_rate_callbacks.py": (
        {"ScheduleLearningRate step"},
        {
            "test_two_devices_equal_one": "",
            "test_compiled_by_xla_or_not": "",
            "test_loss_scale_does_not_matter": "",
            "test_a_multi_optimizer_of_equals_is_one": "",
        },
    ),
}
# Another form of an optimizer, as "SAM asam" is of "SAM", and what is tested of it all the same.
BRIEFLY = ("test_config_round_trip",)


def pytest_collection_modifyitems(items):
    """Mark as slow what `make test` leaves to `make test-all`."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        row = next(
            (parameters[name] for name in ("make", "make_clipping", "row") if name in parameters), None
        )
        if item.path.name not in AT_LENGTH or row is None:
            continue
        in_full, shared = AT_LENGTH[item.path.name]
        is_shared = item.originalname in shared and shared[item.originalname] in item.name
        is_form = item.path.name == "test_optimizers.py" and " " in row and item.originalname not in BRIEFLY
        if row not in in_full and (is_shared or is_form):
            item.add_marker(pytest.mark.slow)
