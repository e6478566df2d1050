"""What of the description holds for an architecture and a release."""

import shutil
from pathlib import Path

import pytest

from xenport.abi import Description, load, load_for_model
from xenport.abi.releases import RELEASES, Range, rank
from xenport.abi.schema import TypeSpec
from xenport.errors import InputError

FOLDER = Path(__file__).parent / "description"


def test_the_small_description_has_no_mistake(small: Description) -> None:
    small.check()
    assert len(list(small.abis())) == 12


def test_order_of_releases() -> None:
    assert rank("3.2") < rank("4.9") < rank("4.14") < rank("4.20")
    assert len(set(RELEASES)) == len(RELEASES)
    with pytest.raises(ValueError, match=r"unknown release '4\.17\.0'"):
        rank("4.17.0")


def test_ranges() -> None:
    def span(since: str | None, until: str | None) -> Range:
        return Range.of(TypeSpec(type="int", since=since, until=until))

    assert span(None, None).overlaps(span("4.17", "4.17"))
    assert span(None, "4.17").overlaps(span("4.17", None))
    assert not span(None, "4.16").overlaps(span("4.17", None))


def test_constants(small: Description) -> None:
    abi = small.abi("little64", "4.17")
    assert abi.constant("DOMID_SELF") == 0x7FF0
    assert abi.constant("MINUS_ONE") == -1
    assert abi.constant("SUM") == 12 % 7 + 3
    assert abi.constant("EVENT_status") == 5
    assert abi.constant("__HYPERVISOR_event_op") == 32
    assert abi.constants["GREETING"].value == "hello"
    assert abi.constants["DOMID_SELF"].header == "xen.h"
    assert abi.constants["DOMID_SELF"].doc == "The caller."
    assert abi.constants["EVENT_status"].group == "event_op"
    assert small.abi("little32", "4.17").constant("WORD_BITS") == 32
    for release, value in (("4.14", 14), ("4.17", 17), ("4.20", 20)):
        assert small.abi("big64", release).constant("VERSION") == value


def test_unknown_constants(small: Description) -> None:
    abi = small.abi("little64", "4.17")
    with pytest.raises(
        InputError, match="unknown constant 'DOMID_SLEF'; did you mean 'DOMID_SELF'"
    ):
        abi.constant("DOMID_SLEF")
    with pytest.raises(InputError, match="unknown constant 'ONLY_NEW'"):
        abi.constant("ONLY_NEW")
    with pytest.raises(InputError, match="GREETING is a text"):
        abi.constant("GREETING")
    assert "ONLY_NEW" not in abi.constants
    assert small.abi("little64", "4.20").constant("ONLY_NEW") == 1


def test_errno(small: Description) -> None:
    abi = small.abi("little64", "4.14")
    assert abi.errno("EINVAL") == 22
    assert abi.errno_name(22) == "EINVAL"
    with pytest.raises(InputError, match="did you mean 'EINVAL'"):
        abi.errno("EINVALID")
    with pytest.raises(InputError, match="no errno has the number 33"):
        abi.errno_name(33)
    assert small.abi("little64", "4.17").errno_name(33) == "EDOM"


def test_hypercalls(small: Description) -> None:
    abi = small.abi("little64", "4.17")
    event = abi.hypercalls["event_op"]
    assert abi.hypercall_by_number[32] is event
    assert event.callers == ("pv", "hvm")
    assert event.unknown_command == "ENOSYS"
    assert [arg.role for arg in event.args] == ["command", "argument"]
    status = event.command_by_number[5]
    assert status is event.commands["EVENT_status"]
    assert status.arg is not None and status.arg.layout is abi.layout("status")
    assert [error.errno for error in status.errors] == ["EFAULT", "ESRCH", "EINVAL"]
    assert status.errors[0].when == {"arg": "unreadable"}
    assert status.errors[2].callers == ("hvm",)
    assert event.commands["EVENT_send"].callers == ("pv",)
    assert event.commands["EVENT_write"].number == 7
    assert event.commands["EVENT_write"].returns == "How many."


