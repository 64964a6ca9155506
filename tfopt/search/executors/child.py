"""The process that runs trials for a search: `python -m tfopt.search.executors.child`.

It reads requests from its input, a line of JSON each, and writes a line to its output for each: its result,
or the error that came. What trials print goes to the error output. It ends with its parent, however that
ends, for its input closes then, and takes the processes that it started with it.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tfopt.search.executors.messages import Request, from_hyperparameters, to_hyperparameters
from tfopt.search.failures import is_of_the_machine, reason, traceback_of


def main() -> None:
    """Serve requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=[requests], daemon=True).start()
    made: dict[str, Any] = {}
    while True:
        reply = json.dumps(serve(requests.get(), made), default=_plain)
        replies.write(reply + "\n")
        replies.flush()


def _listen(requests: queue.SimpleQueue[Request]) -> None:
    for line in sys.stdin:
        requests.put(Request.from_json(line))
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def serve(request: Request, made: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a request.

    Args:
        request: what to do.
        made: runners that were made for requests before.
    """
    hyperparameters: Any = None
    try:
        key = json.dumps([request.runner, request.arguments], sort_keys=True)
        if key not in made:
            module, name = request.runner.split(":")
            made[key] = getattr(importlib.import_module(module), name)(**request.arguments)
        runner = made[key]
        result: Any = True
        if request.hyperparameters is not None:
            hyperparameters = to_hyperparameters(request.hyperparameters)
        if request.call == "declare":
            hyperparameters = runner.declare()
        elif request.call == "foresee":
            result = dataclasses.asdict(runner.foresee(hyperparameters, request.limited))
        elif request.call == "run_trial":
            result = str(runner.run_trial(hyperparameters, Path(request.paths[0])).path)
        else:
            result = runner.measure_latency(*map(Path, request.paths))
    except Exception as error:  # noqa: BLE001  # whatever a recipe does, the parent is told
        return {
            "reason": reason(error),
            "traceback": traceback_of(error),
            "of_the_machine": is_of_the_machine(error),
            "hyperparameters": _config(hyperparameters, request),
        }
    return {"result": result, "hyperparameters": _config(hyperparameters, request)}


def _config(hyperparameters: Any, request: Request) -> Any:
    return request.hyperparameters if hyperparameters is None else from_hyperparameters(hyperparameters)


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy as JSON has it."""
    return value.item()


if __name__ == "__main__":
    main()
