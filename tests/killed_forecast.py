"""A forecaster trained once without a halt, and once killed again and again: the driver of a test, no test itself.

``python killed_forecast.py FOLDER SEED KILLS ...``: the rest are settings of ``train``.
"""

import json
import random
import sys
import time
from pathlib import Path

from killed_run import finish, fork, kill_and_resume


def main(out: Path, seed: int, num_kills: int, settings: list[str]) -> None:
    random.seed(seed)
    train = ["train", *settings, "--out"]
    start = time.perf_counter()
    finish(fork([*train, str(out / "whole")]))
    seconds = time.perf_counter() - start
    print(json.dumps(kill_and_resume([*train, str(out / "killed")], out / "killed", num_kills, seconds / 4)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
