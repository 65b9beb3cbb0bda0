# %% [markdown]
# # Forecasting
#
# (beyond the book; Géron 2017, *Hands-On Machine Learning with Scikit-Learn and TensorFlow*, chapter 14; d2l 1.0,
# section 9.1; Hyndman and Koehler 2006 on errors of forecasts)
#
# A series is numbers over time: prices, temperatures, the load of a network. A forecaster reads the last values and
# answers with the next ones. A language model does the same with tokens, but numbers have a unit and a noise, and the
# last value is often a good forecast by itself. This lesson cuts a series into windows, writes two output layers that
# are equal, trains a network, and asks whether it is better than three forecasts that need no network. Then it goes
# further ahead than one step, says how sure a forecast is, and lets the network make up a series of its own.

# %%
from dataclasses import replace

import common
import numpy
from mxnet import np

import d2lrnn
from d2lrnn.evaluation import best_season, naive_scale
from d2lrnn.generation import next_values
from d2lrnn.plotting import COLOURS, draw_curves, new_figure

lesson = common.begin(
    corpus=None,
    model=d2lrnn.ModelConfig(num_hiddens=100, init_scale=0.1, head="steps", num_outputs=1, input_size=1),
    training=d2lrnn.TrainConfig(
        num_epochs=60,
        batch_size=50,
        num_steps=20,
        batches="random",
        optimizer="adam",
        lr=0.01,
        lr_schedule="one-cycle",
        theta=1.0,
        pred_period=20,
        seed=1,
    ),
    fixed=["use_random_iter", "pred_len", "num_projections"],
    quick={"num_hiddens": 32, "batch_size": 20, "num_steps": 20, "num_epochs": 8, "lr": 0.02, "pred_period": 4},
)

# %% [markdown]
# ## The series
#
# The series is that of the book,
#
# $$x(t) = \frac{t \sin t}{3} + 2 \sin 5t,$$
#
# a value for every 0.1 of $t$ from 0 to 30. To each value we add noise from $N(0, 0.5^2)$, as measured series have
# some. Without noise a network could win nothing: each value would be the same linear function of the six values before
# it.

# %%
num_steps, ctx, noise = lesson.training.num_steps, lesson.ctx, 0.5
t = 0.1 * numpy.arange(301)
curve = t * numpy.sin(t) / 3 + 2 * numpy.sin(5 * t)
values = curve + numpy.random.normal(0, noise, len(t))
gap = abs(curve - d2lrnn.generated_series(t)).max()
print(f"{len(values)} values; this is d2lrnn.generated_series: difference {gap:g}")
linear = numpy.stack([curve[i : i + 6] for i in range(len(curve) - 6)])
weights, *_ = numpy.linalg.lstsq(linear, curve[6:], rcond=None)
largest = abs(linear @ weights - curve[6:]).max()
print(f"without noise, six values forecast the next with an error of at most {largest:.0e}")
figure, (panel,) = new_figure("The series, and a window of it", size=(8, 3.6))
panel.plot(t, curve, color=COLOURS[0], label="without noise")
panel.plot(t, values, ".", color=COLOURS[5], markersize=3, label="with noise")
panel.plot(t[122 : 122 + num_steps], values[122 : 122 + num_steps], ".", color=COLOURS[1], label="a window")
panel.set_xlabel("t")
panel.set_ylabel("value")
panel.legend(loc="upper left", frameon=False)
common.save_figure(figure, lesson.picture("forecasting_series"))

# %% [markdown]
# ## Windows
#
# A window of $n$ values is what the network reads. The label is the window moved on by one. So each step has a label of
# its own, and the network learns $n$ forecasts from a window, the first of them from a single value:
#
# $$\mathbf{X} = (x_i, \ldots, x_{i+n-1}), \qquad \mathbf{Y} = (x_{i+1}, \ldots, x_{i+n}).$$
#
# To forecast the next $k$ values at once, each step gets $k$ labels: the window moved on by $1, 2, \ldots, k$.


