"""`python -m obskit.cli` is the `obskit` command."""

from obskit.cli import main

main()
