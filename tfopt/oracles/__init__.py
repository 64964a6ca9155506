"""Search algorithms for keras-tuner: each is a `keras_tuner.Oracle` and works in any project of keras-tuner.

```python
oracle = tfopt.oracles.OptunaOracle(
    [keras_tuner.Objective("val_accuracy", "max"), keras_tuner.Objective("bytes", "min")],
    max_trials=100,
    sampler="nsga2",
)
tuner = MyTuner(oracle, directory="searches", project_name="digits")
```

All of them write their files whole or not at all, resume with the trial that they would have run without the
interruption, and derive the random values of a trial from (seed, id of the trial), so that neighbouring seeds
share nothing.
"""

from tfopt.oracles.annealing import AnnealingOracle
from tfopt.oracles.bayesian import BayesianOracle
from tfopt.oracles.grid_search import GridOracle
from tfopt.oracles.objectives import Constraint
from tfopt.oracles.optuna_oracle import OptunaOracle
from tfopt.oracles.random_search import RandomOracle

__all__ = ["AnnealingOracle", "BayesianOracle", "Constraint", "GridOracle", "OptunaOracle", "RandomOracle"]
