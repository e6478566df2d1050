"""``xenport abi show`` and ``diff`` as a person types them, on xenport's own description."""

import json

import pytest
from click.testing import CliRunner, Result

from xenport.abi import load
from xenport.abi.load import description
from xenport.abi.releases import RELEASES
from xenport.cli import main


def said(*arguments: str, status: int = 0) -> str:
    result: Result = CliRunner().invoke(main, ["abi", *arguments])
    assert result.exit_code == status, result.output
    return result.output


def refused(*arguments: str) -> str:
    text = said(*arguments, status=2)
    assert text.count("\n") == 1, text
    return text


def test_a_structure_with_its_holes() -> None:
    text = said("show", "shared_info", "--arch", "ppc64", "--release", "3.2")
    abi = load(arch="ppc64", release="3.2")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "2 6 -- hole --" in lines
    for path, _, member in abi.layout("shared_info").walk():
        offset = abi.offset("shared_info", path)
        row = f"{offset} {member.size} {member.layout.name} {member.name}"
        assert any(f"{line} ".startswith(f"{row} ") for line in lines), row
    assert f"total {abi.sizeof('shared_info')} aligned to 8" in lines


def test_architectures_side_by_side() -> None:
    text = said("show", "arch_vcpu_info")
    assert "Differs between architectures" in text
    assert any(line.split().count("offset") > 1 for line in text.splitlines())


def test_identical_is_said() -> None:
    text = said("show", "evtchn_send")
    assert "Identical on" in text and "Differs" not in text
    assert "EVTCHNOP_send" in text  # whose argument it is


def test_a_constant() -> None:
    text = said("show", "DOMID_SELF")
    assert "32752  0x7ff0" in text and "xen.h" in text


def test_a_command_and_a_hypercall() -> None:
    text = said("show", "EVTCHNOP_bind_ipi", "--arch", "x86_64")
    command = (
        load(arch="x86_64", release=description().architecture("x86_64").releases[-1])
        .hypercalls["event_channel_op"]
        .commands["EVTCHNOP_bind_ipi"]
    )
    lines = [line.split() for line in text.splitlines()]
    for number, error in enumerate(command.errors, 1):
        assert any(line[:2] == [str(number), error.errno] for line in lines)
    assert "pv, hvm on x86_64" in text and "any domain" in text
    assert "EVTCHNOP_bind_ipi" in said("show", "event_channel_op")


def test_a_typedef_and_a_header() -> None:
    assert "uint32" in said("show", "evtchn_port_t")
    assert "evtchn_alloc_unbound" in said("show", "event_channel.h")


def test_nothing_of_that_name() -> None:
    assert "did you mean 'shared_info'?" in refused("show", "sharde_info")
    assert "did you mean 'x86_64'?" in refused("show", "shared_info", "--arch", "x86_46")
    assert "there are: " in refused("show", "shared_info", "--release", "4.99")
    assert "it exists on" in refused("show", "EVTCHNOP_set_priority", "--release", "3.2")


def test_no_line_ends_in_spaces() -> None:
    for line in said("show", "vcpu_info").splitlines():
        assert line == line.rstrip()


def test_diff() -> None:
    text = said("diff", "4.14", "4.17", "--arch", "x86_64")
    assert "XEN_DOMCTL_INTERFACE_VERSION 0x12 -> 0x15" in text and "EACCES" in text
    assert "size: 104 -> 112" in text


def test_diff_as_json() -> None:
    data = json.loads(said("diff", "4.14", "4.17", "--json"))
    assert (data["schema"], data["old"], data["new"]) == (1, "4.14", "4.17")
    found = {(change["kind"], change["name"]): change for change in data["changes"]}
    change = found["struct", "xen_domctl_getdomaininfo"]
    assert change["audience"] == ["tool stack"] and change["effect"] == "breaks"
    sizes = [detail for detail in change["details"] if detail["what"] == "size"]
    assert sizes[0]["old"] != sizes[0]["new"]


def test_exit_status_of_diff() -> None:
    assert "No difference." in said("diff", "4.17", "4.17", "--exit-code")
    said("diff", "4.14", "4.17", "--exit-code", status=1)
    said("diff", "4.14", "4.17")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("3.2", "4.17", "--arch", "x86_64"), "release '3.2' of x86_64 is not described"),
        (("4.17", "4.99"), "no architecture has both 4.17 and 4.99"),
        (("4.14", "4.17", "--arch", "vax"), "unknown architecture 'vax'"),
    ],
)
def test_diff_of_what_is_not_there(arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("diff", *arguments)


def test_head_is_the_release_in_development() -> None:
    assert said("show", "DOMID_SELF", "--release", "head") == said(
        "show", "DOMID_SELF", "--release", RELEASES[-1]
    )
    assert load(arch="arm64", release="head").release == RELEASES[-1]