# %%
def cut(values, starts, num_steps, horizon=1):
    """Return inputs (count, num_steps, 1) and labels (count, num_steps, horizon) of the windows from these starts."""
    X = numpy.stack([values[i : i + num_steps] for i in starts])
    Y = numpy.stack([[values[i + k : i + k + num_steps] for k in range(1, horizon + 1)] for i in starts])
    return X[:, :, None], Y.transpose(0, 2, 1)


for horizon in (1, 2):
    X, Y = cut(numpy.arange(1, 7), [0], 4, horizon)
    print(f"of 1 2 3 4 5 6 the network reads {X[0, :, 0]}, {horizon} ahead the labels are {Y[0].tolist()}")
starts = numpy.arange(len(values) - num_steps - 2)
windows = numpy.stack([values[i : i + num_steps + 2] for i in starts])[:, :, None]
pairs = zip(cut(values, starts, num_steps, 2), d2lrnn.inputs_and_targets(windows, num_steps))
gaps = [abs(by_hand - found).max() for by_hand, found in pairs]
print(f"this is d2lrnn.inputs_and_targets: difference {max(gaps):g}")

# %% [markdown]
# The windows of a minibatch come from random places, or in order. In order, neighbours in a minibatch are nearly the
# same window, so the gradient of a minibatch tells of one place alone. From random places it tells of the whole series.
# In both cases each window begins with a state of zeros, for no window goes on where another has ended.

# %%
print(f"in order:  windows from {' '.join(f'{i:3}' for i in starts[:8])} ...")
print(f"at random: windows from {' '.join(f'{i:3}' for i in numpy.random.permutation(starts)[:8])} ...")

# %% [markdown]
# ## A scale that knows nothing of what comes later
#
# A network learns best from numbers around 0 of size 1. So each value is reduced by the mean $\mu$ and divided by the
# deviation $\sigma$. Both are those of the training part. The last values are set apart for the test, as a real
# forecaster does not have them. The mean of the whole series would tell the training about them: this is called
# look-ahead.
#
# $$z_t = \frac{x_t - \mu}{\sigma}.$$

# %%
recorded = d2lrnn.RecordedSeries(d2lrnn.Series("wave", ("value",), values[:, None]), held_out=0.2)
past = recorded.training_values(num_steps)  # without the last two fifths, which are for validation and test
scaling = d2lrnn.Scaling.fit(past, recorded.columns)
print(f"{len(past)} values for training: mean {past.mean():.3f}, deviation {past.std():.3f}", end="; ")
gap = max(abs(past.mean() - scaling.mean[0]), abs(past.std() - scaling.std[0]))
print(f"this is d2lrnn.Scaling: difference {gap:g}")
later = numpy.where(numpy.arange(len(values)) < len(past), values, 10 * values)[:, None]
other = d2lrnn.RecordedSeries(d2lrnn.Series("wave", ("value",), later), held_out=0.2)
deviation = other.training_values(num_steps).std()
print(f"if all later values were ten times as large: deviation of the training {deviation:.3f}", end=", ")
print(f"of the whole series {later.std():.3f} in place of {values.std():.3f}")

# %% [markdown]
# ## Two output layers
#
# The recurrent layer gives as many numbers as it has hidden units at each step, and one is wanted. The book has two
# ways, and both use one matrix for all steps. The first applies a dense layer at each step, as TensorFlow's
# `OutputProjectionWrapper` does:
#
# $$\hat{\mathbf{Y}}_t = \mathbf{H}_t \mathbf{W}_{hq} + \mathbf{b}_q, \qquad t = 1, \ldots, n.$$
#
# The second puts the states of all steps below one another, multiplies once, and puts the steps back. Reshape, dense
# layer, reshape:
#
# $$(B, n, h) \rightarrow (B n, h) \rightarrow (B n, q) \rightarrow (B, n, q).$$

