"""Options that several commands have."""

from typing import Any

import click

from xenport.abi.releases import resolve


class _Release(click.ParamType[str]):
    name = "release"

    def convert(self, value: Any, _param: Any, _context: Any) -> str:
        return resolve(str(value))


RELEASE = _Release()
"""The type of an option that is a release of Xen; ``head`` is the one in development."""
