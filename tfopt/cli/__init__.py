"""The command line: `tfopt run | search | report | inspect | compare | bench`.

TensorFlow takes seconds to import. So every command imports what it needs when it runs: `--help`, `report`
and errors in the arguments answer at once.
"""

from tfopt.cli.main import main

__all__ = ["main"]
