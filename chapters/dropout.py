# %% [markdown]
# # Dropout
#
# (d2l-zh v1, section 3.13; d2l 1.0, section 5.6; Srivastava et al. 2014; Zaremba et al. 2014, arXiv 1409.2329; Gal and
# Ghahramani 2016, arXiv 1512.05287; Merity et al. 2017, arXiv 1708.02182)
#
# A network with many parameters learns a small text by heart, and then predicts other text badly. Dropout sets random
# numbers in the network to 0 while it is trained, so that no number can count on another one to be there. It has to
# stop when the model is measured or writes. `DropoutWrapper` of TensorFlow 1 does not stop by itself: it drops whenever
# its graph is run. *Hands-On Machine Learning* (chapter 14) therefore builds two graphs, and drops in the one for
# training alone. This lesson writes dropout by hand, puts it at each place where a recurrent network can have it, and
# measures what a model loses if it drops in evaluation too.

# %%
from dataclasses import replace

import common
import numpy
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn import Dropout, ModelConfig, TrainConfig
from d2lrnn.data import data_iter_consecutive
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    model=ModelConfig(cell="lstm"),
    training=TrainConfig(num_epochs=25, batch_size=20, optimizer="adam", lr=5e-3, theta=1.0),
    fixed=["prefix", "pred_period", "pred_len", "use_random_iter", "held_out"],
    quick={"max_tokens": 4000, "num_epochs": 10, "batch_size": 20, "num_steps": 20, "lr": 0.02},
)

# %% [markdown]
# ## A mask and a division
#
# Dropout multiplies by a mask of zeros and ones. Each number of the mask is 0 with the probability $p$. The numbers
# that are kept are divided by $1 - p$:
#
# $$\mathrm{dropout}(\mathbf{H}) = \frac{\mathbf{M} \odot \mathbf{H}}{1 - p}.$$
#
# The mean of a number is then $p \cdot 0 + (1 - p) \cdot h / (1 - p) = h$, which it was before. So a layer above meets
# numbers of the same size in training and in evaluation, and evaluation needs no factor of its own.


# %%
def dropout(H, p):
    """Set each number to 0 with the probability p, and enlarge the others so that the mean stays."""
    M = np.random.uniform(size=H.shape, ctx=H.ctx) > p
    return M * H / (1 - p)


p, ctx = 0.5, lesson.ctx
H = np.array([[0.5, -1, 2, 4, -3, 6]], ctx=ctx)
print("H                    ", H[0])
for _ in range(3):
    print("dropout(H, 0.5)      ", dropout(H, p)[0])
print("the mean of 100,000  ", dropout(np.repeat(H, 100_000, axis=0), p).mean(axis=0))

# %% [markdown]
# MXNet's dropout is `npx.dropout`. It drops in training only. `autograd.record()` switches training on, and so does
# `autograd.train_mode()`, which records no graph. Two calls cannot share a mask, but after the same seed they draw the
# same one. So the mask can be seen: it is what dropout makes of ones.


# %%
def new_mask(shape, p, axes=()):
    """Draw a mask as npx.dropout does: zeros, and 1 / (1 - p) in place of 1."""
    with autograd.train_mode():
        return npx.dropout(np.ones(shape, ctx=ctx), p=p, axes=axes)


H = np.random.normal(size=(200, 50), ctx=ctx)
d2lrnn.set_seed(1)
M = new_mask(H.shape, p)
d2lrnn.set_seed(1)
with autograd.train_mode():
    dropped = npx.dropout(H, p=p)
print(
    f"the mask: {float((M == 0).mean()):.3f} of it is 0, the rest {float(M.max()):.4f}, its mean {float(M.mean()):.3f}"
)
print(f"M * H is npx.dropout(H): difference {common.difference(M * H, dropped):g}")
print(f"out of training nothing is dropped: difference {common.difference(H, npx.dropout(H, p=p)):g}")

