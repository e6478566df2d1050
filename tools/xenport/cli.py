"""The ``xenport`` command."""

import click


@click.group()
def main() -> None:
    """Conformance suite and ABI toolkit for ports of Xen's guest ABI."""
