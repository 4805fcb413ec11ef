"""`python -m deploy.cli`: the command for whoever knows an interpreter but no PATH, as the stack's children do."""

from deploy.cli import main

main()
