"""Everything that is described says what it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import xenport.abi
from xenport import content
from xenport.yamlsource import Document

FILES = {
    document.data["header"]: document.data
    for folder, pattern in (("abi", "**/*.yaml"), ("arch", "*/abi/**/*.yaml"))
    for path in content.folder(folder).glob(pattern)
    for document in [Document(Path(path))]
}
WORLDS = [("x86_64", "4.23"), ("x86_64", "4.14"), ("arm64", "4.23"), ("arm64", "4.14")]
UNSAID = {
    "xenpf_firmware_info.u.disk_info.edd_params",  # its length is in the memory it points to
    # Pointers to memory that a guest shares from then on: one structure, not an array.
    "vcpu_register_runstate_memory_area.addr.h",
    "vcpu_register_time_memory_area.addr.h",
    "mmuext_op.arg2.vcpumask",  # as many bits as the domain has vcpus
}


def listed(thing: Any) -> list[Any]:
    return thing if isinstance(thing, list) else [thing]


def undocumented(data: dict[str, Any]) -> Iterator[str]:
    if "doc" not in data:
        yield "the file"
    for section in ("structs", "unions"):
        for name, alternatives in data.get(section, {}).items():
            if not any("doc" in one for one in listed(alternatives)):
                yield name
    for group in data.get("constants", []):
        values = group["values"].values()
        said = all(any("doc" in one for one in listed(v) if isinstance(one, dict)) for v in values)
        if "doc" not in group and not said:
            yield f"group {group['name']}"
    for name, calls in data.get("hypercalls", {}).items():
        for call in listed(calls):
            if "doc" not in call:
                yield name
            for command, alternatives in call.get("commands", {}).items():
                if not any("doc" in one for one in listed(alternatives)):
                    yield command


@pytest.mark.parametrize("header", FILES)
def test_a_file_says_what_everything_is(header: str) -> None:
    assert list(undocumented(FILES[header])) == []


@pytest.mark.parametrize(("arch", "release"), WORLDS)
def test_what_a_handle_reaches_has_a_length(arch: str, release: str) -> None:
    abi = xenport.abi.load(arch, release)
    arguments = {
        command.arg.layout.name: command.arg.layout
        for call in abi.hypercalls.values()
        for command in call.commands.values()
        if command.arg is not None and command.arg.layout.fields
    }
    unsaid = {
        f"{name}.{path}"
        for name, layout in arguments.items()
        for path, _, member in layout.walk()
        if member.layout.kind == "handle" and member.count is None
    }
    assert unsaid <= UNSAID


def test_every_hypercall_is_described() -> None:
    """No number of ``xen.h`` is left without a description, but for those kept for architectures
    and for what Xen no longer serves."""
    for arch, release in WORLDS:
        abi = xenport.abi.load(arch, release)
        numbers = {
            name.removeprefix("__HYPERVISOR_")
            for name in abi.constants
            if name.startswith("__HYPERVISOR_")
        }
        described = set(abi.hypercalls)
        assert {
            name
            for name in numbers - described
            if not name.startswith(("arch_", "tmem_op", "xc_", "mca"))
            and not name.endswith(("VIRT_START", "VIRT_END", "_compat"))
        } == set()
