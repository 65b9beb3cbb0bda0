"""The command line: choose the cases, measure them, keep the results."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from speed.cases import Case, all_cases
from speed.environment import ROOT, describe, make_peers, usable_cores, worker_environment
from speed.figures import rows
from speed.quoted import put_into
from speed.report import markdown
from speed.sitting import Options, Sitting, new_result, say
from speed.sittings import path_of, read_sittings, write_json

RESULTS, TRIAL = ROOT / "benchmarks" / "results", ROOT / "runs" / "speed"
PAGE = ROOT / "docs" / "results.md"  # has the figures of RESULTS in its tables


def main() -> None:
    """Measure, or draw the pictures of an earlier sitting again."""
    args = _arguments()
    cases = [case for case in all_cases() if args.only is None or args.only.search(case.key)]
    if args.list:
        print("\n".join(case.key for case in cases))
        return
    if not cases:
        sys.exit(f"no case's name has {args.only.pattern!r} in it: see --list")
    out = args.out or (TRIAL if (args.only or args.quick) and not args.again else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    if args.redraw:
        _write_report(out)
        return
    options = Options(2, 0.2, 2, 2) if args.quick else Options()
    options = Options(args.rounds or options.rounds, options.seconds, options.least_steps, options.warm_up)
    results = measure(cases, options, args.threads, out, args.again)
    _write_report(out)
    if results["stopped"]:
        sys.exit(130)


def _arguments() -> argparse.Namespace:
    description = (
        "Run ours, the book's code, plain Gluon, PyTorch, JAX in turns. Write the times to speed_PROCESSOR.json, and "
        "the sittings of all processors to speed.md and .png."
    )
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", type=_pattern, metavar="GROUP/REGEX", help="only the cases whose name matches")
    parser.add_argument("--rounds", type=_positive, help="rounds of a case (5; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="few steps: to see that it works, not for figures")
    parser.add_argument("--threads", type=_positive, default=usable_cores(), help="of every worker (all usable cores)")
    parser.add_argument("--out", type=Path, help=f"folder (the results; with --only or --quick {TRIAL.name} in runs)")
    parser.add_argument(
        "--again", action="store_true", help="keep the sitting of this processor, and replace only the cases of --only"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument("--redraw", action="store_true", help="write tables and pictures again from the files")
    args = parser.parse_args()
    if args.again and (args.quick or not args.only):
        parser.error("--again needs --only, which names the cases, and no --quick: the sitting is kept for its figures")
    return args


def _pattern(text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, at least 1")
    return int(text)


def measure(cases: list[Case], options: Options, threads: int, out: Path, again: bool) -> dict:
    """Run the cases; Ctrl-C and SIGTERM end the sitting and keep what it found.

    With ``again``, they replace those of the sitting that is kept, whose list ``again`` then says when.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    pythons = {"ours": sys.executable, **make_peers()}
    results: dict = {
        "environment": describe(threads),
        "options": asdict(options),
        "stopped": "",
        "workers": {},
        "cases": {},
    }
    path = path_of(results, out)
    if again and path.exists():
        now, results = results["environment"], json.loads(path.read_text())
        results["again"] = [*results.get("again", []), {**now, "cases": [case.key for case in cases]}]
    sitting = Sitting(pythons, worker_environment(threads), options)
    start = time.perf_counter()
    try:
        said = sitting.hello()
        results["workers"] = results["workers"] or said
        for i, case in enumerate(cases, 1):
            result = results["cases"][case.key] = new_result(case)
            sitting.run(case, result)
            write_json(results, path)
            say(f"{_clock(start)}  {i} of {len(cases)}  {_line(case.key, result)}")
    except KeyboardInterrupt:
        results["stopped"] = f"interrupted after {_clock(start)}"
        say(f"{results['stopped']}; what was found is kept")
    finally:
        sitting.stop()
        write_json(results, path)
    return results


def _clock(start: float) -> str:
    minutes, seconds = divmod(round(time.perf_counter() - start), 60)
    return f"{minutes}:{seconds:02}"


def _line(key: str, result: dict) -> str:
    """Return the results of a case in one line."""
    figures = [f"{row.name.replace('ours: ', '')} {row.median:.4g}" for row in rows(result)]
    others = max((entry.get("others") or 0.0 for entry in result["rounds"]), default=0.0)
    disturbed = f" (others used up to {others:.0%} of the machine)" if others > 0.1 else ""
    return f"{key}, {result['unit']}: {', '.join(figures) or 'nothing'}{disturbed}"


def _write_report(out: Path) -> None:
    """Write tables and pictures of all sittings, and print the page."""
    from speed.picture import draw_bars, draw_scaling  # imported late, so that the driver stays small

    sittings = read_sittings(out)
    page = markdown(sittings)
    (out / "speed.md").write_text(page)
    if out == RESULTS:
        put_into(PAGE, sittings)
    print(f"\n{page}")
    drawn = {"speed.png": draw_bars, "speed_scaling.png": draw_scaling}
    pictures = [name for name, draw in drawn.items() if draw(sittings, out / name)]
    files = [path_of(results, out).name for results in sittings]
    print("\n".join(str(out / name) for name in (*files, "speed.md", *pictures)))
