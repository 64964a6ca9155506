"""The process that converts and runs files: it reads one JSON request a line and replies one JSON line each.

Started by path and on its own (see `process.py`), so it imports nothing of tfopt and no Keras model.
A request names a file with a frozen graph and the file to write:

    {"graph": path, "inputs": ["input_0:0"], "outputs": ["Identity:0"], "result": path,
     "calibration": path of .npz or null, "optimize": bool, "float16": bool, "int16": bool,
     "input_type": "int8", "int16" or "float32", "output_type": ...}

All from `optimize` on may be left out. Another request names a file to run, on zeros and on a sample for each
input, in the file's order, if there is one:

    {"run": path, "samples": path of .npz or null, "open_size": for a size that the file leaves open}

The reply is `{}`, or `{"error": text}`. The process ends when its
input is closed, even in the middle of a conversion: then its parent is gone.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    # Ctrl-C reaches the whole process group, and it is the parent that decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # TensorFlow's C++ code may print; only replies may go where the parent reads them.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    while True:
        replies.write(json.dumps(_reply(json.loads(requests.get()))) + "\n")
        replies.flush()


def _read(lines: TextIO, requests: "queue.Queue[str]") -> None:
    for line in lines:
        requests.put(line)
    os._exit(0)


def _reply(request: dict[str, Any]) -> dict[str, str]:
    try:
        if "run" in request:
            run(request)
            return {}
        content = convert(request)
        with open(request["result"], "wb") as file:
            file.write(content)
    except Exception as error:  # noqa: BLE001 (whatever the converter raises belongs to the parent)
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def convert(request: dict[str, Any]) -> bytes:
    """Return the content of the TFLite file that `request` asks for."""
    # Here, and not above: importing takes seconds, in which the process must notice that its parent is gone.
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([_function(request)])
    if request.get("optimize"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if request.get("float16"):
        converter.target_spec.supported_types = [tf.float16]
    if request.get("int16"):
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    if request["calibration"]:
        converter.representative_dataset = lambda: _samples(request["calibration"])
    converter.inference_input_type = tf.dtypes.as_dtype(request.get("input_type", "float32"))
    converter.inference_output_type = tf.dtypes.as_dtype(request.get("output_type", "float32"))
    return bytes(converter.convert())


def run(request: dict[str, Any]) -> None:
    """Run the TFLite file that `request` names."""
    from ai_edge_litert.interpreter import Interpreter

    with open(request["run"], "rb") as file:
        interpreter = Interpreter(model_content=file.read(), num_threads=1)
    for entry in interpreter.get_input_details():
        shape = [request["open_size"] if size < 0 else int(size) for size in entry["shape_signature"]]
        interpreter.resize_tensor_input(entry["index"], shape)
    interpreter.allocate_tensors()
    inputs = interpreter.get_input_details()
    # What the memory holds may be no token: zeros are one.
    runs = [[np.zeros(entry["shape"], entry["dtype"]) for entry in inputs]]
    if request["samples"]:
        with np.load(request["samples"]) as samples:
            runs.append([samples[f"arr_{position}"] for position in range(len(samples.files))])
    for arrays in runs:
        for entry, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(entry["index"], array)
        interpreter.invoke()


def _function(request: dict[str, Any]) -> Any:
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef()
    with open(request["graph"], "rb") as file:
        graph_def.ParseFromString(file.read())
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph_def, name=""), [])
    # Lists, for a dictionary would put the inputs into the order of the alphabet.
    return wrapped.prune(
        [wrapped.graph.as_graph_element(name) for name in request["inputs"]],
        [wrapped.graph.as_graph_element(name) for name in request["outputs"]],
    )


def _samples(path: str) -> Iterator[list[np.ndarray]]:
    with np.load(path) as file:
        arrays = [file[f"arr_{position}"] for position in range(len(file.files))]
    for sample in zip(*arrays, strict=True):
        yield list(sample)


if __name__ == "__main__":
    main()
