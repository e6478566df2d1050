"""Architectures: ``arch/FAMILY/NAME.yaml``, everything the tools need to know about one as data."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from xenport import content
from xenport.errors import InputError
from xenport.yamlsource import Document, Strict, suggestion

Bytes = Annotated[int, Field(gt=0)]
ImageFormat = Literal["elf", "arm64-image", "arm32-zimage"]
CType = Literal["char", "short", "int", "long", "pointer"]


class GuestHandle(Strict):
    """How a pointer of the guest looks in a structure."""

    size: Bytes
    align: Bytes
    form: Literal["pointer", "union64"] = "pointer"  # union64: {T *p; uint64_aligned_t q;}


class DataModel(Strict):
    """Sizes and alignments, in bytes, and the order of bytes."""

    endian: Literal["little", "big"]
    sizes: dict[CType, Bytes]
    align: dict[str, Bytes] = {}  # what is not aligned to its size: "int64: 4"
    guest_handle: GuestHandle
    page_size: Bytes = 4096

    @field_validator("sizes")
    @classmethod
    def _all_sizes(cls, sizes: dict[CType, int]) -> dict[CType, int]:
        missing = {"char", "short", "int", "long", "pointer"} - set(sizes)
        if missing:
            raise ValueError(f"the size of {', '.join(sorted(missing))} is missing")
        return sizes


class Toolchain(Strict):
    """How a test kernel is compiled; paths are relative to the architecture's folder."""

    cpu: str | None = None  # zig cc -mcpu: it ignores -mgeneral-regs-only and -mno-sse
    cflags: list[str] = []
    ldflags: list[str] = []
    linker_script: str
    sources: list[str] = []  # globs
    cases: list[str] = []  # globs: tests of this architecture alone


class DeviceTree(Strict):
    """What booting by device tree has to know of a machine."""

    modules: int  # address of the first module; more follow
    stdout: str  # path of the console's node
    strip: list[str] = []  # nodes, without unit address, that the hypervisor is not to see


class Machine(Strict):
    """A QEMU machine that the architecture's hypervisor runs on."""

    qemu: str  # the program
    package: str  # the Debian package that has it
    boot: Literal["multiboot", "devicetree", "kernel", "firmware"]  # firmware: hosts the model
    args: list[str] = []
    device_tree: DeviceTree | None = None  # only for boot: devicetree

    @model_validator(mode="after")
    def _tree_of_its_boot(self) -> Self:
        if (self.boot == "devicetree") != (self.device_tree is not None):
            raise ValueError("'device_tree' belongs to boot: devicetree, and is needed there")
        return self


class Variant(Strict):
    """What is different from a release on, where a later port of Xen took the name over."""

    since: str
    doc: str | None = None
    guests: list[str] | None = None
    header: str | None = None
    target: str | None = None
    data_model: DataModel | None = None
    toolchain: Toolchain | None = None  # none: no test kernel for these releases
    model_guests: list[str] | None = None
    model: dict[str, Any] | None = None


class Hosted(Strict):
    """A real machine that can host the model's guests, behind a shim that is its firmware."""

    machine: str  # one of `machines`
    memory: Bytes  # of the machine
    free: Bytes  # the address from which on nobody but the shim uses it
    endian: Literal["little", "big"]  # of the shim
    counter_frequency: Bytes  # Hz
    guest: str  # the guest's side: a module of the model's CPU adapters, or FILE.py in the folder
    target: str  # zig cc -target, for the shim
    toolchain: Toolchain  # of the shim
    registers: list[str]  # of a vcpu, in the order in which the shim keeps them


class Architecture(Strict):
    """One architecture.

    ``registers``, ``hypercall``, ``entry`` and ``vectors`` describe what the reference model's CPU
    adapter needs; ``xenport.model`` gives them their meaning.
    """

    name: str
    family: str  # the folder
    doc: str
    releases: list[str]
    guests: list[str]  # kinds of caller
    foreign: dict[str, list[str]] = {}  # structures that tools here have in another's layout
    model_guests: list[str] = []  # more of them, that no Xen runs yet but the model does
    header: str  # the header of the architecture that xen.h includes
    target: str  # zig cc -target
    data_model: DataModel
    toolchain: Toolchain | None = None
    image: ImageFormat = "elf"  # what a domain builder loads
    registers: dict[str, Any] = {}
    hypercall: dict[str, Any] = {}
    entry: dict[str, Any] = {}
    vectors: dict[str, Any] = {}
    machines: dict[str, Machine] = {}
    model: dict[str, Any] = {}
    variants: list[Variant] = []  # in the order of their releases
    hosted: Hosted | None = None
    _path: Path = PrivateAttr()

    @property
    def folder(self) -> Path:
        """``arch/FAMILY``: where the paths of the description start."""
        return self._path.parent

    def at(self, release: str) -> "Architecture":
        """The architecture as it is at ``release``, which is one of ``releases``."""
        since = self.releases.index(release)
        found = self
        for variant in self.variants:
            if self.releases.index(variant.since) <= since:
                changes = {name: getattr(variant, name) for name in variant.model_fields_set}
                changes = {"toolchain": None, **changes}
                found = found.model_copy(update={k: v for k, v in changes.items() if k != "since"})
        return found

    @model_validator(mode="after")
    def _variants_of_releases(self) -> Self:
        for variant in self.variants:
            if variant.since not in self.releases:
                raise ValueError(f"a variant since '{variant.since}', which is not in 'releases'")
        return self


def names() -> tuple[str, ...]:
    """The names of all architectures, sorted."""
    return tuple(sorted(_paths()))


def load(name: str) -> Architecture:
    """The architecture ``name``. Raises ``InputError`` for an unknown name and a bad file."""
    paths = _paths()
    if name not in paths:
        raise InputError(f"unknown architecture '{name}'{suggestion(name, paths)}")
    return read(paths[name])


@functools.cache
def read(path: Path) -> Architecture:
    """The architecture described in the file ``path``."""
    document = Document(path)
    architecture = document.parse(Architecture)
    if architecture.name != path.stem:
        raise document.error(f"expected {path.stem}, the name of the file", "name")
    if architecture.family != path.parent.name:
        raise document.error(f"expected {path.parent.name}, the name of the folder", "family")
    architecture._path = path
    return architecture


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in content.folder("arch").glob("*/*.yaml")}