# %%
batch_size, num_hiddens = lesson.training.batch_size, lesson.model.num_hiddens
H = np.random.normal(size=(batch_size, num_steps, num_hiddens), ctx=ctx)
W_hq, b_q = np.random.normal(size=(num_hiddens, 1), ctx=ctx), np.random.normal(size=1, ctx=ctx)
at_each_step = np.stack([np.dot(H[:, step], W_hq) + b_q for step in range(num_steps)], axis=1)
below_one_another = H.reshape(batch_size * num_steps, num_hiddens)
over_all_steps = (np.dot(below_one_another, W_hq) + b_q).reshape(batch_size, num_steps, 1)
print(f"{num_steps} products of {H[:, 0].shape} and {W_hq.shape}, or one of {below_one_another.shape} and {W_hq.shape}")
gap = common.difference(at_each_step, over_all_steps)
print(f"outputs {at_each_step.shape} and {over_all_steps.shape}: difference {gap:.1g}")
steps = [H[:, step] for step in range(num_steps)]
for name, found, expected in (
    ("dense_at_each_step", d2lrnn.dense_at_each_step(steps, W_hq, b_q), at_each_step),
    ("dense_over_all_steps", d2lrnn.dense_over_all_steps(H, W_hq, b_q), over_all_steps),
):
    print(f"this is d2lrnn.{name}: difference {common.difference(found, expected):g}")

# %% [markdown]
# The results are the same, up to rounding. One large product is faster than many small ones: the page on forecasting
# has the times. The module's model on Gluon uses the second way, the one from scratch the first.
#
# ## Training
#
# The windows now come from anywhere on the curve, not from the grid of the 301 values alone, and with new noise each
# time; validation and test have places and noise of their own. The loss is the mean squared error of all steps of all
# windows of a minibatch, with $N = B n$ labels in all:
#
# $$L = \frac{1}{N} \sum_{i=1}^{B} \sum_{t=1}^{n} (\hat{y}_{it} - y_{it})^2.$$
#
# The run is judged by the error of the last step alone, which has read the whole window. Both are of scaled values. The
# loop is the one that trains language models.

# %%
source = d2lrnn.GeneratedSeries(noise, windows_per_epoch=1000 if lesson.quick else 5000)
scaling = d2lrnn.Scaling.fit(source.training_values(num_steps + 1), source.columns)
plan = d2lrnn.ForecastConfig(noise=noise)
d2lrnn.set_seed(lesson.training.seed)
model = d2lrnn.build_model(lesson.model, None, ctx)
task = d2lrnn.Forecasting(model, source, scaling, lesson.training, plan)
X, Y = next(task.batches())
outputs, _ = model(X, model.begin_state(batch_size))
loss = ((outputs - Y) ** 2).mean()
outcome = task.objective.loss(model, (X, Y), None)
print(f"X {X.shape}, Y {Y.shape}, outputs {outputs.shape}; loss before training {float(loss):.4f}", end="; ")
print(f"this is d2lrnn.NextValues: difference {common.difference(loss, outcome.loss):g}")
history = common.checked(task.train())
floor = (noise / scaling.std[0]) ** 2
print(f"error in validation {history.valid[-1]:.4f}; the noise alone makes {floor:.4f}")
figure, (panel,) = new_figure("Error of the next value", size=(6.5, 4))
curves = {"training": history.trained, "validation": history.valid, "the noise alone": [floor] * len(history.valid)}
draw_curves(panel, curves, ("epoch", "mean squared error, scaled"), log=True)
common.save_figure(figure, lesson.picture("forecasting_training"))

# %% [markdown]
# ## Is it better than no network?
#
# Three forecasts need no network, and a line each. The naive forecast says the last value again. The seasonal naive one
# says the value of a season $s$ ago. The linear autoregression weighs the last $p$ values; least squares on the windows
# of the training finds the weights $w_j$, and validation chooses $p$:
#
# $$\hat{x}_{t+1} = x_t, \qquad \hat{x}_{t+1} = x_{t+1-s}, \qquad
# \hat{x}_{t+1} = w_0 + \sum_{j=1}^{p} w_j x_{t+1-j}.$$

