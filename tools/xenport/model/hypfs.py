"""hypfs_op: the files of the hypervisor: its version, and one parameter that can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.version import CHANGESET, EXTRAVERSION

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.hypervisor import Hypervisor

handlers = Handlers()
command = handlers.command

_LONGEST_TEXT = 1024  #: of a parameter that is written, with its zero
_PARAMETER = "guest_loglvl"
_ROOM = 16  #: of that parameter


def _tree(hypervisor: Hypervisor) -> dict[str, object]:
    major, minor = hypervisor.version >> 16, hypervisor.version & 0xFFFF
    version = {"extra": EXTRAVERSION, "major": major, "minor": minor}
    return {
        "buildinfo": {"changeset": CHANGESET, "version": version},
        "params": {_PARAMETER: hypervisor.physical.guest_loglvl},
    }


def _text(data: bytes | bytearray, refused: str) -> str:
    """What stands before the zero at the end. XenError ``refused``: that is not the first, or
    there is none."""
    if not data or data.find(0) != len(data) - 1:
        raise XenError(refused)
    return data[:-1].decode("ascii", "replace")


def _find(call: Call) -> tuple[str, object]:
    """The path, and what it names."""
    length = call["arg2"]
    if length > call.domain.abi.constant("XEN_HYPFS_MAX_PATHLEN"):
        raise XenError("EINVAL")
    path = _text(call.vcpu.copy_in(call["arg1"], length), "EINVAL")
    if not path.startswith("/"):
        raise XenError("EINVAL" if rank(call.domain.abi.release) >= rank("4.15") else "ENOENT")
    node: object = _tree(call.hypervisor)
    for name in path[1:].split("/") if path != "/" else []:
        if not isinstance(node, dict) or name not in node:
            raise XenError("ENOENT")
        node = node[name]
    return path, node


@command("XEN_HYPFS_OP_get_version")
def get_version(call: Call) -> int:
    """The version of the interface."""
    if any(call[name] for name in ("arg1", "arg2", "arg3", "arg4")):
        raise XenError("EINVAL")
    return call.domain.abi.constant("XEN_HYPFS_VERSION")


@command("XEN_HYPFS_OP_read")
def read(call: Call) -> None:
    """A file or directory: its head, and what is in it."""
    abi = call.domain.abi
    path, node = _find(call)
    room = call["arg4"]
    head = abi.sizeof("xen_hypfs_direntry")
    kind, content = "STRING", b""
    if isinstance(node, dict):
        kind, content = "DIR", b"".join(name.encode() + b"\0" for name in node)
    elif isinstance(node, int):
        kind, content = "UINT", node.to_bytes(4, call.domain.byte_order)
    else:
        content = str(node).encode() + b"\0"
    if room < head:
        raise XenError("EINVAL")
    call.vcpu.write_struct(
        "xen_hypfs_direntry",
        call.handle,
        type=abi.constant(f"XEN_HYPFS_TYPE_{kind}"),
        content_len=len(content),
        max_write_len=_ROOM if path.endswith(_PARAMETER) else 0,
    )
    if room < head + len(content):
        raise XenError("ENOBUFS")
    call.vcpu.copy_out(call.handle, content, head)


@command("XEN_HYPFS_OP_write_contents")
def write_contents(call: Call) -> None:
    """The parameter, as text."""
    path, _ = _find(call)
    if not path.endswith(_PARAMETER):
        raise XenError("EACCES")
    if call["arg4"] > _LONGEST_TEXT:
        raise XenError("ENOSPC")
    call.hypervisor.physical.guest_loglvl = _text(
        call.vcpu.copy_in(call.handle, call["arg4"]), "EDOM"
    )