# %% [markdown]
# ## Five places
#
# With an embedding $\mathbf{E}$ and two layers of the simple cell, a language model computes at each time step
#
# $$\begin{aligned}
# \mathbf{X}_t &= \mathbf{M}^{\mathrm{inputs}}_t \odot m^{\mathrm{words}}_{x_t} \mathbf{E}_{x_t}, \\
# \mathbf{H}_t^{(1)} &= \tanh(\mathbf{X}_t \mathbf{W}_{xh}^{(1)} +
# \mathbf{H}_{t-1}^{(1)} (\mathbf{M}^{\mathrm{weights}} \odot \mathbf{W}_{hh}^{(1)}) + \mathbf{b}_h^{(1)}), \\
# \mathbf{H}_t^{(2)} &= \tanh((\mathbf{M}^{\mathrm{hidden}}_t \odot \mathbf{H}_t^{(1)}) \mathbf{W}_{xh}^{(2)} +
# \mathbf{H}_{t-1}^{(2)} \mathbf{W}_{hh}^{(2)} + \mathbf{b}_h^{(2)}), \\
# \mathbf{O}_t &= (\mathbf{M}^{\mathrm{outputs}}_t \odot \mathbf{H}_t^{(2)}) \mathbf{W}_{hq} + \mathbf{b}_q.
# \end{aligned}$$
#
# Each mask is one field of `d2lrnn.Dropout`, and 1 where its rate is 0:
#
# * `inputs` drops numbers of the embedded tokens, and `outputs` numbers of what the output layer reads.
# * `hidden` drops what one layer hands to the layer above. The lesson `deep_rnn.py` shows why Gluon's own option does
#   not.
# * `words` has one number for each token of the vocabulary. A token that is dropped is missing wherever it stands in
#   the batch.
# * `weights` drops weights from the state to itself. In a batch the same weights are missing at all time steps. Every
#   layer has a mask of its own; the formula has that of the first alone.
#
# The model below is computed by hand, with the masks in the places of the formula. Each place comes alone, and after
# the same seed the model draws the mask that is drawn by hand. Gluon's cell has two biases, which are added.


# %%
def by_hand(model, X, masks):
    """Compute the logits of a model of simple layers, with masks by the names of their places."""
    ids = X.T
    outputs = model.embedding(ids) * masks.get("inputs", 1)  # (num_steps, batch_size, embed_size)
    if "words" in masks:
        outputs = outputs * np.take(masks["words"], ids, axis=0)
    for i, layer in enumerate(model.layers):
        W_xh, W_hh = layer.l0_i2h_weight.data().T, layer.l0_h2h_weight.data().T
        b_h = layer.l0_i2h_bias.data() + layer.l0_h2h_bias.data()
        if i == 0:
            inputs, W_hh = outputs, W_hh * masks.get("weights", np.ones(1, ctx=ctx)).T
        else:
            inputs = outputs * masks.get("hidden", 1)
        H, outputs = np.zeros((len(X), len(b_h)), ctx=ctx), []
        for X_t in inputs:
            H = np.tanh(np.dot(X_t, W_xh) + np.dot(H, W_hh) + b_h)
            outputs.append(H)
        outputs = np.stack(outputs)
    return model.dense(outputs * masks.get("outputs", 1)).reshape(-1, model.vocab_size)


X, Y = next(data_iter_consecutive(lesson.corpus.train, 4, 7, ctx))
(batch_size, num_steps), vocab_size = X.shape, lesson.corpus.vocab_size
shapes = {
    "inputs": (num_steps, batch_size, 6),
    "hidden": (num_steps, batch_size, 8),
    "outputs": (num_steps, batch_size, 8),
    "words": (vocab_size, 1),
    "weights": (8, 8),
}
small = ModelConfig(cell="rnn", num_hiddens=8, embed_size=6, init_scale=0.5)
print("place     mask            difference by hand  without the mask  in evaluation")
for place, shape in shapes.items():
    config = replace(small, num_layers=1 if place == "weights" else 2, dropout=Dropout(**{place: p}))
    model = d2lrnn.build_model(config, vocab_size, ctx)
    d2lrnn.set_seed(1)
    with autograd.train_mode():
        logits, _ = model(X, model.begin_state(batch_size))
    d2lrnn.set_seed(1)
    masks, plain = {place: new_mask(shape, p)}, by_hand(model, X, {})
    gaps = [common.difference(logits, by_hand(model, X, masks)), common.difference(logits, plain)]
    evaluated, _ = model(X, model.begin_state(batch_size))
    print(f"{place:8}  {shape!s:14}  {gaps[0]:18.0e}  {gaps[1]:16.2f}  {common.difference(evaluated, plain):13.0e}")

