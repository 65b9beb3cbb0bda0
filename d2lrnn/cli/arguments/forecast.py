"""The arguments of ``forecast``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_ctx, add_run


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    forecast = commands.add_parser(
        "forecast",
        help="say how a series goes on, with prediction intervals; print CSV",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Forecast a series step after step: each forecast is read to make the next. Print CSV with a row\n"
        "for each step: of each column the forecast and the bounds between which the value will be.",
        epilog="for example:\n"
        "  python -m d2lrnn forecast runs/series --steps 24\n"
        "  python -m d2lrnn forecast runs/series --begin test --picture forecast.png   # with what really came\n"
        "  python -m d2lrnn forecast runs/series --begin zeros --steps 300 --intervals none   # a new series\n"
        "  python -m d2lrnn forecast runs/my --corpus newer.csv --steps 12             # after newer values",
    )
    add_run(forecast)
    forecast.add_argument("--steps", type=int, default=24, metavar="N", help="how many steps (%(default)s)")
    forecast.add_argument(
        "--begin",
        choices=("end", "test", "begin", "zeros"),
        default="end",
        help="go on after: the end of the series, the values before the test, the first values, or zeros (%(default)s)",
    )
    forecast.add_argument(
        "--corpus", type=PathText, metavar="FILE", help="a CSV file with the same columns (the training's)"
    )
    forecast.add_argument(
        "--intervals",
        choices=("residuals", "dropout", "none"),
        default="residuals",
        help="bounds by errors of the validation, by sampled masks of the dropout, or none (%(default)s)",
    )
    for name, kind, metavar, about in (
        ("--level", float, "X", "share of the values that is to be within (0.9)"),
        ("--paths", int, "N", "ways to go on that are drawn (500)"),
        ("--seed", int, "N", "of what is drawn (0)"),
    ):
        forecast.add_argument(name, type=kind, default=argparse.SUPPRESS, metavar=metavar, help=about)
    forecast.add_argument("--picture", type=PathText, metavar="FILE", help="draw it too: .png, .svg or .pdf")
    add_ctx(forecast)
