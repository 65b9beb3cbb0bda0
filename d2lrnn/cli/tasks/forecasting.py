"""``train`` for a forecaster: the series, what is forecast, the scale."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.from_arguments import changed, changed_training, given_in
from d2lrnn.cli.shell import argument, command, option
from d2lrnn.cli.tasks.prepared import (
    OF_CLASSIFIERS,
    OF_TRANSLATORS,
    OF_VECTORS,
    Prepared,
    described,
    refuse,
    refuse_changes,
)
from d2lrnn.config.fields import settings_in
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import FORECASTING, NamedConfig
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import read_series
from d2lrnn.data.windows import GeneratedSeries, RecordedSeries, SeriesSource
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.paths import user_path
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.forecaster import ForecasterRun, data_of, origin_of_series
from d2lrnn.runs.log import RunError
from d2lrnn.training.forecasting import Forecasting
from d2lrnn.training.seeds import set_seed

# Arguments that are of texts or of classes, and settings of the model that follow from the series, or would let it read
# the values that it is to forecast.
OF_OTHERS = (
    *("max_tokens", "level", "prefix", "data_dir", "num_lines", "vary_steps", "pred_len", "pred_temperature"),
    *("embed_size", "tie_weights", "word_dropout", "num_outputs", "bidirectional", *OF_CLASSIFIERS, *OF_VECTORS),
    *OF_TRANSLATORS,
)
WHO = "a forecaster"


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Read the series and make the model that the arguments and a named configuration describe."""
    refuse(args, OF_OTHERS, WHO)
    source, origin = _source(args, named)
    given = settings_in(ForecastConfig, vars(args))
    if isinstance(source, GeneratedSeries) and given.get("logarithm"):
        raise D2lrnnError("--logarithm given, but the generated series has values below 0: leave it out")
    defaults = dataclasses.asdict(named.forecast)
    if origin:
        refuse(args, ["noise"], "a series from a file")
        defaults["noise"] = 0.0
    plan, config = ForecastConfig(**{**defaults, **given}), changed_training(named.training, args)
    if isinstance(source, GeneratedSeries):
        source = GeneratedSeries(plan.noise)
    scaling = _scaling(source, plan, config.num_steps)
    count = len(source.columns)
    answers = {"head": "steps", "input_size": count, "num_outputs": count * plan.horizon}
    model_config = changed(named.model, {**given_in(args, ModelConfig), **answers})
    set_seed(config.seed)
    task = Forecasting(build_model(model_config, None, as_ctx(args.ctx)), source, scaling, config, plan)
    data = data_of(source.columns, args.time_column, plan, scaling)
    about = Checkpoint(model_config, {}, config, source.name, origin=origin, task=FORECASTING, data=data)
    return _prepared(task, about, args.imports)


def _source(args: argparse.Namespace, named: NamedConfig) -> tuple[SeriesSource, dict[str, Any]]:
    """Return the series that the arguments name, and how a checkpoint finds it again; {}: it is generated."""
    if args.corpus is None or args.corpus == named.corpus:
        otherwise = ", or name a file, --corpus FILE.csv"
        refuse(args, ["column", "time_column", "held_out"], "the generated series", otherwise)
        return GeneratedSeries(), {}
    held_out = named.held_out if args.held_out is None else args.held_out
    series = read_series(user_path(args.corpus), args.column or (), args.time_column)
    return RecordedSeries(series, held_out), origin_of_series(series, args.corpus, held_out)


def _scaling(source: SeriesSource, plan: ForecastConfig, num_steps: int) -> Scaling:
    """Return the scaling of the training; first refuse a series that has none."""
    if isinstance(source, RecordedSeries):
        count = len(source.columns)
        plain = Scaling((0.0,) * count, (1.0,) * count, plan.logarithm, plan.difference)
        source.check(num_steps, plan.horizon, plain)
    values = source.training_values(int(plan.difference) + num_steps + plan.horizon)
    return Scaling.fit(values, source.columns, plan.logarithm, plan.difference)


def go_on(args: argparse.Namespace, checkpoint: Checkpoint) -> Prepared:
    """Read the series and the model of a run."""
    refuse(args, OF_OTHERS, WHO)
    refuse_changes(args, ("column", "time_column", "held_out", *vars(ForecastConfig())))
    run = ForecasterRun(args.resume, checkpoint, args.ctx)
    source = run.source(args.corpus)
    if args.corpus is not None:
        if not isinstance(source, RecordedSeries) or not checkpoint.origin:
            raise RunError("--corpus given, but the run's series is generated: leave it out")
        run.check_digest(source.series)
    config = changed_training(checkpoint.train_config, args)
    if config.num_steps != checkpoint.train_config.num_steps:
        raise RunError("--num-steps cannot be changed where a forecaster goes on: its windows have that length")
    task = Forecasting(run.model, source, run.scaling, config, run.plan)
    return _prepared(task, run.checkpoint, args.imports)


def _prepared(task: Forecasting, about: Checkpoint, imports: Sequence[str]) -> Prepared:
    source, plan = task.source, task.plan
    if isinstance(source, RecordedSeries):
        length, held = len(source.series.values), len(source.series.values) - len(source.training_values(0))
        size = f"{length - held:,} rows for training, {held // 2:,} each for validation and test"
    else:
        size = f"noise {source.noise:g}, {source.windows_per_epoch:,} new windows an epoch"
    how = [name for name in ("logarithm", "difference") if getattr(plan, name)]
    learnt = f"{' and '.join(how)} of " if how else ""
    line = f"{source.name}: {learnt}{', '.join(source.columns)}; {size}; {plan.horizon} ahead"

    def next_command(folder: Path) -> str:
        line = command("forecast", argument(folder), *option("--steps", "24"), imports=imports)
        return f"let it forecast:  {line}"

    return Prepared(task, about, [line, described(about, task.model)], next_command)
