"""Private names of Keras, TensorFlow and other libraries are used in named adapter modules alone.

They may change in any release. `ADAPTERS` holds each of them, so that a new one is a decision that somebody
made, and tells at once where a new release of a library broke.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import textwrap
from pathlib import Path

import pytest

import tfopt

ROOT = Path(tfopt.__file__).parent

ADAPTERS = {
    "__init__.py": (
        "python",
        "_initializing",
    ),
    "distribute/_tensorflow.py": (
        "tensorflow",
        "_in_multi_worker_mode _initialized _task_id _task_type tensorflow.python.eager.context",
    ),
    "distribute/keras_adapter.py": (
        "keras",
        "_make_function _maybe_symbolic_build _symbolic_build",
    ),
    "export/keras_graph/_tensorflow.py": (
        "tensorflow",
        "tensorflow.python.framework.convert_to_constants.convert_variables_to_constants_v2",
    ),
    "graph/_keras.py": (
        "keras",
        "_flatten_layers _functional _inbound_nodes _keras_history _keras_mask _layers _nodes_by_depth "
        "_outbound_nodes _shape _sparse keras.src.models.functional.Functional",
    ),
    "graph/_keras_layers.py": (
        "keras",
        "_dropout _functional _get_own_losses _inbound_nodes _kernel_constraint _layers _losses "
        "_masked_softmax _metrics _non_trainable_variables _outbound_nodes _seed_generators _softmax "
        "_tracker _trainable_variables _untrack_variable",
    ),
    "graph/_keras_objects.py": (
        "keras",
        "_compile_config _compile_loss _compile_metrics _compiled_trainable_state _distribute_strategy "
        "_dtype _inbound_nodes _initial_epoch _initialize _jit_compile _keras_history _loss_ids "
        "_loss_tracker _losses _losses_override _nodes _nodes_by_depth _outbound_nodes _run_eagerly "
        "_value keras.src.backend.tensorflow.trainer.TensorFlowTrainer "
        "keras.src.ops.function.make_node_key keras.src.ops.node.KerasHistory keras.src.ops.node.Node "
        "keras.src.utils.tracking.Tracker",
    ),
    "graph/_tensorflow.py": (
        "tensorflow",
        "__internal__ _caching_device _clone tensorflow.python.util.tf_export",
    ),
    "legacy/_keras.py": (
        "keras",
        "_output_shape",
    ),
    "legacy/_tf_keras.py": (
        "tf_keras",
        "_build_input_shape _is_graph_network _keras_history _lookup_layer _nested_inputs _nested_outputs "
        "_nodes_by_depth tf_keras.src.layers.core.tf_op_layer.SlicingOpLambda "
        "tf_keras.src.layers.core.tf_op_layer.TFOpLambda "
        "tf_keras.src.saving.serialization_lib.SafeModeScope",
    ),
    "pipeline/training/epoch_start.py": (
        "keras",
        "_enumerate_iterator _maybe_symbolic_build _symbolic_build",
    ),
    "optimizers/_core/keras_private.py": (
        "keras",
        "__internal__ _accumulated_gradients _all_reduce_sum_gradients _apply_weight_decay "
        "_backend_apply_gradients _backend_increment_gradient_accumulators "
        "_backend_reset_gradient_accumulators _backend_update_step _call_has_training_arg _clip_gradients "
        "_compute_loss _distributed_tf_update_step _distribution_strategy _get_current_learning_rate "
        "_get_variable_index _iterations _learning_rate _trainable_variables "
        "_update_model_variables_moving_average _use_weight_decay",
    ),
    "oracles/bayesian.py": ("keras_tuner", "_random_state _vectorize_trials"),
    "oracles/durable.py": (
        "keras_tuner",
        "_check_consecutive_failures _compute_values_hash _duplicate _get_oracle_fname _get_trial_dir "
        "_id_to_hash _project_dir _random_values _record_values _retry_queue _run_times _save_trial "
        "_seed_state _set_project_dir _tried_so_far",
    ),
    "oracles/grid_search.py": ("keras_tuner", "_compare _ordered_ids _populate_next"),
    "oracles/objectives.py": ("keras_tuner", "keras_tuner.src.engine.objective.MultiObjective"),
    "oracles/optuna_samplers.py": ("optuna", "optuna.samplers._lazy_random_state.LazyRandomState"),
    "tfmot/library.py": (
        "tensorflow_model_optimization tf_keras",
        "_built _generator _maybe_init _output_quantizer_vars _output_quantizers _quantize_activations "
        "_random_generator _rng_type _weight_vars",
    ),
    "trainers/_compiled.py": (
        "keras",
        "_compile_loss _user_loss _user_loss_weights",
    ),
}
"""Module -> the libraries that it adapts, and the private names that it uses."""

PUBLIC = {"_make", "_replace", "_asdict", "_fields", "_exit"}
"""Documented in spite of the underscore: of named tuples, and `os._exit`."""

ENDINGS = {"_constraint", "_initializer", "_regularizer"}
"""How public arguments of layers end, such as `kernel_constraint`."""

SOURCES = {
    "keras": "keras/src",
    "keras_tuner": "keras_tuner",
    "optuna": "optuna",
    "tensorflow_model_optimization": "tensorflow_model_optimization/python",
    "tf_keras": "tf_keras/src",
}


KNOWN = {*SOURCES, "tensorflow_model_optimization tf_keras"}
"""What can be searched for names; TensorFlow is too large, and tests of its adapters use what they take."""


def _is_private(name: str) -> bool:
    return name == "__internal__" or (name.startswith("_") and not name.startswith("__") and name != "_")


def _defined(tree: ast.AST) -> set[str]:
    """Return the private names that classes give to their attributes."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if _is_own(node.value) else set()
        elif isinstance(node, ast.ClassDef):
            for each in node.body:
                targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
                found |= {each.name} if isinstance(each, ast.FunctionDef) else set()
    return {name for name in found if _is_private(name)}


