"""What children get of this process."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from xenport.port.child import with_own_environment

ROUNDS = 2000


@pytest.fixture
def _restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_restless")
def test_others_may_change_the_environment_meanwhile() -> None:
    """As pytest does, for each test, while boots start in other threads."""
    finished = threading.Event()

    def change() -> None:
        while not finished.is_set():
            os.environ["XENPORT_TEST"] = "here"
            del os.environ["XENPORT_TEST"]

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(ROUNDS):
            assert with_own_environment({"MORE": "1"})["MORE"] == "1"
    finally:
        finished.set()
        changing.join()
