"""Groups of threads of this process, over real sockets."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfopt.distribute.process_group import ProcessGroup
from tfopt.distribute.rendezvous import gathered
from tfopt.distribute.tf_config import Cluster
from tfopt.errors import WorkerError

VERSIONS = {"tfopt": "1", "keras": "3.15.1"}


def free_hosts(count):
    """Return addresses of this machine that nothing listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)


def together(*calls):
    """Return what calls return in threads of their own, or the error that each raises."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
        return [future.exception() or future.result() for future in futures]


def group_of(count):
    hosts = free_hosts(count)
    return together(*(lambda i=i: gathered(Cluster(hosts, i), VERSIONS, 20) for i in range(count)))


@pytest.fixture
def three():
    groups = group_of(3)
    assert all(isinstance(group, ProcessGroup) for group in groups), groups
    yield groups
    for group in groups:
        group.close()


def test_the_chief_tells_all_and_hears_all(three):
    content = bytes(range(256)) * 5000
    told = together(lambda: three[0].broadcast({"stage": 1}, content), three[1].broadcast, three[2].broadcast)
    assert told == [({"stage": 1}, content)] * 3
    heard = together(*(lambda group=group, i=i: group.gather(i) for i, group in enumerate(three)))
    assert heard == [[0, 1, 2], [1], [2]]


def test_nobody_passes_a_barrier_alone(three):
    passed = []

    def come(group, pause):
        time.sleep(pause)
        before = len(passed)
        group.barrier()
        passed.append(before)

    together(
        *(lambda g=group, p=pause: come(g, p) for group, pause in zip(three, (0, 0.1, 0.3), strict=True))
    )
    assert passed == [0, 0, 0]


def test_a_process_that_dies_is_named_to_all_others(three):
    reasons = []
    three[2].when_it_fails(reasons.append)
    for connection in three[1]._connections.values():  # as the system does with a process that was killed
        connection.shutdown(socket.SHUT_RDWR)
    outcomes = together(lambda: three[0].gather(None), three[2].broadcast)
    for outcome in outcomes:
        assert isinstance(outcome, WorkerError)
        assert str(outcome).startswith("Worker 1 (127.0.0.1:")
        assert "is gone: its process was killed" in str(outcome)
        assert "Run the same command on every worker again" in str(outcome)
    assert reasons == [str(outcomes[1])]
    assert three[0].explanation(0.0) == str(outcomes[0])
    with pytest.raises(WorkerError, match="Worker 1"):
        three[0].broadcast()


def test_an_error_of_one_process_is_the_reason_for_all(three):
    with pytest.raises(ValueError, match="no such layer"), three[2].run():
        raise ValueError("no such layer")
    outcomes = together(lambda: three[0].gather(None), three[1].broadcast)
    assert all("Worker 2 (127.0.0.1:" in str(outcome) for outcome in outcomes)
    assert all(str(outcome).endswith("stopped: no such layer") for outcome in outcomes)


def test_the_chief_that_dies_is_named(three):
    three[0].stop("the disk is full")
    outcomes = together(three[1].broadcast, three[2].broadcast)
    assert all("the chief) stopped: the disk is full" in str(outcome) for outcome in outcomes)


def test_a_process_that_leaves_after_the_run_is_no_failure(three):
    three[1].close()
    time.sleep(0.1)
    assert three[0].failure is None


def test_a_process_that_leaves_during_the_run_is_one(three):
    with three[0].run():
        three[1].close()
        assert "it left before the run was complete" in three[0].explanation(10)


def test_hosts_that_do_not_answer():
    hosts = free_hosts(2)
    with pytest.raises(WorkerError, match=f"No answer from {hosts[1]} within 0.3 s"):
        gathered(Cluster(hosts, 0), VERSIONS, 0.3)
    with pytest.raises(WorkerError, match=f"The chief at {hosts[0]} does not answer within 0.3 s"):
        gathered(Cluster(hosts, 1), VERSIONS, 0.3)


def test_a_worker_may_come_before_the_chief():
    hosts = free_hosts(2)

    def late():
        time.sleep(0.3)
        return gathered(Cluster(hosts, 0), VERSIONS, 20)

    groups = together(late, lambda: gathered(Cluster(hosts, 1), VERSIONS, 20))
    assert all(isinstance(group, ProcessGroup) for group in groups)
    for group in groups:
        group.close()


def test_a_stranger_who_connects_to_the_chief_is_passed_over():
    hosts = free_hosts(2)

    def stranger_then_worker():
        address = ("127.0.0.1", int(hosts[0].split(":")[1]))
        while True:
            with contextlib.suppress(OSError), socket.create_connection(address, 1) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                break
            time.sleep(0.02)
        return gathered(Cluster(hosts, 1), VERSIONS, 20)

    groups = together(lambda: gathered(Cluster(hosts, 0), VERSIONS, 20), stranger_then_worker)
    assert all(isinstance(group, ProcessGroup) for group in groups), groups
    for group in groups:
        group.close()


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        hosts = (f"127.0.0.1:{other.getsockname()[1]}", *free_hosts(1))
        with pytest.raises(WorkerError, match=f"The chief cannot listen at {hosts[0]}"):
            gathered(Cluster(hosts, 0), VERSIONS, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"versions": {**VERSIONS, "keras": "3.14.0"}}, "has keras 3.14.0 in place of 3.15.1"),
        ({"reverse": True}, "Worker 1 has other hosts"),
        ({"index": 0}, "cannot listen at"),
    ],
)
def test_a_process_that_does_not_fit_is_told_and_the_chief_too(change, message):
    hosts = free_hosts(3)
    theirs = (hosts[0], hosts[2], hosts[1]) if change.get("reverse") else hosts
    index = change.get("index", 1)
    outcomes = together(
        lambda: gathered(Cluster(hosts, 0), VERSIONS, 3),
        lambda: gathered(Cluster(theirs, index), change.get("versions", VERSIONS), 3),
    )
    told = [str(outcome) for outcome in outcomes if isinstance(outcome, WorkerError)]
    assert any(message in each for each in told), outcomes


def test_the_address_is_free_for_tensorflow_when_all_are_there():
    groups = group_of(2)
    port = int(groups[0].cluster.hosts[0].split(":")[1])
    with socket.create_server(("127.0.0.1", port)):
        assert groups[0].failure is None
    for group in groups:
        group.close()
