"""`python -m image2model` is the command line."""

from image2model.cli import main

main()
