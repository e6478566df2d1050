"""A small description of four architectures in two families, and one of awkward names for them."""

from pathlib import Path

import pytest

from xenport import architecture
from xenport.abi import Abi, Description, load

FOLDER = Path(__file__).parent.parent / "abi" / "description"
SMALL = ("little64", "little32", "big64", "wide32")


@pytest.fixture(scope="session")
def small() -> Description:
    return Description(FOLDER / "abi", FOLDER / "arch")


def _all() -> dict[str, Abi]:
    """Every ABI that emitters are tested with, by a name for people."""
    small = Description(FOLDER / "abi", FOLDER / "arch")
    awkward = Description(Path(__file__).parent / "awkward", FOLDER / "arch")
    found = {}
    for arch in SMALL:
        found[f"small-{arch}"] = small.abi(arch, "4.17")
        found[f"awkward-{arch}"] = awkward.abi(arch, "4.17")
    for arch in architecture.names():
        releases = architecture.load(arch).releases
        for release in dict.fromkeys([releases[0], releases[-1]]):
            found[f"{arch}-{release}"] = load(arch, release)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the argument ``every`` runs on every ABI, with ``newest`` on the latest of each
    architecture."""
    latest = {architecture.load(arch).releases[-1] for arch in architecture.names()}
    for argument in {"every", "newest"} & {*metafunc.fixturenames}:
        abis = {
            name: abi
            for name, abi in _all().items()
            if argument == "every" or name.rpartition("-")[2] in {*latest, *SMALL}
        }
        metafunc.parametrize(argument, abis.values(), ids=abis.keys(), scope="session")


@pytest.fixture(scope="session")
def awkward() -> Abi:
    return Description(Path(__file__).parent / "awkward", FOLDER / "arch").abi("big64", "4.17")
