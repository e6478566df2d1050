"""Runs of a port give the same verdicts, however often. Takes minutes: ``make slow``."""

import json
from pathlib import Path

import pytest

from test_every_port import WITH_GUESTS, run

RUNS = 5


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_GUESTS)
def test_runs_agree(name: str, tmp_path: Path) -> None:
    verdicts = []
    for number in range(RUNS):
        report = tmp_path / str(number)
        run(name, report, "--slow")
        results = json.loads((report / "results.json").read_text())["results"]
        verdicts.append(
            {
                (result["port"], result["environment"], result["test"]): result["outcome"]
                for result in results
            }
        )
    assert all(other == verdicts[0] for other in verdicts[1:])
