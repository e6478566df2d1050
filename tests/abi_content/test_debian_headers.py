"""The description against Xen's own headers, as Debian 12 installs them (libxen-dev, 4.17)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import xenport.abi

HEADERS = Path("/usr/include/xen")
RELEASE = "4.17"


def check(*arguments: str, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "xenport", "abi", "check", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("arch", ["x86_64", "x86_32", "arm64", "arm32"])
def test_everything_is_described_and_nothing_differs(arch: str) -> None:
    found = check("--arch", arch, "--headers", str(HEADERS), "--release", RELEASE)
    abi = xenport.abi.load(arch=arch, release=RELEASE)
    assert found["differences"] == []
    assert set(found["broken"]) <= {"dom0_ops.h"}  # says itself that it is for old interfaces only
    assert found["compared"]["structures"] == len(abi.structures) > 500
    assert found["compared"]["members"] > 2500
    seen = [
        name
        for name, constant in abi.constants.items()
        if not abi.is_unseen(name) and constant.header not in found["broken"]
    ]
    assert found["compared"]["constants"] == len(seen) > 2000


def test_another_release_differs() -> None:
    found = check(
        "--arch", "arm64", "--headers", str(HEADERS), "--release", "4.20", status=1
    )  # fmt: skip
    texts = [one["text"] for one in found["differences"]]
    assert "XEN_DOMCTL_INTERFACE_VERSION is 0x15 in C, 0x17 in the description" in texts
    assert "xen_domctl_createdomain.altp2m_opts is not in C" in texts
