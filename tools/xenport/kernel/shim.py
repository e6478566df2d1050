"""Building a shim: the firmware of a machine that hosts the model's guests."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from xenport import content
from xenport.architecture import Architecture, Hosted
from xenport.kernel import compiler as compilers, image
from xenport.kernel.cache import Fingerprint, publish_file

_MAILBOX = "mailbox"


@dataclass(frozen=True)
class Shim:
    """A shim: the ELF file, and where in the machine's memory its mailbox is."""

    elf: Path
    mailbox: int

    def image(self) -> bytes:
        """What the machine takes as its firmware."""
        return image.flat(self.elf)


def build(arch: Architecture, hosted: Hosted, header: str) -> Shim:
    """The shim of ``arch``, from the cache if possible; ``header`` is its ``mailbox.h``.

    Raises ``InputError`` with the compiler's first error.
    """
    toolchain = hosted.toolchain
    sources = [path for glob in toolchain.sources for path in sorted(arch.folder.glob(glob))]
    script = arch.folder / toolchain.linker_script
    compiler = compilers.Compiler.zig(hosted.target, toolchain.cpu)
    key = Fingerprint(
        *compiler.command,
        compiler.identity,
        *compilers.FLAGS,
        *toolchain.cflags,
        *toolchain.ldflags,
    )
    key.texts(header)
    key.files(arch.folder, {*sources, script, *script.parent.glob("*.h")})

    def make(to: Path) -> None:
        with TemporaryDirectory(prefix="xenport-shim-") as name:
            folder = Path(name)
            (folder / "mailbox.h").write_text(header)
            flags = [*compilers.FLAGS, *toolchain.cflags, f"-I{folder}", f"-I{script.parent}"]
            objects = [folder / f"{source.name}.o" for source in sources]
            for source, made in zip(sources, objects, strict=True):
                compiler.compile(source, made, flags)
            compilers.link(objects, script, to, toolchain.ldflags)

    elf = content.cache_folder() / "shims" / f"{arch.name}-{key.digest()}.elf"
    return _read(publish_file(elf, make))


def _read(elf: Path) -> Shim:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        mailbox = table.get_symbol_by_name(_MAILBOX)
        assert mailbox is not None
    return Shim(elf, mailbox[0]["st_value"])
