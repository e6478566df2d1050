"""``xenport abi fmt``: the description's files in their one style."""

import os
import sys
import tempfile
from pathlib import Path

import click

from xenport import content
from xenport.abi import style
from xenport.errors import InputError
from xenport.yamlsource import Document


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; list the files that would change.")
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
def fmt(check: bool, files: tuple[Path, ...]) -> None:
    """Bring the description's YAML files into their one style; all of them without FILE.

    With --check the exit status is 1 if a file would change.
    """
    changed = {
        path: text
        for path, document in ((path, Document(path)) for path in files or _description())
        if (text := _formatted(document)) != document.source
    }
    for path, text in changed.items():
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        click.echo(str(shown) if check else f"formatted {shown}")
        if not check:
            _replace(path, text)
    sys.exit(1 if check and changed else 0)


def _description() -> list[Path]:
    """All files of the description."""
    shared = content.folder("abi").rglob("*.yaml")
    return sorted([*shared, *content.folder("arch").glob("*/abi/**/*.yaml")])


def _formatted(document: Document) -> str:
    if not isinstance(document.data, dict) or "header" not in document.data:
        raise document.error("no file of the description; it would have the key 'header'")
    return style.format_text(document)


def _replace(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all, with the permissions it has."""
    path = path.resolve()  # a link stays one
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        work = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
            work.chmod(path.stat().st_mode & 0o7777)
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path) from None