# %% [markdown]
# In training, the model is what was computed by hand with the mask, up to the rounding of float32. Without the mask,
# the numbers are far from it. In evaluation, the model is what was computed without a mask.
#
# ## A new mask for each step, or one for all
#
# The masks above have an axis of time: every step has a new one. Gal and Ghahramani draw one mask for a row of the
# batch and keep it at all its time steps, as if a thinner network read the row from beginning to end. In the module
# this is `Dropout(..., locked=True)`. By hand it is a mask without the axis of time, or one that `npx.dropout` repeats
# along `axes=(0,)`.

# %%
config = replace(small, num_layers=2, dropout=Dropout(hidden=p, locked=True))
model = d2lrnn.build_model(config, vocab_size, ctx)
d2lrnn.set_seed(1)
with autograd.train_mode():
    logits, _ = model(X, model.begin_state(batch_size))
d2lrnn.set_seed(1)
M = new_mask((num_steps, batch_size, 8), p, axes=(0,))
gap = common.difference(logits, by_hand(model, X, {"hidden": M[0]}))
print(f"locked: the masks of two time steps differ by {common.difference(M[:1], M[1:2]):g}", end=", ")
print(f"by hand with one mask for all steps the difference is {gap:.0e}")

figure, panels = new_figure("What is kept (blue) over time", 2, (8, 2.9))
for panel, title, axes in zip(panels, ("a new mask for each step", "locked: one for all steps"), ((), (0,))):
    kept = new_mask((35, 1, 16), 0.5, axes)[:, 0].asnumpy() > 0  # (num_steps, num_hiddens)
    panel.imshow(kept.T, cmap="Blues", vmin=0, vmax=1.4, aspect="auto", interpolation="nearest")
    panel.set(title=title, xlabel="time step", ylabel="hidden unit")
    panel.grid(visible=False)
common.save_figure(figure, lesson.picture("dropout_masks"))

# %% [markdown]
# None of the five places is the state on its way from one time step to the next. The lesson `bigram_lstm.py` says why:
# a new mask at each step leaves little of a memory. A locked mask would be gentler. It takes a unit away for good, and
# the other units keep what they hold.

# %%
units, rate = 100_000, 0.2
new, locked = numpy.ones(units, bool), numpy.ones(units, bool)
mask = numpy.random.random(units) > rate
print(f"dropout of the state itself, p = {rate}: share of the units that no mask has hit")
for t in range(1, 36):
    new &= numpy.random.random(units) > rate
    locked &= mask
    if t in (1, 5, 35):
        print(f"after {t:2} steps  new masks {new.mean():.4f}, by the formula {(1 - rate) ** t:.4f}", end="; ")
        print(f"locked {locked.mean():.4f}")

# %% [markdown]
# Dropped weights do not touch the state. They are locked too: a weight is missing for a whole batch.
#
# ## Training with and without
#
# The end of the corpus is held out. Three models are equal but for their dropout: none, new masks at each step, and
# locked masks. All see the same batches.

# %%
corpus = replace(lesson.corpus, valid=None, test=None).hold_out(0.1)
settings = replace(lesson.model, kind="gluon", embed_size=lesson.model.num_hiddens, init_scale=0.1)
kinds = {
    "none": Dropout(),
    "new masks": Dropout(hidden=0.5, inputs=0.5, outputs=0.5),
    "locked": Dropout(hidden=0.5, inputs=0.5, outputs=0.5, locked=True),
}
config = replace(lesson.training, prefixes=(), verbose=False)
print(f"{len(corpus.train):,} tokens to learn from, {len(corpus.valid):,} held out; {common.describe(config)}")
print("dropout    training  the same, nothing dropped  held out: lowest  epoch    last")
models, histories = {}, {}
for name, places in kinds.items():
    d2lrnn.set_seed(config.seed)
    models[name] = d2lrnn.build_model(replace(settings, dropout=places), vocab_size, ctx)
    history = histories[name] = common.checked(d2lrnn.train_and_predict(models[name], corpus, config))
    learnt, best = d2lrnn.evaluate(models[name], corpus.train, config.batch_size), min(history.valid)
    print(f"{name:9}  {history.trained[-1]:8.2f}  {learnt:25.2f}  {best:16.1f}", end="  ")
    print(f"{history.valid.index(best) + 1:5}  {history.valid[-1]:6.1f}")

