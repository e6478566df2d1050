"""Port files: what comes with xenport is sound, and a mistake is told with its place."""

import re
from pathlib import Path

import pytest
from fake_machine import PORT

from xenport import port as ports
from xenport.errors import InputError

RELEASES = ("4.14", "4.17", "4.20")  # of Debian 11, 12 and 13


def test_all_ports_load() -> None:
    assert {
        "model-arm32",
        "model-arm64",
        "model-ppc64",
        "model-x86_32",
        "model-x86_64",
        *(f"xen-{release}-{cpu}" for release in RELEASES for cpu in ("amd64", "arm64")),
        "xen-4.14-armhf",
        "xen-4.17-armhf",
    } <= set(ports.names())
    for name in ports.names():
        port = ports.load(name)
        assert port.name == name
        for environment in port.environments.values():
            assert environment.guest in environment.words
            assert port.is_bare or {"dom0", "domu"} & environment.words


def test_a_model_has_the_environments_of_its_real_ports() -> None:
    """So that a test that passes on one can be looked for on the other. Not all variants."""
    real = {
        port.architecture: port for port in map(ports.load, ports.names()) if port.kind == "qemu"
    }
    for model in (port for port in map(ports.load, ports.names()) if port.kind == "model"):
        if model.architecture in real:
            own = real[model.architecture].environments.items()
            assert list(model.environments) == [
                name for name, found in own if not found.like or name in model.environments
            ]


def test_by_file(port_file: Path) -> None:
    assert ports.load(port_file).name == "fake"
    assert ports.load(str(port_file)).name == "fake"
    assert ports.load(port_file).path == port_file


def test_unknown_port() -> None:
    with pytest.raises(InputError, match="did you mean 'xen-4\\.17-amd64'"):
        ports.load("xen-4.17-amd46")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        ports.load(tmp_path / "no.yaml")


def test_a_peer_is_told_to_the_domain_under_test() -> None:
    environments = ports.load("ppc64-powernv").environments
    assert environments["domU"].command_line("tests=1") == "tests=1 peer=2"
    assert "peer" in environments["domU"].words
    alone = ports.load("model-arm64").environments["dom0"]
    assert alone.command_line("tests=1") == "tests=1"
    assert "peer" not in alone.words


def test_words_for_the_kernel() -> None:
    environment = ports.load("xen-4.17-amd64").environments["hvm32pse-domU"]
    assert environment.command_line("tests=1") == "tests=1 peer=0 paging=pse"


def test_unknown_environment(port_file: Path) -> None:
    with pytest.raises(InputError, match="no environment 'domo'; did you mean 'dom0'"):
        ports.load(port_file).environment("domo")


