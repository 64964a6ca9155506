"""Which rows of a table `make test` runs: some of each kind. `make test-all` runs all."""

import pytest


def some(rows, quick):
    """Return rows as parameters of a test, those that are not in `quick` marked as slow."""
    rows, quick = list(rows), set(quick)
    assert quick <= set(rows), f"no such row: {quick - set(rows)}"
    return [row if row in quick else _slow(row) for row in rows]


def _slow(row):
    values = row if isinstance(row, tuple) else (row,)
    return pytest.param(*values, marks=pytest.mark.slow)


# File -> test -> how many of its rows `make test` runs, spread evenly over the table; 0 leaves the test to
# `make test-all`. What they guard is guarded by a quicker test as well: of the function that they call, or of
# another row.
ROWS = {
    "callbacks/test_batch_size_ramp.py": {
        "test_a_copy_moves_the_dataset_that_was_made_before": 0,
        "test_two_devices_equal_one": 0,
    },
    "callbacks/test_gradient_clipping.py": {
        "test_clips_the_sum_over_replicas": 0,
    },
    "callbacks/test_learning_rate_finder.py": {
        "test_two_devices": 0,
        "test_plot": 0,
        "test_training_afterwards_is_as_without_the_test": 1,
        "test_the_suggested_rate_trains": 1,
    },
    "callbacks/test_pruning_regrowth.py": {
        "test_a_killed_fit_that_is_resumed_ends_as_if_it_had_not_been": 1,
    },
    "callbacks/test_pruning_schedule.py": {
        "test_a_killed_fit_that_is_resumed_ends_as_if_it_had_not_been": 2,
    },
    "callbacks/test_reduce_on_plateau.py": {
        "test_without_a_warm_up_it_is_keras": 2,
    },
    "callbacks/test_schedule_momentum.py": {
        "test_no_part_of_an_optimizer_keeps_the_number_it_was_built_with": 5,
    },
    "channels/allocation/test_in_files.py": {
        "test_bytes_are_those_of_the_exported_file": 1,
    },
    "cli/test_log.py": {
        "test_a_run_says_which_stage_it_does": 0,
    },
    "clustering/test_cluster.py": {
        "test_every_kind_of_kernel_is_clustered_trained_saved_and_trained_again": 1,
    },
    "data/test_weights.py": {
        "test_a_stage_trains_validates_and_evaluates_as_keras_does": 1,
    },
    "export/keras_graph/barriers/test_float_barriers.py": {
        "test_a_last_layer_in_float": 6,
        "test_a_layer_in_float_between_or_in_front_of_quantized_ones": 5,
    },
    "export/test_recurrent.py": {
        "test_an_int8_file_holds_the_steps": 2,
        "test_quantization_aware_training": 1,
    },
    "graph/functions/test_signal_functions.py": {
        "test_code_is_read_and_computes_the_same": 20,
    },
    "graph/rewriting/test_fused_batch_norm.py": {
        "test_a_file_holds_the_plain_model": 0,
    },
    "integration/test_cli.py": {
        "test_an_interrupted_run_goes_on_with_the_same_command": 0,
        "test_what_is_wrong_with_a_recipe_is_one_line": 1,
    },
    "integration/test_models.py": {
        "test_every_kind_of_model_goes_through": 1,
    },
    "integration/test_recipe_as_designed.py": {
        "test_it_runs_and_learns": 0,
    },
    "integration/test_sets.py": {
        "test_the_advice_works": 1,
    },
    "optimizers/eight_bit/test_base.py": {
        "test_stays_close_to_float_adam": 1,
    },
    "optimizers/test_references.py": {
        "test_follows_the_reference": 110,
    },
    "oracles/test_annealing.py": {
        "test_it_is_better_than_random_search": 0,
    },
    "pipeline/sharing/test_stages.py": {
        "test_a_run_alone_shares_nothing": 0,
        "test_killed_between_any_two_copied_files": 1,
        "test_two_runs_that_begin_at_once_both_train_and_agree": 0,
    },
    "pipeline/test_added_losses.py": {
        "test_the_losses_of_models_and_files_are_of_their_outputs": 0,
    },
    "pipeline/test_damage.py": {
        "test_the_next_call_repairs": 4,
    },
    "pipeline/test_model_file.py": {
        "test_a_stage_after_prune_that_trains_zeros_away_is_an_error": 0,
    },
    "pipeline/test_outputs.py": {
        "test_a_run_of_a_model_with_two_outputs": 1,
    },
    "pipeline/test_own_training.py": {
        "test_the_stages_train_a_model_as_its_class_says": 2,
    },
    "pipeline/test_pipeline.py": {
        "test_a_run_that_was_cut_off_has_the_same_result": 1,
        "test_two_devices_train_as_one": 0,
        "test_a_stage_may_write_files_of_any_name": 1,
    },
    "pipeline/test_pruning_resumed.py": {
        "test_it_ends_as_if_it_had_not_been_killed": 0,
    },
    "pipeline/test_scale_and_labels.py": {
        "test_labels_of_every_form_train_with_every_loss": 3,
    },
    "pipeline/training/test_learning_rate.py": {
        "test_quantization_after_train_uses_a_tenth_and_pruning_the_compiled_rate": 0,
        "test_a_stage_may_be_told": 1,
    },
    "pipeline/training/test_middle_of_epoch.py": {
        "test_on_two_devices": 1,
    },
    "pruning/test_contract.py": {
        "test_layer_pattern_optimizer": 4,
    },
    "pruning/test_everywhere.py": {
        "test_every_kernel_is_pruned_measured_and_stays_so_in_training_and_in_a_file": 2,
    },
    "pruning/test_prune.py": {
        "test_zeros_hold_exactly_in_low_precision": 1,
        "test_every_kind_of_kernel_survives_training_saving_and_cloning": 5,
        "test_zeros_hold_exactly_through": 6,
    },
    "quantization/canonicalize/decompose/test_recurrent.py": {
        "test_a_loop_observes_what_calibration_does": 1,
        "test_the_loop_computes_what_its_steps_do_one_after_another": 2,
        "test_what_a_loop_ends_with_meets_other_tensors_in_one_scale": 1,
        "test_two_devices_equal_one": 0,
    },
    "quantization/canonicalize/rewrite/test_attention_masks.py": {
        "test_a_query_with_no_key_attends_to_what_keras_lets_it": 3,
    },
    "quantization/canonicalize/test_masked_kernels.py": {
        "test_they_are_integers_and_training_keeps_their_zeros": 2,
    },
    "quantization/models/test_added_losses.py": {
        "test_a_quantized_copy_trains_with_the_losses_and_its_file_leaves_them_out": 3,
    },
    "quantization/models/test_random_graphs.py": {
        "test_a_few_random_graphs_with_layers_in_float": 0,
    },
    "quantization/models/test_zoo.py": {
        "test_the_canonical_model_computes_the_same": 60,
        "test_the_file_does_what_the_model_does": 5,
        "test_the_file_is_integer_but_for_what_has_no_kernel": 3,
        "test_the_file_of_layers_made_of_others_is_integer": 1,
    },
    "quantization/qat/test_preserve.py": {
        "test_zeros_in_layers_that_are_opened_stay_through_training_and_in_the_file": 1,
    },
    "quantization/qat/test_shared_variables.py": {
        "test_it_stays_one_variable_where_a_model_is_saved_and_loaded": 3,
    },
    "search/test_recipe_search.py": {
        "test_a_kill_between_any_two_files_loses_nothing": 0,
    },
    "sharing/test_tie.py": {
        "test_later_steps_keep_the_one_layer": 3,
        "test_the_tflite_file_holds_shared_kernels_once": 1,
    },
    "stages/test_distill.py": {
        "test_a_run_that_is_cut_off_while_it_learns_ends_as_one_that_was_not": 0,
        "test_the_float_model_is_the_one_before_anything_was_taken": 0,
    },
    "stages/test_prune.py": {
        "test_a_lottery_ticket_trains_and_rewinds": 0,
        "test_every_kind_of_pruning_ends_at_the_asked_sparsity": 3,
    },
    "stages/test_prune_channels.py": {
        "test_it_learns_from_a_teacher_in_every_training": 0,
    },
    "test_architecture.py": {
        "test_whatever_is_imported_first_the_registered_classes_are_known": 1,
    },
    "test_docs.py": {
        "test_the_examples_of_a_page_run_in_an_empty_namespace": 14,
    },
    "trainers/test_objectives.py": {
        "test_losses_of_keras": 6,
    },
}


def mark_rows(items, root):
    """Mark as slow the rows that `ROWS` leaves to `make test-all`."""
    found: dict[tuple[str, str], list] = {}
    for item in items:
        file, test = item.path.relative_to(root).as_posix(), getattr(item, "originalname", item.name)
        if test in ROWS.get(file, ()) and item.get_closest_marker("slow") is None:
            found.setdefault((file, test), []).append(item)
    for (file, test), rows in found.items():
        count = ROWS[file][test]
        kept = {round((place + 0.5) * len(rows) / count - 0.5) for place in range(count)}
        for place, item in enumerate(rows):
            if place not in kept:
                item.add_marker(pytest.mark.slow)
