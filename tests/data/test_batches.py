import numpy as np

from tfopt.data import from_arrays

ONE = {"x_val": np.zeros((1, 1)), "y_val": np.zeros(1), "x_test": np.zeros((1, 1)), "y_test": np.zeros(1)}
DATA = from_arrays(np.arange(50)[:, None], np.arange(50) % 5, **ONE)


def epochs(first, last, seed=1):
    batches = [
        x.numpy()[:, 0] for x, _ in DATA.training_batches(16, seed=seed, first_epoch=first, epochs=last)
    ]
    per_epoch = DATA.steps_per_epoch(16)
    assert len(batches) == per_epoch * (last - first)
    return [np.concatenate(batches[i : i + per_epoch]) for i in range(0, len(batches), per_epoch)]


def test_every_epoch_is_another_order_of_all_samples():
    first, second = epochs(0, 2)
    assert sorted(first) == sorted(second) == list(range(50))
    assert list(first) != list(second)
    assert list(first) != list(range(50))


def test_the_order_of_an_epoch_does_not_depend_on_where_one_began():
    whole, resumed = epochs(0, 4), epochs(2, 4)
    np.testing.assert_array_equal(whole[2:], resumed)
    assert list(epochs(0, 1, seed=2)[0]) != list(whole[0])


def test_samples_keep_their_labels_and_the_last_batch_is_smaller():
    batches = list(DATA.training_batches(16, seed=0))
    assert [len(x) for x, _ in batches] == [16, 16, 16, 2]
    for x, y in batches:
        np.testing.assert_array_equal(x.numpy()[:, 0] % 5, y)


def test_each_device_gets_its_part_of_a_batch(two_devices):
    seen = []
    batches = DATA.training_batches(16, seed=0, epochs=1)
    for x, _ in two_devices.experimental_distribute_dataset(batches):
        parts = [part.numpy()[:, 0] for part in two_devices.experimental_local_results(x)]
        assert [len(part) for part in parts] in ([8, 8], [1, 1])
        seen += [value for part in parts for value in part]
    assert seen == [value for x, _ in batches for value in x.numpy()[:, 0]]