# %%
figure, (panel,) = new_figure(lesson.title("With and without dropout"), size=(6.5, 4.2))
valid, trained = ({name: getattr(h, part) for name, h in histories.items()} for part in ("valid", "trained"))
draw_curves(panel, valid, ("epoch", "perplexity on held-out text; dashed: in training"), dashed=trained)
common.save_figure(figure, lesson.picture("dropout"))

# %% [markdown]
# Without dropout the perplexity in training falls fastest, and on the held-out text it ends highest: the model begins
# to learn the text by heart. A full run shows it best. On the shipped lyrics (seed 0) the held-out perplexity rises
# from 234 to 1,264 without dropout, and from 217 to 442 with locked masks. The held-out part is short and has many rare
# characters, so all of these perplexities are high.
#
# The number that a training prints is measured on a model that drops. The same text is predicted better when nothing is
# dropped, as the third column shows. (The model also learns within the epoch, over which the printed number is a mean,
# so without dropout the two differ a little too.) A perplexity in training with dropout can therefore not be set
# against one on held-out text, which is measured with all units there.
#
# ## Evaluation must not drop
#
# `d2lrnn.evaluate` runs the model out of training, so it gives the same number each time. Below, the model with new
# masks is then evaluated in `train_mode`, as TensorFlow 1's wrapper would have it.

# %%
model = models["new masks"]
once, twice = (d2lrnn.evaluate(model, corpus.valid) for _ in range(2))
print(f"evaluated twice: {once:.2f} and {twice:.2f}, difference {abs(once - twice):g}")
with autograd.train_mode():
    dropping = [d2lrnn.evaluate(model, corpus.valid) for _ in range(5)]
print("dropping, five times:", ", ".join(f"{value:.2f}" for value in dropping))
worst, best = (value / once for value in (max(dropping), min(dropping)))
print(f"times the perplexity without dropping: {best:.2f} at best, {worst:.2f} at worst")

# %% [markdown]
# One model serves for both, since `npx.dropout` asks for the mode when it runs. In TensorFlow 1 a graph that was built
# with dropout kept it. The test for a model of unknown origin is the one above: two evaluations of the same text have
# to be equal.
#
# ## An average over masks
#
# Dropping on purpose has a use. Each mask makes another, thinner network, and where the networks disagree the model is
# unsure. Gal and Ghahramani (arXiv 1506.02142) call it *Monte Carlo dropout*: drop in evaluation, many times, and take
# the mean of the probabilities for the answer and their spread for the uncertainty.

# %%
X, Y = (
    np.array(ids[None], dtype="int32", ctx=ctx) for ids in (corpus.valid[:-1][:200], corpus.valid[1:][:200])
)  # (1, num_steps)
with autograd.train_mode():
    answers = [npx.softmax(model(X, model.begin_state(1))[0]).asnumpy() for _ in range(20)]
plain = npx.softmax(model(X, model.begin_state(1))[0]).asnumpy()  # (num_steps, vocab_size)


def perplexity_of(probabilities):
    """Return the perplexity of probabilities (num_steps, vocab_size) on the tokens Y."""
    right = probabilities[numpy.arange(Y.size), Y.asnumpy()[0]]
    return float(numpy.exp(-numpy.log(right).mean()))


single = numpy.exp(numpy.mean(numpy.log([perplexity_of(answer) for answer in answers])))
print(f"{Y.size} tokens, a single mask: perplexity {single:.2f} (geometric mean of 20)")
for count in (2, 5, 20):
    print(f"the mean of {count:2} masks:     perplexity {perplexity_of(numpy.mean(answers[:count], axis=0)):.2f}")