# %%
train, valid, test = (task.windows(split) for split in ("train", "valid", "test"))
season = best_season(train.X, train.Y)
autoregression = d2lrnn.LinearAutoregression.best(train.X, train.Y, (valid.X, valid.Y))
order = autoregression.order


def with_constant(X):
    """Return 1 and the last values of each window, (count, 1 + order)."""
    return numpy.concatenate([numpy.ones((len(X), 1)), X[:, -order:, 0]], axis=1)


weights, *_ = numpy.linalg.lstsq(with_constant(train.X), train.Y[:, 0], rcond=None)
forecasts = {
    "network": scaling.undo(next_values(model, test.scaled[:, :num_steps]), test.X[:, -1]),
    "naive": test.X[:, -1:],
    f"seasonal naive, {season} steps": test.X[:, num_steps - season][:, None],
    f"linear autoregression, order {order}": (with_constant(test.X) @ weights)[:, None],
}
of_the_module = {
    "naive": d2lrnn.naive(test.X),
    "seasonal_naive": d2lrnn.seasonal_naive(test.X, season),
    "LinearAutoregression": autoregression.forecast(test.X),
}
print(f"{len(test.X):,} windows {test.X.shape[1:]} of the test, what came {test.Y.shape[1:]}")
for by_hand, (name, found) in zip(list(forecasts.values())[1:], of_the_module.items()):
    print(f"this is d2lrnn.{name}: difference {abs(by_hand - found).max():.1g}")

# %% [markdown]
# How far are the forecasts from what came? MAE is the mean absolute error and RMSE the root of the mean squared error,
# both in the unit of the series. MASE is the MAE in units of what the naive forecast makes on the series of the
# training. Below 1, a forecast is better than the last value, whatever the unit:
#
# $$\mathrm{MAE} = \frac{1}{N} \sum_i |\hat{y}_i - y_i|, \qquad
# \mathrm{RMSE} = \sqrt{\frac{1}{N} \sum_i (\hat{y}_i - y_i)^2}, \qquad
# \mathrm{MASE} = \frac{\mathrm{MAE}}{\frac{1}{M} \sum_t |x_{t+1} - x_t|}.$$

# %%
series = source.training_values(num_steps + 1)[:, :, 0]  # (count, num_steps + 1)
scale = abs(numpy.diff(series, axis=1)).mean()
gaps = []
print(f"{'':34}{'MAE':>8}{'RMSE':>8}{'MASE':>8}")
for name, found in forecasts.items():
    errors = found - test.Y
    scores = abs(errors).mean(), (errors**2).mean() ** 0.5, abs(errors).mean() / scale
    gaps += [abs(a - b) for a, b in zip(scores, d2lrnn.scores_of(found, test.Y, naive_scale(series)))]
    print(f"{name:34}" + "".join(f"{score:8.4f}" for score in scores))
print(f"this is d2lrnn.scores_of: difference {max(gaps):.1g}")

# %% [markdown]
# No forecast can have a smaller RMSE than the noise, 0.5, but by chance. The autoregression weighs the values alike
# wherever the window lies. The network can tell the place from the window, since all windows come from one curve, and
# learns the curve itself. After a full training it is ahead of all three. With `--quick` it has seen far fewer windows:
# it beats the two naive forecasts, and the autoregression is ahead. An error that falls in training does not say which
# of the two is the case; the table does.
#
# ## Further ahead
#
# Two ways lead further than one step. A *rollout* takes each forecast as true, reads it, and makes the next one. What
# was wrong in the first forecast is then read as if it were right. A network with ten outputs forecasts ten values *at
# once*, and reads nothing but what was measured.


# %%
def roll_out(windows, count):
    """Return the next values of scaled windows (number, num_steps, 1), each read to forecast the one after it."""
    for _ in range(count):
        X = np.array(windows[:, -num_steps:], dtype="float32", ctx=ctx)
        outputs, _ = model(X, model.begin_state(len(X)))
        windows = numpy.concatenate([windows, outputs[:, -1:].asnumpy()], axis=1)
    return windows[:, -count:]


