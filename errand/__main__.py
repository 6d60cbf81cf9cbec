"""`python -m errand`: the console script `errand`."""

from errand.cli.main import main

main()
