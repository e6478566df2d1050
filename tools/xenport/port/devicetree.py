"""Boot protocol ``devicetree``: kernels in memory, and a device tree that tells the hypervisor.

The tree is the machine's own, as QEMU makes it, with ``/chosen`` written anew: the hypervisor's
command line, a module for dom0's kernel, and for a domain under test besides dom0 a node with a
module of its own.
"""

import hashlib
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import fdt

from xenport import content
from xenport.architecture import DeviceTree, ImageFormat, Machine
from xenport.errors import InputError
from xenport.port.child import with_own_environment
from xenport.port.description import Domain
from xenport.port.emulator import Emulator
from xenport.port.files import Files
from xenport.port.payload import Payload

_ALIGN = 0x200000  # bytes; where modules may start
_PATIENCE = 60  # seconds for QEMU to write its device tree


#: Where each format has its magic number, and which.
_MAGIC: Mapping[ImageFormat, tuple[int, bytes]] = {
    "arm64-image": (0x38, b"ARM\x64"),
    "arm32-zimage": (0x24, bytes.fromhex("18286f01")),
}
_NAMES: Mapping[ImageFormat, str] = {
    "arm64-image": "an arm64 Image",
    "arm32-zimage": "a 32-bit Arm zImage",
}


def wanted(kind: ImageFormat) -> str:
    """What a hypervisor's image has to be, in words."""
    return _NAMES[kind]


def is_hypervisor(image: bytes, kind: ImageFormat) -> bool:
    """Whether ``image`` can be booted in this way, where kernels are of this kind."""
    offset, magic = _MAGIC[kind]
    return image[offset : offset + len(magic)] == magic


def options(payload: Payload, machine: Machine, emulator: Emulator, files: Files) -> list[str]:
    """QEMU's options for ``payload``."""
    description = machine.device_tree
    if description is None:
        raise InputError("machines that boot by devicetree need the key 'device_tree'")
    if payload.kernel is None:
        raise InputError("machines that boot by devicetree need a kernel for dom0")
    tree = fdt.parse_dtb(_machine_tree(machine, emulator))
    for node in list(tree.root.nodes):
        if node.name.partition("@")[0] in (*description.strip, "chosen"):
            tree.root.remove_subnode(node.name)
    at = description.modules
    chosen = _chosen(description, payload.hypervisor_args)
    first, command_line = payload.kernel, payload.command_line
    if payload.domain is not None:
        first, command_line = payload.supervisor or payload.kernel, payload.domain.supervisor
    modules = {at: first}
    chosen.append(_module(at, len(first), command_line))
    if payload.initrd is not None:
        at = _after(at, modules[at])
        modules[at] = payload.initrd
        chosen.append(_module(at, len(payload.initrd), "", "multiboot,ramdisk"))
    if payload.domain is not None:
        at = _after(at, modules[at])
        modules[at] = payload.kernel
        module = _module(at, len(payload.kernel), payload.command_line)
        chosen.append(_domain(payload.domain, module))
    tree.root.append(chosen)
    return [
        *("-kernel", files.add(payload.hypervisor)),
        *("-dtb", files.add(tree.to_dtb(version=17))),
        *(
            word
            for address, module in modules.items()
            for word in (
                "-device",
                f"loader,file={files.add(module)},addr={address:#x},force-raw=on",
            )
        ),
    ]


def _chosen(description: DeviceTree, hypervisor_args: str) -> fdt.Node:
    chosen = fdt.Node("chosen")
    chosen.append(fdt.PropStrings("stdout-path", description.stdout))
    chosen.append(fdt.PropWords("#address-cells", 2))
    chosen.append(fdt.PropWords("#size-cells", 2))
    chosen.append(fdt.PropStrings("xen,xen-bootargs", hypervisor_args))
    return chosen


def _after(address: int, module: bytes) -> int:
    """Where the next module can be."""
    return address + (len(module) + _ALIGN - 1) // _ALIGN * _ALIGN


def _module(address: int, size: int, command_line: str, kind: str = "multiboot,kernel") -> fdt.Node:
    """A kernel, or whatever it is, that is in memory already."""
    node = fdt.Node(f"module@{address:x}")
    node.append(fdt.PropStrings("compatible", kind, "multiboot,module"))
    node.append(fdt.PropWords("reg", address >> 32, address & 0xFFFFFFFF, size >> 32, size))
    if command_line:  # the library has no empty strings
        node.append(fdt.PropStrings("bootargs", command_line))
    return node


def _domain(domain: Domain, module: fdt.Node) -> fdt.Node:
    """A domain that the hypervisor builds at boot."""
    node = fdt.Node("domU1")
    node.append(fdt.PropStrings("compatible", "xen,domain"))
    node.append(fdt.PropWords("#address-cells", 2))
    node.append(fdt.PropWords("#size-cells", 2))
    for name, value in domain.properties.items():
        if value is True:
            node.append(fdt.Property(name))
        elif isinstance(value, str):
            node.append(fdt.PropStrings(name, value))
        else:
            cells = value if isinstance(value, list) else [value]
            node.append(fdt.PropWords(name, *cells))
    node.append(module)
    return node


def _machine_tree(machine: Machine, emulator: Emulator) -> bytes:
    """The device tree that QEMU makes for ``machine``; kept in xenport's cache."""
    status = emulator.program.stat()
    key = repr((str(emulator.program), status.st_size, status.st_mtime_ns, machine.args))
    folder = content.cache_folder() / "device-trees"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.dtb"
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        new = Path(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            # Relative to the folder, whose own name may have a comma in it.
            _dump(machine, emulator, folder, new.name)
            (folder / new).replace(path)
        finally:
            (folder / new).unlink(missing_ok=True)
    return path.read_bytes()


def _dump(machine: Machine, emulator: Emulator, folder: Path, name: str) -> None:
    """Have QEMU write the tree of ``machine`` and end."""
    command = [*emulator.command(machine.args), "-machine", f"dumpdtb={name}", "-display", "none"]
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=with_own_environment(emulator.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise InputError(f"gives no device tree: {said}", emulator.program) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"gives no device tree: {error}", emulator.program) from None
