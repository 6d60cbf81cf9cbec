"""`python -m service`: the console script `errand`, where the library itself is not installed."""

from errand.cli.main import main

main()