@pytest.mark.parametrize("name", ["xen-4.14-amd64", "xen-4.20-arm64"])
def test_a_port_like_another(name: str) -> None:
    port = ports.load(name)
    assert port.like is not None
    other = ports.load(port.like)
    for key in {"kind", "architecture", "console", "hypervisor_args", "ends"}:
        assert getattr(port, key) == getattr(other, key)
    for environment, there in other.environments.items():  # but for what its own Xen lacks
        words = {"provides": [word for word in there.provides if not word.startswith("no-")]}
        here = port.environments[environment]
        missing = {f"no-{feature}" for feature in (*port.lacks, *here.lacks)}
        assert set(here.provides) == {*words["provides"], *missing}
        assert here.model_copy(update=words) == there.model_copy(update=words)
    for key in {"name", "doc", "release", "hypervisor"}:
        assert getattr(port, key) != getattr(other, key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("like: xen-4.17-amd64\n", "port.yaml:1:1: the key 'name' is missing"),
        ("name: x\nlike: xen-4.17-amd46\n", "port.yaml:2:7: .*did you mean 'xen-4.17-amd64'"),
        ("name: x\nlike: 7\n", "port.yaml:2:7: no such port"),
        ("name: x\nlike: [a]\n", "port.yaml:2:7: no such port"),
        ("name: x\nlike: xen-4.20-amd64\n", "port.yaml:2:7: .*itself like another"),
        ("name: x\nlike: xen-4.17-amd64\nrelease: '4.99'\n", "port.yaml:3:10: .*release 4.99"),
        ("name: x\nlike: xen-4.17-amd64\narchitecture: arm64\n", "no such guest"),
    ],
)
def test_mistakes_of_a_port_like_another(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "port.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        ports.load(path)


def test_another_release(port_file: Path) -> None:
    port = ports.load(port_file, "4.20")
    assert (port.release, port.name, port.path) == ("4.20", "fake", port_file)
    assert ports.load(port_file).release == "4.17"
    with pytest.raises(InputError, match=r"not described for release 4\.99"):
        ports.load(port_file, "4.99")


def test_known_failures(port_file: Path) -> None:
    text = port_file.read_text()
    text += "known_failures: [{test: t, environments: [dom0], reason: r}, {test: u, reason: s}]\n"
    port_file.write_text(text)
    port = ports.load(port_file)
    assert port.known_failure("dom0", "t") == "r"
    assert port.known_failure("other", "t") is None
    assert port.known_failure("other", "u") == "s"


# What is replaced in the port file, by what, and the message with the place of the mistake.
MISTAKES = {
    "kind": ("kind: qemu", "kind: bochs", r":2:7: .*model, hosted, qemu or bare"),
    "same as nobody": ("doc: A port", "same_as: model-arm46\ndoc: A port", r":3:10: .*model-arm64"),
    "key": ("doc: A port", "dock: A port", r":3:1: unknown key 'dock'.*doc"),
    "architecture": ("x86_64", "x86-64", r":4:15: unknown architecture 'x86-64'.*x86_64"),
    "release": ('"4.17"', '"4.99"', r":5:10: x86_64 is not described for release 4.99"),
    "release is no text": ('"4.17"', "4.17", r":5:10: .*quotes"),
    "image": ("{file: xen}", "{}", r":6:13: expected one of: debian, file"),
    "no image": ("hypervisor: {file: xen}\n", "", r"the key 'hypervisor' is missing"),
    "pattern": ("Dom0 halted", "Dom(0", r":10:\d+: not a regular expression"),
    "end": (', hypervisor: "Dom0 halted"', "", r":10:5: expected at least one of: hypervisor"),
    "end's kind": (
        "kind: poweroff",
        "kind: sleep",
        r":10:\d+: expected poweroff, reboot, crash, watchdog or soft_reset",
    ),
    "guest": ("guest: pv", "guest: arm", r":14:\d+: x86_64 has no such guest.*hvm"),
    "machine": ("machine: pc", "machine: cp", r":14:\d+: x86_64 has no machine 'cp'.*pc"),
    "no machine": ("machine: pc, ", "", r":14:9: the key 'machine' is missing"),
    "no environments": (PORT[PORT.index("  dom0:") :], "  {}\n", "at least one environment"),
    "name": ("name: fake", "name: a/b", r":1:7: .*pattern"),
    "model": ("kind: qemu", "kind: model", r":6:1: a model has no hypervisor image"),
    "the model's": ("guest: pv", "guest: pv, model: {vcpus: 1}", r":14:\d+: this is no model"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(port_file: Path, old: str, new: str, message: str) -> None:
    assert old in PORT
    port_file.write_text(PORT.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        ports.load(port_file)
    text = str(caught.value)
    assert text.startswith(str(port_file))
    assert re.search(message, text), text
    assert "\n" not in text


VARIANT = """\
  variant:
    like: dom0
    doc: dom0, and some more
    provides: [dom0, more]
    machine_args: [-m, 2G]
"""


def test_variants_of_an_environment(port_file: Path) -> None:
    port_file.write_text(PORT + VARIANT)
    port = ports.load(port_file)
    base, variant = port.environment("dom0"), port.environment("variant")
    assert (variant.guest, variant.ends) == (base.guest, base.ends)
    assert variant.words == {"pv", "dom0", "more"}
    assert port.machine(variant).args == [*port.machine(base).args, "-m", "2G"]


def test_variants_of_a_variant(port_file: Path) -> None:
    second = "  second: {like: variant, doc: more, machine: q35}\n"
    port_file.write_text(PORT + VARIANT + second)
    found = ports.load(port_file).environment("second")
    assert (found.machine, found.machine_args, found.guest) == ("q35", ["-m", "2G"], "pv")


def test_environments_beside_those_of_another_port() -> None:
    base, port = ports.load("xen-4.17-amd64"), ports.load("xen-4.14-amd64")
    added = set(port.environments) - set(base.environments)
    assert added == {"pv64-dom0-null", "pv64-dom0-rtds"}
    for name in added:
        assert port.environments[name].tests == base.environments["pv64-dom0-credit2"].tests


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("like: dom0", "like: domo", "16:11: no environment 'domo' above.*did you mean 'dom0'"),
        ("like: dom0", "like: variant", "16:11: no environment 'variant' above"),
        ("    like: dom0\n", "", "16:5: the key 'guest' is missing"),
        ("machine_args: [-m, 2G]", "architecture: arm64", "arm64 has no such guest"),
        ("machine_args: [-m, 2G]", "architecture: arm46", "unknown architecture 'arm46'.*arm64"),
    ],
)
def test_mistakes_of_variants(port_file: Path, old: str, new: str, message: str) -> None:
    assert old in VARIANT
    port_file.write_text(PORT + VARIANT.replace(old, new))
    with pytest.raises(InputError, match=message):
        ports.load(port_file)


def test_architecture_of_a_domain() -> None:
    port = ports.load("xen-4.17-arm64")
    archs = {name: port.guest_arch(found).name for name, found in port.environments.items()}
    assert archs["domU"] == archs["dom0"] == "arm64"
    assert archs["domU32"] == "arm32"


def test_known_failure_elsewhere(port_file: Path) -> None:
    port_file.write_text(PORT + "known_failures: [{test: t, environments: [domu], reason: r}]\n")
    with pytest.raises(InputError, match="15:43: no environment 'domu'"):
        ports.load(port_file)
