"""A small description of four architectures in two families."""

from pathlib import Path

import pytest

from xenport.abi import Description

FOLDER = Path(__file__).parent.parent / "abi" / "description"


@pytest.fixture(scope="session")
def small() -> Description:
    return Description(FOLDER / "abi", FOLDER / "arch")