print(f"nothing dropped:       perplexity {perplexity_of(plain):.2f}")

# %% [markdown]
# A mean of many masks is better than a single mask; that is so for every model, since the logarithm is concave. Whether
# it also beats the model that drops nothing depends on the model and the text. It costs as many evaluations as masks.
# Below is the spread for the likeliest next token at some time steps.

# %%
print("step  likeliest next   nothing dropped  mean of 20 masks  standard deviation")
for t in range(0, Y.size, Y.size // 5)[:5]:
    token = int(plain[t].argmax())
    chances = numpy.array([answer[t, token] for answer in answers])
    name = repr(corpus.vocab.idx_to_token[token])
    print(f"{t + 1:4}  {name:15}  {plain[t, token]:15.3f}  {chances.mean():16.3f}  {chances.std():18.3f}")

# %% [markdown]
# `d2lrnn forecast RUN --intervals dropout` draws the intervals of a forecast in this way.
#
# ## Summary
#
# * Dropout multiplies by a mask of zeros and ones and divides by $1 - p$, so the mean stays and evaluation needs no
#   factor.
# * A recurrent network can drop inputs, outputs, what goes from layer to layer, whole words, and recurrent weights. The
#   state on its way through time is left alone.
# * A locked mask is the same at all time steps of a row.
# * In evaluation nothing is dropped, and two evaluations are equal. A model that still drops is worse, and different
#   each time.
# * The mean over many masks is an answer with an uncertainty.
#
# ## Exercises
#
# `dropout`, `new_mask`, `by_hand`, `models`, `corpus`, `config` and `lesson` are at hand for all of them.
#
# 1. The first form of dropout (Srivastava et al. 2014) does not divide by $1 - p$ in training. What has to be done in
#    evaluation then? Why is this form out of use?
#
# <details><summary>Solution 1</summary>
#
# In training the numbers are then on average $1 - p$ times what they would be, so evaluation multiplies them, or the
# weights above them, by $1 - p$. A model that is evaluated needs to know its rate in that form, and whoever changes the
# rate changes the model. With the division in training, evaluation is the model without dropout.
#
# </details>
#
# 2. In TensorFlow 1, each of two stacked cells is wrapped as `DropoutWrapper(cell, input_keep_prob=0.8,
#    output_keep_prob=0.5)`. Which `d2lrnn.Dropout` drops as many numbers at each place?
#
# <details><summary>Solution 2</summary>
#
# Between the two cells the numbers pass two masks, the output's of the first cell and the input's of the second. They
# survive both with the probability $0.5 \cdot 0.8 = 0.4$ and are divided by 0.4. So it is `Dropout(inputs=0.2,
# hidden=0.6, outputs=0.5)`.
#
# </details>
#
# 3. Drop whole words: train a fourth model with `words=0.2` beside the locked masks. Then evaluate it in `train_mode`
#    on the held-out text with windows of 10 and of 100 tokens (`num_steps`). What does a window change there?
#
# <details><summary>Solution 3</summary>
#
# Build it with `d2lrnn.build_model(replace(settings, dropout=Dropout(0.5, 0.5, 0.5, words=0.2, locked=True)),
# vocab_size, ctx)` and train it as the three others. Each call of the model draws new masks, and a window is a call.
# With long windows a dropped word is missing for longer, and fewer masks are averaged, so several evaluations lie
# further apart. Out of `train_mode` the windows change nothing.
#
# </details>
#
# 4. The mask of `weights` can be seen in the gradients. Call `backward` on the loss of a model with
#    `Dropout(weights=0.5)`, and count the zeros in `model.layers[0].l0_h2h_weight.grad()`.
#
# <details><summary>Solution 4</summary>
#
# Half of the numbers are 0, apart from chance: a weight that was dropped took no part in the loss. The others are 2
# times the gradient of the masked weight, because the mask is 2 there. So a step of SGD leaves the dropped weights as
# they are.
#
# </details>