ten = replace(plan, horizon=10)
d2lrnn.set_seed(lesson.training.seed)
model_of_ten = d2lrnn.build_model(replace(lesson.model, num_outputs=10), None, ctx)
task_of_ten = d2lrnn.Forecasting(model_of_ten, source, scaling, replace(lesson.training, verbose=False), ten)
common.checked(task_of_ten.train())
train, test = task_of_ten.windows("train"), task_of_ten.windows("test")
scaled = test.scaled[:, :num_steps]
gap = abs(roll_out(scaled[:1], 10)[0] - d2lrnn.rollout(model, scaled[0], 10)).max()
print(f"this is d2lrnn.rollout: difference {gap:g}")
ahead = {
    "network, rollout": scaling.undo(roll_out(scaled, 10), test.X[:, -1]),
    "network, at once": task_of_ten.forecasts(model_of_ten, test),
    "naive": d2lrnn.naive(test.X, 10),
    "linear autoregression": d2lrnn.LinearAutoregression.fit(train.X, train.Y).forecast(test.X),
}
rmse = {name: (((found - test.Y) ** 2).mean(axis=(0, 2))) ** 0.5 for name, found in ahead.items()}
print(f"RMSE, steps ahead      {''.join(f'{k:7}' for k in (1, 2, 5, 10))}")
for name, by_step in rmse.items():
    print(f"{name:23}{''.join(f'{by_step[k - 1]:7.3f}' for k in (1, 2, 5, 10))}")
figure, (panel,) = new_figure("Errors of forecasts further ahead", size=(6.5, 4.2))
draw_curves(panel, rmse, ("steps ahead", "RMSE"))
common.save_figure(figure, lesson.picture("forecasting_ahead"))

# %% [markdown]
# The last value soon says nothing. With `--quick` the rollout soon becomes much worse, since it reads its own mistakes,
# and the network that forecasts ten values at once is ahead. A network that has learnt the curve has smaller mistakes
# to read. After a full training the two are equal, and further ahead of the autoregression at the tenth step than at
# the first.
#
# ## How sure is a forecast?
#
# A forecast without a bound is half of an answer. The errors that the network makes in validation, the *residuals*,
# tell how far it is usually off. Between their quantiles of 5 % and 95 %, moved to the forecast, 90 % of the values
# are to lie. The test says whether they do.

# %%
residuals = task.residuals(model)  # what came minus what was forecast, scaled, (count, 1, 1)
low, high = numpy.quantile(residuals, (0.05, 0.95))
windows = task.windows("test")
errors = windows.scaled[:, num_steps:] - next_values(model, windows.scaled[:, :num_steps])
inside = ((low <= errors) & (errors <= high)).mean()
print(f"bounds: the forecast {low * scaling.std[0]:+.2f} and {high * scaling.std[0]:+.2f}", end="; ")
print(f"{100 * inside:.1f} % of the values of the test lie between them")

# %% [markdown]
# Several steps ahead the errors add up. `sample_paths` rolls the network out many times, and adds to each forecast a
# residual that it draws at random before the forecast is read. The quantiles of the paths at each step are the bounds.
# What the network has not learnt is in the residuals too, so the bounds of a poor network are wide.

# %%
before, truth = source.cut("test", num_steps, 30)
window = scaling.apply(before)
paths = scaling.undo(d2lrnn.sample_paths(model, window, 30, 300, residuals, seed=1), before[-1])
low, high = numpy.quantile(paths, (0.05, 0.95), axis=0)
forecast = scaling.undo(d2lrnn.rollout(model, window, 30), before[-1])
print(
    f"{len(paths)} paths {paths.shape[1:]}; width of the bounds 1 step ahead {(high[0] - low[0]).item():.2f}", end=", "
)
print(f"30 steps ahead {(high[-1] - low[-1]).item():.2f}", end="; ")
print(f"{int(((low <= truth) & (truth <= high)).sum())} of the 30 values lie between them")
path = lesson.picture("forecasting_paths")
d2lrnn.plot_forecast(d2lrnn.ForecastPicture(("value",), before, forecast, low, high, truth, 0.9), path)
common.show_picture(path)

