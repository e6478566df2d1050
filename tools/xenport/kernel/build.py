"""Building a test kernel.

Three kinds of things are kept in the cache, each named after a hash of all it was made from:
generated headers, objects, kernels. So a kernel whose inputs have not changed costs the reading of
its inputs, and one changed test costs compiling one file and linking.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import xenport.abi
from xenport import content, emit, negatives
from xenport.architecture import Architecture, Toolchain
from xenport.errors import InputError
from xenport.kernel import compiler as compilers, image
from xenport.kernel.cache import Fingerprint, publish_file, publish_folder
from xenport.kernel.catalogue import Test, read_catalogue

_WORKERS = 2  # compilers that run at the same time

_PACKAGE = Path(__file__).parent.parent

#: The parts of the package that decide what a kernel looks like.
_CODE = ("abi", "emit", "kernel", "negatives", "architecture.py", "yamlsource.py")


@dataclass(frozen=True)
class Kernel:
    """A test kernel: the ELF file, and what is in it."""

    elf: Path
    arch: Architecture
    release: str
    tests: tuple[Test, ...]

    def image(self) -> Path:
        """The file that a domain builder of this architecture loads."""
        if self.arch.image == "elf":
            return self.elf
        return publish_file(
            self.elf.with_suffix(".img"), lambda path: path.write_bytes(image.flat(self.elf))
        )


def build(
    arch: Architecture, release: str, *, compiler: str | None = None, cases: Path | None = None
) -> Kernel:
    """The test kernel of an architecture, on the headers of a release; from the cache if possible.

    ``compiler`` is the command of another C compiler than zig's; it must compile for ``arch`` by
    itself. ``cases`` is a folder with other tests than those of ``conformance/cases`` and of the
    architecture. Raises ``InputError`` for a release that is not described, and with the compiler's
    first error.
    """
    if release not in arch.releases:
        raise InputError(
            f"release '{release}' of {arch.name} is not described; there are:"
            f" {', '.join(arch.releases)}"
        )
    arch = arch.at(release)
    if arch.toolchain is None:
        raise InputError(
            f"{arch.name} has no test kernel at {release}: its description has no 'toolchain'"
        )
    inputs = _Inputs(arch, release, arch.toolchain, cases)
    compiler_of = compilers.Compiler.find(arch, compiler)
    start = Fingerprint(compiler_of.identity, *compilers.FLAGS, *arch.toolchain.cflags)
    kernel = content.cache_folder() / "kernels" / f"{inputs.key(start)}.elf"
    elf = publish_file(kernel, lambda path: _make(inputs, compiler_of, start, path))
    return Kernel(elf, arch, release, read_catalogue(elf))


def build_with_data(arch: Architecture, release: str, cases: Path, data: bytes, to: Path) -> Kernel:
    """A kernel with the tests of the folder ``cases`` alone that has ``data`` between the symbols
    ``xenport_data`` and ``xenport_data_end``, 16-byte aligned. It is the file ``to``, in a folder
    of its own, and no part of the cache.

    Raises ``InputError`` as `build` does.
    """
    arch = arch.at(release)
    if arch.toolchain is None:
        raise InputError(
            f"{arch.name} has no test kernel at {release}: its description has no 'toolchain'"
        )
    inputs = _Inputs(arch, release, arch.toolchain, cases)
    compiler = compilers.Compiler.find(arch, None)
    start = Fingerprint(compiler.identity, *compilers.FLAGS, *arch.toolchain.cflags)
    content_file, source, compiled = (to.with_suffix(suffix) for suffix in (".data", ".S", ".o"))
    content_file.write_bytes(data)
    source.write_text(_DATA.format(path=content_file.absolute()))
    compiler.compile(source, compiled, [*compilers.FLAGS, *arch.toolchain.cflags])
    _make(inputs, compiler, start, to, [compiled])
    return Kernel(to, arch, release, read_catalogue(to))


_DATA = """\
    .section .xenport.data, "a", %progbits
    .balign 16
    .globl xenport_data, xenport_data_end
xenport_data:
    .incbin "{path}"