@functools.cache
def _source(library: str) -> list[str]:
    first, *rest = SOURCES[library].split("/")
    spec = importlib.util.find_spec(first)
    folder = Path(spec.submodule_search_locations[0], *rest)
    return [file.read_text() for file in folder.rglob("*.py") if not file.name.endswith("_test.py")]


@functools.cache
def _names_of_keras() -> set[str]:
    return set().union(*(_defined(ast.parse(text)) for text in _source("keras")))


@functools.cache
def _trees() -> dict[str, ast.Module]:
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in sorted(ROOT.rglob("*.py"))}


@functools.cache
def _own_names() -> set[str]:
    """Return the private names that tfopt gives to attributes, and those of its private modules."""
    modules = {part for file in _trees() for part in Path(file).with_suffix("").parts if _is_private(part)}
    functions = {
        node.name
        for tree in _trees().values()
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    return set().union(*map(_defined, _trees().values())) | modules | functions


@functools.cache
def _defined_by(kind: type) -> set[str]:
    """Return the private names that a class of another library gives to its attributes."""
    try:
        return _defined(ast.parse(textwrap.dedent(inspect.getsource(kind))))
    except (OSError, TypeError):  # written in C
        return set()


def _inherited(kind: type) -> set[str]:
    """Return the private names that the classes of other libraries above a class define."""
    foreign = [each for each in kind.__mro__ if each.__module__.split(".")[0] != "tfopt"]
    return set().union(*map(_defined_by, foreign))


def _is_own(value: ast.expr) -> bool:
    """Return whether an attribute is looked up in `self`, `cls` or `super()`."""
    name = value.func if isinstance(value, ast.Call) else value
    return isinstance(name, ast.Name) and name.id in ("self", "cls", "super")


def _of_objects(tree: ast.AST) -> set[str]:
    """Return the private names of other libraries that code uses of what is not `self`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            own = _is_own(node.value) or node.attr not in _names_of_keras()
            found |= set() if own and node.attr in _own_names() else {node.attr}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_private(node.value):
            found |= {node.value} & _names_of_keras() - ENDINGS
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            name = getattr(node.args[1], "value", "")
            found |= {name} - _own_names() if _is_private(str(name)) else set()
        elif isinstance(node, ast.ImportFrom) and _is_of_private_module(node.module or ""):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if _is_of_private_module(alias.name)}
    return found - PUBLIC


def _is_of_private_module(module: str) -> bool:
    library, *parts = module.split(".")
    return library != "tfopt" and (parts[:1] in (["src"], ["python"]) or any(map(_is_private, parts)))


def _of_classes(file: str, tree: ast.Module) -> set[str]:
    """Return the private names of other libraries that the classes in a file use or override."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    if not classes:
        return set()
    dotted = ".".join(("tfopt", *Path(file).with_suffix("").parts)).removesuffix(".__init__")
    module = importlib.import_module(dotted)
    found = set()
    for node in classes:
        attributes = [each for each in ast.walk(node) if isinstance(each, ast.Attribute)]
        used = {each.attr for each in attributes if _is_own(each.value)}
        found |= (used | _defined(node)) & _inherited(getattr(module, node.name))
    return found


@functools.cache
def _used() -> dict[str, set[str]]:
    found = {file: _of_objects(tree) | _of_classes(file, tree) for file, tree in _trees().items()}
    return {file: names for file, names in found.items() if names}


def test_private_names_are_used_in_adapters_alone():
    outside = {file: sorted(names) for file, names in _used().items() if file not in ADAPTERS}
    assert not outside, "Bring them into an adapter module, or do without them."


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_list_of_private_names_is_that_of_the_code(adapter):
    _, names = ADAPTERS[adapter]
    assert _used().get(adapter, set()) == {*names.split()}


@pytest.mark.parametrize("adapter", [name for name, (libraries, _) in ADAPTERS.items() if libraries in KNOWN])
def test_the_installed_libraries_have_them(adapter):
    libraries, names = ADAPTERS[adapter]
    source = "\n".join(text for library in libraries.split() for text in _source(library))
    assert not [name for name in names.split() if name.rpartition(".")[2] not in source]