# %% [markdown]
# ## A series of its own
#
# A rollout needs no end. The book lets its network go on from a seed and calls it creative. The first seed is a window
# of zeros, which no window of the training resembles. The second is the beginning of the series.

# %%
seeds = {
    "from zeros": numpy.zeros((num_steps, 1)),
    "from the beginning of the series": source.cut("begin", num_steps, 0)[0],
}
made_up = roll_out(numpy.stack([scaling.apply(seed) for seed in seeds.values()]), 300)
figure, panels = new_figure("What the network makes up", 2, (8, 4.6), stacked=True)
for panel, (name, seed), found in zip(panels, seeds.items(), made_up):
    found = scaling.undo(found, seed[-1])[:, 0]
    panel.plot(numpy.arange(num_steps), seed[:, 0], color=COLOURS[5])
    panel.plot(numpy.arange(num_steps, num_steps + 300), found, color=COLOURS[1])
    panel.set_ylabel(name.replace(" of", "\nof"))
    print(f"{name}: values from {found.min():.1f} to {found.max():.1f}", end="; ")
    print(f"deviation of the first hundred {found[:100].std():.2f}, of the last hundred {found[-100:].std():.2f}")
panels[-1].set_xlabel("step")
common.save_figure(figure, lesson.picture("forecasting_made_up"))

# %% [markdown]
# After a full training the network goes along the curve of the series from both seeds: a fast wave on a slow one, whose
# height grows with time. A few values are enough for it to find a place on the curve. It finds one even for the zeros,
# and goes on from there. The waves do not become higher than those of the training. With `--quick` the network has
# learnt less of the curve, and what it makes up is another series.
#
# ## Summary
#
# * A series is cut into windows. The label of a window is the window moved on by one, so each step has a label.
# * The scale comes from the training part alone. Else the training knows something of what comes later.
# * A dense layer at each step, and one dense layer over all steps between two reshapes, are equal.
# * A forecaster is worth its training if it beats the last value, the value of a season ago and a linear
#   autoregression, on values that it has not seen.
# * A rollout reads its own forecasts; a network with several outputs forecasts several values at once.
# * Residuals of the validation give bounds, and a test says whether the bounds hold.
#
# ## Exercises
#
# `source`, `task`, `model`, `scaling`, `plan`, `cut` and `lesson` are at hand for all of them.
#
# 1. Take the noise away. Which forecast is the best now, and how large is its error?
#
# <details><summary>Solution 1</summary>
#
# Make `d2lrnn.GeneratedSeries(0.0)`, its scaling, and a task as above. The linear autoregression is exact: its RMSE is
# below $10^{-13}$, which is rounding. With `--quick` the network has about 0.1. The values of $t \sin t$ follow a
# linear recurrence of order 4 and those of $\sin 5t$ one of order 2, so their sum follows one of order 6.
#
# </details>
#
# 2. Why is the MASE of the naive forecast on the test not exactly 1?
#
# <details><summary>Solution 2</summary>
#
# Its MAE is that of the windows of the test, and the scale is that of the windows of the training, over all their
# steps. The two samples of the same curve differ a little.
#
# </details>
#
# 3. Train with windows in order: `replace(lesson.training, batches="consecutive")`. Is the error larger?
#
# <details><summary>Solution 3</summary>
#
# Yes. With `--quick` and the seeds 1 to 3 the error in validation is 0.0515, 0.0509 and 0.0509 in order, and 0.0301,
# 0.0316 and 0.0378 at random. The 20 windows of a minibatch in order lie close together.
#
# </details>
#
# 4. With `ForecastConfig(loss="absolute")` the network learns the mean absolute error. What does it then forecast of a
#    noise that is not symmetric?
#
# <details><summary>Solution 4</summary>
#
# The number with the least mean squared error is the mean of what may come, the number with the least mean absolute
# error is its median. Where a few values are very large, the median lies below the mean. The noise here is symmetric,
# so both are the same.
#
# </details>