xenport_data_end:
"""


@dataclass(frozen=True)
class _Inputs:
    """All that goes into one kernel."""

    arch: Architecture
    release: str
    toolchain: Toolchain
    other_cases: Path | None

    @property
    def cases(self) -> Path:
        return self.other_cases or content.folder("conformance") / "cases"

    @property
    def runtime(self) -> Path:
        return content.folder("conformance") / "kernel"

    @property
    def script(self) -> Path:
        return self.arch.folder / self.toolchain.linker_script

    def sources(self) -> list[Path]:
        """In the order in which they are linked: the tests come last, file by file."""
        own = self._own(self.toolchain.sources)
        own_cases = [] if self.other_cases else self._own(self.toolchain.cases)
        return [
            *own,
            *sorted(self.runtime.glob("*.c")),
            *own_cases,  # first: what a vcpu is before it ran is the architecture's to look at
            *sorted(self.cases.glob("*.c")),
        ]

    def _own(self, globs: Sequence[str]) -> list[Path]:
        """Files of the architecture."""
        return [path for glob in globs for path in sorted(self.arch.folder.glob(glob))]

    def folders(self) -> list[Path]:
        """Where sources and headers are, other than the generated ones."""
        return [self.arch.folder, self.runtime, self.cases]

    def roots(self) -> list[Path]:
        """What is taken off paths, so that __FILE__ says the same everywhere: "cases/events.c",
        "arch/arm/cases/timer.c". Of two that fit, the compilers take the last."""
        return [self.arch.folder.parent.parent, self.runtime.parent, self.cases.parent]

    def key(self, start: Fingerprint) -> str:
        """A name for the kernel."""
        key = self._headers_key(start)
        for folder in self.folders():
            key.files(folder, _below(folder))
        return f"{self.arch.name}-{self.release}-{key.digest()}"

    def headers(self) -> Path:
        """The generated headers."""
        key = self._headers_key(Fingerprint()).digest()
        abi = xenport.abi.load(arch=self.arch.name, release=self.release)
        return publish_folder(
            content.cache_folder() / "headers" / f"{self.arch.name}-{self.release}-{key}",
            lambda path: emit.write(abi, "c", path),
        )

    def negatives(self) -> list[Path]:
        """The generated tests of the errors that the ABI declares; no part of other cases."""
        if self.other_cases:
            return []
        key = self._headers_key(Fingerprint()).digest()
        name = f"{self.arch.name}-{self.release}-{key}.c"

        def write(path: Path) -> None:
            abi = xenport.abi.load(arch=self.arch.name, release=self.release)
            path.write_text(negatives.source(negatives.plan(abi)))

        return [publish_file(content.cache_folder() / "negatives" / name, write)]

    def _headers_key(self, start: Fingerprint) -> Fingerprint:
        key = start.copy()
        key.texts(self.arch.name, self.release)
        for folder in (content.folder("abi"), self.arch.folder / "abi"):
            key.files(folder, folder.rglob("*.yaml"))
        key.files(self.arch.folder, self.arch.folder.glob("*.yaml"))
        for name in _CODE:
            path = _PACKAGE / name
            key.files(_PACKAGE, _below(path) if path.is_dir() else [path])
        return key


def _make(
    inputs: _Inputs,
    compiler: compilers.Compiler,
    start: Fingerprint,
    to: Path,
    more: Sequence[Path] = (),
) -> None:
    """Compile what is not in the cache, and link it with the objects ``more``."""
    headers = inputs.headers()
    includes = [inputs.runtime / "include", inputs.cases, inputs.script.parent, headers]
    major, minor = inputs.release.split(".")
    flags = [
        *compilers.FLAGS,
        *inputs.toolchain.cflags,
        *(f"-I{folder}" for folder in includes),
        *(f"-ffile-prefix-map={folder}/=" for folder in inputs.roots()),
        # What XENVER_version has to answer.
        f"-DXENPORT_RELEASE_MAJOR={major}",
        f"-DXENPORT_RELEASE_MINOR={minor}",
    ]
    common = start.copy()
    common.texts(inputs.release)
    for folder in (*inputs.folders(), headers):
        common.files(folder, folder.rglob("*.h"))

    def compiled(source: Path) -> Path:
        key = common.copy()
        key.files(source.parent.parent, [source])
        return publish_file(
            content.cache_folder() / "objects" / f"{key.digest()}.o",
            lambda path: compiler.compile(source, path, flags),
        )

    with ThreadPoolExecutor(_WORKERS) as pool:
        objects = list(pool.map(compiled, [*inputs.sources(), *inputs.negatives()]))
    compilers.link([*objects, *more], inputs.script, to, inputs.toolchain.ldflags)


def _below(folder: Path) -> Sequence[Path]:
    """All files in ``folder`` that somebody wrote."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")
    ]
