import numpy as np
import pytest

from tests.channels.hand_made import chain, counted
from tfopt.channels.costs.model_costs import ModelCosts


@pytest.mark.parametrize("kept", [(32, 64, 16), (1, 1, 1), (8, 24, 5)])
def test_the_costs_of_what_is_kept_are_those_of_the_smaller_model(kept):
    dependencies = chain()
    costs = ModelCosts(dependencies)
    keep = np.concatenate(
        [np.arange(len(g.units)) < n for g, n in zip(dependencies.groups, kept, strict=True)]
    )
    found = costs.evaluate(keep)
    macs, params = counted((32, 64, 16), kept)
    assert (found["macs"], found["params"]) == (macs, params)
    at_widths = costs.sizes.at_widths(np.array([kept, kept]))
    assert costs.metrics["macs"].at(at_widths) == pytest.approx([macs, macs])


def test_the_parts_of_a_metric_add_up_to_it():
    costs = ModelCosts(chain())
    widths = np.array([8, 24, 5])
    for terms in costs.metrics.values():
        parts = [function(widths[list(groups)]) for groups, function in terms.parts(costs.sizes)]
        assert sum(parts) == pytest.approx(float(terms.at(costs.sizes.at_widths(widths))))
        assert max(len(groups) for groups, _ in terms.parts(costs.sizes)) == 2


def test_fewer_bits_are_fewer_bytes():
    everything = np.ones(32 + 64 + 16, bool)
    found = {
        scheme: ModelCosts(chain(), scheme).evaluate(everything)["bytes"]
        for scheme in ("float32", "float16", "int8", "int4", "binary")
    }
    assert found["float16"] == found["float32"] / 2
    assert sorted(found.values(), reverse=True) == list(found.values())
