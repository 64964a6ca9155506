"""The processes of a multi-worker run, as `--hosts`, `TF_CONFIG` or a cluster resolver of TensorFlow has "
"them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfopt.errors import InvalidArgumentError

TF_CONFIG = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        hosts: `"address:port"` of each, the chief first.
        index: which of them this process is, from 0.

    Raises:
        InvalidArgumentError: an address has no port, two are the same, or the index is that of none.
    """

    hosts: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        if not self.hosts:
            raise InvalidArgumentError("A multi-worker run needs hosts: such as --hosts a:2222,b:2222.")
        for host in self.hosts:
            name, _, port = host.rpartition(":")
            if not name or not port.isdecimal() or not 0 < int(port) < 2**16:
                raise InvalidArgumentError(
                    f"A host must be ADDRESS:PORT, such as 10.0.0.5:2222, got {host!r}."
                )
        if len(set(self.hosts)) < len(self.hosts):
            raise InvalidArgumentError(
                f"Two workers cannot have one address: {', '.join(self.hosts)}. Give each a port of its own."
            )
        if (
            isinstance(self.index, bool)
            or not isinstance(self.index, int)
            or not 0 <= self.index < len(self.hosts)
        ):
            raise InvalidArgumentError(
                f"worker must be a number from 0 to {len(self.hosts) - 1}, one of the {len(self.hosts)} "
                f"hosts, got {self.index!r}."
            )

    @classmethod
    def of_hosts(cls, hosts: str | Sequence[str], worker: Any) -> Cluster:
        """Return the cluster of `"a:2222,b:2222"` or a list of such hosts, and the number of this process."""
        named = hosts.split(",") if isinstance(hosts, str) else list(hosts)
        return cls(tuple(str(host).strip() for host in named), worker)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Cluster:
        """Return the cluster that the variable `TF_CONFIG` describes.

        Raises:
            InvalidArgumentError: it is missing, no JSON, or has tasks other than chief and workers.
        """
        text = environment.get(TF_CONFIG)
        if not text:
            raise InvalidArgumentError(
                'strategy="multi_worker" needs to know the workers: pass --hosts a:2222,b:2222 --worker 0 '
                f"(hosts= and worker= of tfopt.distribute.multi_worker), or set {TF_CONFIG} to {_EXAMPLE}."
            )
        try:
            config = json.loads(text)
        except ValueError as error:
            raise InvalidArgumentError(f"{TF_CONFIG} is not JSON ({error}): set it to {_EXAMPLE}.") from error
        try:
            tasks = {str(kind): list(addresses) for kind, addresses in config["cluster"].items()}
            kind, index = str(config["task"]["type"]), int(config["task"]["index"])
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise InvalidArgumentError(
                f"{TF_CONFIG} must hold a cluster and a task, as {_EXAMPLE}, got {text}."
            ) from error
        return cls.of_tasks(tasks, kind, index)

    @classmethod
    def of_tasks(cls, tasks: Mapping[str, Sequence[str]], kind: str, index: int) -> Cluster:
        """Return the cluster of kind of task -> addresses, as `TF_CONFIG` and the cluster resolvers have it.

        Raises:
            InvalidArgumentError: there are tasks other than chief and workers, or this one is not among them.
        """
        others = sorted({*tasks, kind} - {"chief", "worker"})
        if others:
            raise InvalidArgumentError(
                f"The cluster has tasks of the kind {', '.join(others)}: tfopt trains with a chief and "
                "workers alone; leave the others out of it."
            )
        chiefs = [*tasks.get("chief", ())]
        if not 0 <= index < len(tasks.get(kind, ())):
            raise InvalidArgumentError(
                f"The task is {kind} {index}, and the cluster has {len(tasks.get(kind, ()))} of that kind."
            )
        return cls((*chiefs, *tasks.get("worker", ())), index + (len(chiefs) if kind == "worker" else 0))

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    def to_tf_config(self) -> str:
        """Return the cluster as the text of `TF_CONFIG`."""
        return json.dumps(
            {"cluster": {"worker": [*self.hosts]}, "task": {"type": "worker", "index": self.index}}
        )
