"""`python -m tfopt` is `tfopt`."""

import sys

from tfopt.cli import main

# A run records its command line as one would type it again.
sys.argv[0] = "tfopt"
main()
