import json

import pytest

from tfopt.distribute.tf_config import Cluster
from tfopt.errors import InvalidArgumentError


def environment(cluster, kind, index):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_hosts_in_order_the_chief_first():
    cluster = Cluster.of_hosts("a:2222, b:2223", 1)
    assert (cluster.hosts, cluster.index, cluster.is_chief) == (("a:2222", "b:2223"), 1, False)


def test_the_environment_names_a_chief_and_workers_or_workers_alone():
    tasks = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert Cluster.of_environment(environment(tasks, "worker", 1)) == Cluster(("a:1", "b:1", "c:1"), 2)
    assert Cluster.of_environment(environment(tasks, "chief", 0)).is_chief
    workers = environment({"worker": ["a:1", "b:1"]}, "worker", 0)
    assert Cluster.of_environment(workers) == Cluster(("a:1", "b:1"), 0)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "needs to know the workers: pass --hosts a:2222,b:2222 --worker 0"),
        ({"TF_CONFIG": "{worker: a:1}"}, r"TF_CONFIG is not JSON \(Expecting"),
        ({"TF_CONFIG": '["a:1"]'}, "TF_CONFIG must hold a cluster and a task"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "TF_CONFIG must hold a cluster and a task"),
        (environment({"worker": ["a:1"], "ps": ["b:1"]}, "worker", 0), "tasks of the kind ps"),
        (environment({"worker": ["a:1"]}, "evaluator", 0), "tasks of the kind evaluator"),
        (environment({"worker": ["a:1"]}, "worker", 1), "The task is worker 1, and the cluster has 1"),
    ],
)
def test_an_environment_that_is_no_cluster(variables, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Cluster.of_environment(variables)


@pytest.mark.parametrize(
    ("hosts", "worker", "message"),
    [
        ("", 0, "ADDRESS:PORT, such as 10.0.0.5:2222, got ''"),
        ("a", 0, "ADDRESS:PORT, such as 10.0.0.5:2222, got 'a'"),
        ("a:99999", 0, "got 'a:99999'"),
        ("a:1,a:1", 0, "Two workers cannot have one address"),
        ("a:1,b:1", 2, "worker must be a number from 0 to 1, one of the 2 hosts, got 2"),
        ("a:1,b:1", None, "worker must be a number"),
    ],
)
def test_hosts_that_are_none(hosts, worker, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Cluster.of_hosts(hosts, worker)