def test_callers_differ(small: Description) -> None:
    old = small.abi("big64", "4.14").hypercalls["event_op"]
    assert old.callers == () and old.args == ()
    new = small.abi("big64", "4.17").hypercalls["event_op"]
    assert (new.callers, new.unknown_command) == (("beta",), "EINVAL")
    assert new.commands["EVENT_send"].callers == ("beta",)
    write = small.abi("little64", "4.14").hypercalls["event_op"].commands["EVENT_write"]
    assert write.arg is not None
    assert (write.number, write.arg.type, write.arg.count) == (6, "char", "cmd")


def test_command_inside_the_argument(small: Description) -> None:
    control = small.abi("little64", "4.17").hypercalls["control"]
    assert (control.selector, control.privilege) == ("cmd", "control")
    arg = control.commands["CONTROL_send"].arg
    assert arg is not None
    assert (arg.member, arg.offset, arg.layout.name) == ("u.send", 8, "send")
    assert arg.direction == "inout"


def test_command_inside_the_first_buffer() -> None:
    dm_op = load("arm64", "4.23").hypercalls["dm_op"]
    buffers = dm_op.args[-1]
    assert (buffers.type, buffers.count) == ("handle(xen_dm_op_buf)", "nr_bufs")
    assert (buffers.holds, dm_op.selector) == ("xen_dm_op", "op")
    arg = dm_op.commands["XEN_DMOP_nr_vcpus"].arg
    assert arg is not None
    assert (arg.member, arg.offset, arg.layout.name) == ("u.nr_vcpus", 8, "xen_dm_op_nr_vcpus")
    served = [name for name, command in dm_op.commands.items() if command.callers]
    assert len(served) == 8


def test_guests_of_the_model_that_no_xen_runs() -> None:
    assert not load("ppc64", "4.20").hypercalls["event_channel_op"].callers
    calls = load_for_model("ppc64", "4.20").hypercalls
    assert calls["event_channel_op"].callers == ("ppc",)
    assert load_for_model("arm64", "4.17") is load("arm64", "4.17")


def test_rules_of_a_release(small: Description) -> None:
    errors = small.abi("little64", "4.20").hypercalls["event_op"].commands["EVENT_status"].errors
    assert errors[-1].errno == "EPERM"
    assert errors[-1].when is None and errors[-1].text == "the policy forbids it"


def test_groups_of_one_name_in_two_files(tmp_path: Path) -> None:
    """Each header has its own definition, even if both stand at the same place of their files."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    text = "header: {0}.h\nconstants: [{{name: g, values: {{BOTH: {{value: 1, {1}}}}}}}]\n"
    (tmp_path / "abi" / "a.yaml").write_text(text.format("a", "requires: HAVE_MASK"))
    (tmp_path / "abi" / "b.yaml").write_text(text.format("b", "unless: HAVE_MASK"))
    description = Description(tmp_path / "abi", tmp_path / "arch")
    for arch, path in (("little64", "a.h"), ("big64", "b.h")):
        abi = description.abi(arch, "4.17")
        assert abi.constants["BOTH"].header == path
        found = [header.path for header in abi.headers() for group in header.groups
                 if any(item.name == "BOTH" for item in group.constants)]  # fmt: skip
        assert found == [path]


def test_unknown_names(small: Description) -> None:
    with pytest.raises(InputError, match="unknown architecture 'little46'; did you mean"):
        small.abi("little46", "4.17")
    with pytest.raises(InputError, match=r"'4\.18' of big64 is not described; there are: 4\.14, "):
        small.abi("big64", "4.18")


def test_unknown_release_of_an_architecture(tmp_path: Path) -> None:
    text = (FOLDER / "arch" / "beta" / "big64.yaml").read_text().replace("4.17", "4.17.0")
    path = tmp_path / "beta" / "big64.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InputError, match=r"big64.yaml:4:20: unknown release '4\.17\.0'; expected"):
        Description(FOLDER / "abi", tmp_path).abi("big64", "4.20")


def test_headers(small: Description) -> None:
    paths = [header.path for header in small.abi("little32", "4.17").headers()]
    assert "arch-alpha/xen-32.h" in paths
    assert "arch-alpha/xen-64.h" not in paths and "arch-beta.h" not in paths


def test_no_description(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown architecture 'x'"):
        Description(tmp_path, tmp_path).abi("x", "4.17")
