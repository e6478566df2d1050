"""The recorder: a plugin for QEMU, in C. It watches hypercalls and reads the memory that a plan of
`xenport.trace.plan` names."""

from pathlib import Path
from tempfile import TemporaryDirectory

from xenport import content
from xenport.kernel.cache import Fingerprint, publish_file
from xenport.kernel.compiler import Compiler

_FLAGS = (
    "-std=gnu11",
    "-O2",
    "-g0",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-sanitize=undefined",  # zig's default
    "-Wall",
    "-Wextra",
    "-Werror",
)
_FOLDER = Path(__file__).parent


def build() -> Path:
    """The plugin, compiled for this machine; from the cache if possible.

    Raises ``InputError`` with the compiler's first error.
    """
    compiler = Compiler.native()
    sources = sorted(_FOLDER.glob("*.c"))
    key = Fingerprint(*compiler.command, compiler.identity, *_FLAGS)
    key.files(_FOLDER, [*sources, *_FOLDER.glob("*.h")])
    path = content.cache_folder() / "plugins" / f"recorder-{key.digest()}.so"

    def make(to: Path) -> None:
        with TemporaryDirectory(prefix="xenport-plugin-") as name:
            objects = [Path(name) / f"{source.name}.o" for source in sources]
            for source, made in zip(sources, objects, strict=True):
                compiler.compile(source, made, _FLAGS)
            compiler.link_shared(objects, to)

    return publish_file(path, make)
