"""`python -m wherry`."""

from wherry.cli.main import run

run()
