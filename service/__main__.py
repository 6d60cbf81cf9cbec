"""`python -m service`: the console script, where the project itself is not installed."""

from service.cli import main

main()
