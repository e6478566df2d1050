"""The test kernels of a port: its own, and those of domains of another architecture."""

import functools

from xenport import architecture
from xenport.kernel import Kernel, build
from xenport.port import Port


def kernels(port: Port, compiler: str | None) -> dict[str, Kernel]:
    """The kernels that the port's environments need, by the name of the architecture; always that
    of the port itself, unless it is bare. ``compiler`` is for that one: it knows one architecture.
    Raises InputError.
    """
    if port.is_bare:
        return {}
    names = {port.architecture: port.arch}
    for environment in port.environments.values():
        arch = port.guest_arch(environment)
        names[arch.name] = arch
    return {
        name: build(arch, port.release, compiler=compiler if name == port.architecture else None)
        for name, arch in names.items()
    }


@functools.cache
def own_kernel(arch: str, release: str) -> Kernel:
    """The test kernel of an architecture at a release. It is looked for once: its key is made of
    all sources. Raises InputError."""
    return build(architecture.load(arch), release)
