"""``python -m xenport`` is the command ``xenport``."""

from xenport.cli import main

main(prog_name="xenport")
