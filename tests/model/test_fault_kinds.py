"""What `xenport faults` takes for one fault."""

import xenport.abi
from xenport.faults.kinds import faults_of


def fields(hypercall: str, command: str, kind: str) -> list[str]:
    """Those that faults of one kind are about, on x86_64."""
    call = xenport.abi.load(arch="x86_64", release="4.17").hypercalls[hypercall]
    found = faults_of(call, call.commands[command], frozenset({""}))
    return [fault.detail for fault in found if fault.kind == kind]


def test_a_register_with_narrower_names_is_one_fault() -> None:
    found = fields("vcpu_op", "VCPUOP_initialise", "reads")
    assert {"user_regs.rax", "user_regs.r8", "user_regs.rip"} <= set(found)
    narrower = {f"user_regs.{name}" for name in ("al", "ah", "ax", "eax", "r8b", "r8d", "eip")}
    assert narrower.isdisjoint(found)


def test_neighbours_are_faults_of_their_own() -> None:
    found = fields("vcpu_op", "VCPUOP_initialise", "reads")
    assert len(set(found)) == len(found)
    assert {"user_regs.error_code", "user_regs.entry_vector", "user_regs.cs",
            "user_regs.saved_upcall_mask"} <= set(found)  # fmt: skip


def test_bytes_decide_and_not_whose_structure_they_are_in() -> None:
    """Of xen_domctl_ext_vcpucontext, mcg_cap and vmce.caps are the same eight bytes."""
    found = fields("domctl", "XEN_DOMCTL_set_ext_vcpucontext", "reads")
    assert "u.ext_vcpucontext.mcg_cap" in found
    assert "u.ext_vcpucontext.vmce.caps" not in found
    assert "u.ext_vcpucontext.vmce.mcg_ext_ctl" in found
