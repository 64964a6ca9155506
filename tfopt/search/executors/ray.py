"""Trials as tasks of a Ray cluster: who runs where, and again where a node died, is Ray's business."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.search.executors.devices import threads
from tfopt.search.executors.messages import Request, Runner
from tfopt.search.executors.processes import Child, RemoteSlot
from tfopt.search.executors.slot import Slot
from tfopt.search.failures import ProcessDiedError, TrialProcessError

RETRIES = 3
"""How often Ray begins a task again whose node or worker died. The run resumes at its last epoch."""

_SECONDS_TO_ANSWER = 10


def check_ray(address: str | None, resources: Mapping[str, float] | None) -> None:
    """Raise where Ray cannot be used.

    Raises:
        InvalidArgumentError: it is not installed, or a resource is no number above 0.
        RunError: nothing listens at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise InvalidArgumentError('The engine ray needs Ray: pip install "tfopt[ray]".')
    for name, amount in (resources or {}).items():
        if not _validation.is_number(amount) or amount <= 0:
            raise InvalidArgumentError(
                f"search: expected resources such as CPU=4 to be numbers above 0, got {name}={amount!r}."
            )
    _check_answers(address)


def run_request(request: str, count: int) -> dict[str, Any]:
    """Serve one request in a process of its own: what a task does, on whatever node.

    Args:
        request: as JSON.
        count: of threads that the process uses.

    Returns:
        The reply; or the exit code and the last output of a process that died.
    """
    child = Child(threads(count))
    try:
        return child.ask(Request.from_json(request))
    except ProcessDiedError as error:
        return {"code": error.code, "output": error.output}
    finally:
        child.kill()


@contextlib.contextmanager
def ray_slots(
    runner: Runner,
    *,
    workers: int | None,
    address: str | None,
    resources: Mapping[str, float] | None,
) -> Iterator[list[Slot]]:
    """Yield slots whose trials run on a Ray cluster, to which this process is connected meanwhile.

    Args:
        runner: what runs the trials there.
        workers: how many trials at once; by default as many as the cluster has resources for.
        address: of the cluster; `None` starts one here.
        resources: of each trial.

    Raises:
        RunError: no cluster answers at the address.
    """
    import ray

    try:
        # What Ray tells of itself is not for those who wait for trials.
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address, str(error).strip().splitlines()[0]) from error
    try:
        has = ray.cluster_resources()
        each = dict(resources or {"CPU": 1, **({"GPU": 1} if has.get("GPU") else {})})
        if workers is None:
            workers = max(1, int(min(has.get(name, 0) // amount for name, amount in each.items())))
        yield [RaySlot(runner, each) for _ in range(workers)]
    finally:
        ray.shutdown()


class RaySlot(RemoteSlot):
    """Runs each trial as a task of Ray.

    Args:
        runner: what runs the trials there.
        resources: of a task, such as `{"CPU": 4, "GPU": 1}`.
    """

    def __init__(self, runner: Runner, resources: Mapping[str, float]) -> None:
        import ray

        super().__init__(runner)
        others = {name: amount for name, amount in resources.items() if name not in ("CPU", "GPU")}
        self._threads = max(1, int(resources.get("CPU", 1)))
        self._task = ray.remote(
            num_cpus=resources.get("CPU", 1),
            num_gpus=resources.get("GPU", 0),
            resources=others,
            max_retries=RETRIES,
        )(run_request)
        self._running: Any = None

    def ask(self, request: Request) -> dict[str, Any]:
        """Return the reply of a task to a request.

        Raises:
            ProcessDiedError: the process of the trial ended, on a node that lives.
            TrialProcessError: the nodes died on which Ray tried it.
        """
        import ray

        self._running = self._task.remote(request.to_json(), self._threads)
        try:
            reply: dict[str, Any] = ray.get(self._running)
        except ray.exceptions.RayError as error:
            raise TrialProcessError(
                f"Ray could not run the trial: {str(error).strip().splitlines()[0]}",
                str(error),
                of_the_machine=True,
            ) from error
        if "code" in reply:
            raise ProcessDiedError(reply["code"], reply["output"])
        return reply

    def stop(self) -> None:
        """End the task that runs."""
        import ray

        if self._running is not None:
            ray.cancel(self._running, force=True)


def _check_answers(address: str | None) -> None:
    """Raise where nothing listens at an address, for which Ray itself looks for a minute."""
    if address in (None, "auto", "local"):
        return
    host, _, port = str(address).removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER):
            return
    except (OSError, ValueError) as error:
        raise _unreachable(address, str(error)) from error


def _unreachable(address: str | None, why: str) -> RunError:
    return RunError(
        f"No Ray cluster answers at {address or 'this machine'}: {why.rstrip('.')}. Start one with "
        "`ray start --head`, or leave --address out to run Ray on this machine alone."
    )
