# %% [markdown]
# # Sampled softmax
#
# (Jean, Cho, Memisevic and Bengio 2015, arXiv 1412.2007; `sampled_softmax_loss` of TensorFlow)
#
# A model that predicts words gives each word of its vocabulary a number, for every token that it learns from. With
# fifty thousand words this output layer takes nearly all of a step's time and memory. In training we need not know all
# of these numbers. The loss asks for the number of the right word, and for a sum over all words. The sum can be
# estimated from a few words that are drawn at random. This lesson draws them, corrects for how often each is drawn, and
# leaves out those that happen to be the right word. It shows that the estimate is right on average, and trains with it.
#
# The pairs are the 120 English and Chinese ones that ship with the project, whose target has few tokens. With
# `--data cmn` they are those of Tatoeba.

# %%
import copy
import math
import time

import common
import numpy
from mxnet import autograd, np

import d2lrnn
from d2lrnn import TranslationConfig
from d2lrnn.data import PairBatching, data_iter_pairs
from d2lrnn.evaluation import Candidates, log_uniform, needed_ids, sampled_losses, token_losses
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    corpus=None,
    data=("sample_pairs", "cmn"),
    model=d2lrnn.ModelConfig(
        num_hiddens=64, embed_size=64, init_scale=0.3, head="translation", num_outputs=1, attention="general"
    ),
    training=d2lrnn.TrainConfig(
        num_epochs=20, batch_size=16, batches="random", optimizer="adam", lr=0.01, theta=1.0, verbose=False, seed=1
    ),
    fixed=["num_steps", "use_random_iter", "pred_period", "pred_len", "num_projections"],
    quick={"num_hiddens": 32, "num_epochs": 6, "batch_size": 16},
)

# %% [markdown]
# ## What is dear
#
# Let $\mathbf{h}$ be what the output layer reads for one token, and $V$ the size of the vocabulary. The layer gives
# each token $k$ a logit, and the loss of the right token $y$ is its cross-entropy:
#
# $$o_k = \mathbf{w}_k^\top \mathbf{h} + b_k, \qquad l = \log \sum_{k=1}^{V} \exp(o_k) - o_y.$$
#
# Only the sum needs all logits. They are $V$ products of vectors for each token of a minibatch, and the gradient needs
# two more for each of them. The model of this lesson is a translator, which has learnt the pairs for a few epochs. With
# `--quick` at most 600 pairs are read.

# %%
corpus = common.lesson_pairs(lesson, quick=600)
vocab_size = len(corpus.target)
settings = {**lesson.model.flat, "num_outputs": vocab_size, "kind": "gluon"}
model = d2lrnn.build_model(d2lrnn.ModelConfig.from_dict(settings), len(corpus.source), lesson.ctx)
start, plan = copy.deepcopy(model), TranslationConfig()
histories = {"full": common.checked(d2lrnn.Translation(model, corpus, lesson.training, plan).train())}
batches = data_iter_pairs(corpus.train, PairBatching(16), lesson.ctx)
X, counted, Y_in, Y_out, weights = max(batches, key=lambda batch: batch[2].size)
all_ids = np.arange(vocab_size, dtype="int32", ctx=lesson.ctx)
outputs, weight, bias = model.outputs_and_rows(X, model.begin_state(len(X)), counted, Y_in, all_ids)
H, W, b, Y = outputs.asnumpy(), weight.asnumpy(), bias.asnumpy(), Y_out.asnumpy().T.reshape(-1)
logits = H @ W.T + b
full = numpy.log(numpy.exp(logits).sum(axis=1)) - logits[numpy.arange(len(Y)), Y]
print(f"h of {len(H)} tokens {H.shape}, the layer {W.shape}, logits {logits.shape}; the mean loss is {full.mean():.3f}")
expected = token_losses(np.array(logits), Y_out).asnumpy()
print(f"this is d2lrnn's cross-entropy: difference {abs(full - expected).max():.0e}")

# %% [markdown]
# ## Candidates
#
# Frequent words are worth more than rare ones: they are often the right one, and much of the probability is theirs. The
# vocabulary is sorted by how often its tokens come, and by Zipf's law the token of the rank $k$, from 0, comes about in
# proportion to $1 / (k + 1)$. The log-uniform distribution is close to that and easy to sum:
#
# $$P(k) = \frac{\log(k + 2) - \log(k + 1)}{\log(V + 1)}.$$
#
# The first ids are `<pad>`, `<bos>`, `<eos>` and `<unk>`. The first two are never to be predicted, so the rank 0 is
# that of `<eos>`, and `<pad>` and `<bos>` come last.

# %%
ranks = numpy.arange(vocab_size)
P = (numpy.log(ranks + 2) - numpy.log(ranks + 1)) / math.log(vocab_size + 1)
gap = abs(P - log_uniform(vocab_size)).max()
print(f"this is d2lrnn.evaluation.log_uniform: difference {gap:.0e}; the sum is {P.sum():g}")
targets = numpy.concatenate([*corpus.train.targets, numpy.full(len(corpus.train), 2)])  # and an <eos> for each
shares = numpy.roll(numpy.bincount(targets, minlength=vocab_size) / len(targets), -2)
for first, last in ((0, 1), (1, 10), (10, vocab_size // 2), (vocab_size // 2, vocab_size)):
    part = slice(first, last)
    print(f"ranks {first:5} to {last - 1:5}: P {P[part].sum():4.0%}, in the training {shares[part].sum():4.0%}")

# %% [markdown]
# All tokens of a minibatch are compared with the same $n$ candidates, so the layer is one product of matrices, as
# before, but with $n$ rows in place of $V$. A candidate that was drawn twice would say nothing new. Drawing $n$
# different ones changes how often each comes: the first tokens would come more than once, and are now always there. Let
# $E(k)$ be how often the token of rank $k$ is drawn in a minibatch, on average: $\min(1, c P(k))$, with $c$ such that
# these numbers have the sum $n$.
#
# A draw that keeps exactly to $E$ lays the numbers side by side on a line of the length $n$, and drops points on it
# with the distance 1, behind a random beginning. No part of the line is longer than 1, so no token is hit twice.


# %%
def expected_counts(P, n):
    """Return E: how often each rank is among n different candidates, on average."""
    sure = 0  # so many ranks are always drawn
    while sure < len(P) and (n - sure) * P[sure] >= P[sure:].sum():
        sure += 1
    E = numpy.ones(len(P))
    E[sure:] = (n - sure) * P[sure:] / P[sure:].sum()
    return E


def draw(E, n):
    """Return n different ranks."""
    return numpy.searchsorted(E.cumsum(), numpy.arange(n) + numpy.random.random(), side="right")


n = min(20, vocab_size // 3)
E = expected_counts(P, n)
print(f"{n} of {vocab_size:,}: the first {(E == 1).sum()} are always drawn, the last one in a share of {E[-1]:.3f}")
numpy.random.seed(lesson.training.seed)
ids = (draw(E, n) + 2) % vocab_size  # from ranks to ids
print("candidates:", " ".join(corpus.target.idx_to_token[i] for i in ids))
candidates = Candidates(vocab_size, n, first=2)
numpy.random.seed(lesson.training.seed)
drawn = candidates.draw()
same = "the same" if (drawn.ids == ids).all() else "other"
gap = abs(numpy.roll(E, 2) - candidates.expected).max()
print(f"this is d2lrnn.evaluation.Candidates: {same} candidates, E differs by {gap:.0e}")
often = numpy.bincount(numpy.concatenate([draw(E, n) for _ in range(2000)]), minlength=vocab_size) / 2000
print(f"in 2,000 draws a token comes as often as E says, up to {abs(often - E).max():.3f}")

# %% [markdown]
# ## The correction
#
# What do the candidates say of the sum over the vocabulary? A token that is in one draw of a hundred stands for a
# hundred: its part counts $1 / E(k)$ times. That is the same as taking $\log E(k)$ off its logit:
#
# $$\sum_{k=1}^{V} \exp(o_k) \approx \sum_{k \in S} \frac{\exp(o_k)}{E(k)} = \sum_{k \in S} \exp(o_k - \log E(k)).$$
#
# On average over the draws $S$, the right side is the left side. Without the correction it is too small.

# %%
E_of_ranks, E = E, numpy.roll(E, 2)  # by id from here on
exps = numpy.exp(logits[0])
draws = [(draw(E_of_ranks, n) + 2) % vocab_size for _ in range(1000)]
corrected = numpy.array([(exps[ids] / E[ids]).sum() for ids in draws])
plain = numpy.array([exps[ids].sum() for ids in draws])
print(f"the sum over the vocabulary  {exps.sum():.1f}")
for name, sums in (("corrected", corrected), ("not corrected", plain)):
    error = sums.std() / math.sqrt(len(sums))
    print(f"{name:27}  {sums.mean():.1f}, and its standard error {error:.1f}; single draws differ by {sums.std():.1f}")

# %% [markdown]
# ## Accidental hits
#
# The right token need not be drawn: it is always there, and so it counts once, with no correction. If it is among the
# candidates too, it is left out there, or it would count twice. Such accidental hits are frequent, since frequent
# tokens are both drawn and right.
#
# $$\hat{l} = \log \left( \exp(o_y) + \sum_{k \in S, k \neq y} \exp(o_k - \log E(k)) \right) - o_y.$$
#
# (TensorFlow's function takes $\log E(y)$ off the logit of the right token too. The mean of its sum is then another
# number than the sum over the vocabulary.)


# %%
def sampled_loss(o, y, ids, E):
    """Return the estimated loss of a token: o has all logits, of which only those of y and ids are read."""
    others = ids[ids != y]
    return numpy.log(numpy.exp(o[y]) + numpy.exp(o[others] - numpy.log(E[others])).sum()) - o[y]


ids = drawn.ids
losses = numpy.array([sampled_loss(logits[i], y, ids, E) for i, y in enumerate(Y)])
print(
    f"{n} candidates hit {numpy.isin(Y, ids).sum()} of the {len(Y)} right tokens; the mean loss is {losses.mean():.3f}"
)
needed = needed_ids(drawn, Y_out)
rows, biases = np.take(weight, needed, axis=0), np.take(bias, needed, axis=0)
expected = sampled_losses(np.array(H), rows, biases, Y_out, drawn).asnumpy()
print(f"this is d2lrnn.evaluation.sampled_losses: difference {abs(losses - expected).max():.0e}")
everything = [sampled_loss(logits[i], y, numpy.arange(vocab_size), numpy.ones(vocab_size)) for i, y in enumerate(Y)]
print(f"with all tokens as candidates it is the full loss: difference {abs(full - everything).max():.0e}")
twice = [numpy.log(numpy.exp(o[y]) + numpy.exp(o[ids] - numpy.log(E[ids])).sum()) - o[y] for o, y in zip(logits, Y)]
print(f"if accidental hits counted, the mean loss would be {numpy.mean(twice):.3f}")

# %% [markdown]
# `d2lrnn` rounds to float32 along the way. The rows of the layer that it needs are those of the candidates and of the
# right tokens, and no other row gets a gradient.
#
# ## The gradient, on average
#
# Training follows the gradient. The gradient of $\hat{l}$ has a softmax over the candidates and the right token, in
# place of the softmax over all tokens. Each draw gives another gradient of the weights $\mathbf{W}$. How far is the
# mean over several draws from the full gradient?


# %%
def gradient(ids, E):
    """Return the gradient of the mean loss by W, (V, num_hiddens)."""
    errors = numpy.zeros_like(logits)
    tokens = numpy.arange(len(Y))
    errors[:, ids] = numpy.exp(logits[:, ids] - numpy.log(E[ids]))
    errors[tokens, Y] = numpy.exp(logits[tokens, Y])  # an accidental hit is overwritten
    errors /= errors.sum(axis=1, keepdims=True)
    errors[tokens, Y] -= 1
    return errors.T @ H / len(Y)


whole = gradient(numpy.arange(vocab_size), numpy.ones(vocab_size))
outputs, weight = np.array(H), np.array(W)
weight.attach_grad()
with autograd.record():
    rows = np.take(weight, needed, axis=0)
    loss = sampled_losses(outputs, rows, biases, Y_out, drawn).mean()
loss.backward()
print(f"by autograd: difference {abs(gradient(ids, E) - weight.grad.asnumpy()).max():.0e}", end="; ")
print(f"rows with a gradient: {(abs(weight.grad).sum(axis=1) > 0).sum().item()} of {vocab_size:,}")
num_draws, distances = (200 if lesson.quick else 1000), {}
sizes = sorted({max(n // 4, 2), n, min(2 * n, vocab_size - 1)})
for size in sizes:
    sampler, total, found = Candidates(vocab_size, size, first=2), 0, []
    for i in range(num_draws):
        total = total + gradient(sampler.draw().ids, sampler.expected)
        found.append(numpy.linalg.norm(total / (i + 1) - whole) / numpy.linalg.norm(whole))
    distances[size] = found
    print(f"{size:5} candidates: one draw is off by {found[0]:.1%}, the mean of {num_draws:,} by {found[-1]:.2%}")
figure, (panel,) = new_figure("The mean gradient of a sampled softmax")
curves = {f"{size} candidates": distances[size] for size in sizes}
draw_curves(panel, curves, ("draws", "distance from the full gradient, relative"), log=True)
panel.set(xscale="log", ylim=(0.005, 1))
panel.set_yticks([0.01, 0.03, 0.1, 0.3, 1], ["1 %", "3 %", "10 %", "30 %", "100 %"])
common.save_figure(figure, lesson.picture("sampled_softmax_gradient"))

# %% [markdown]
# The curves fall as $1 / \sqrt{m}$ with the number $m$ of draws, a straight line here, until they reach what is left:
# the sum is right on average, its logarithm is not quite. The more candidates there are, the less is left. A training
# sees new candidates with every minibatch, so it takes the mean over its steps.
#
# ## Training
#
# A second translator begins with the parameters that the first one began with. It learns by candidates, where the first
# one learnt by the full softmax. Both are judged by the full softmax, on pairs held out.

# %%
learner, plan = copy.deepcopy(start), TranslationConfig(sampled_softmax=n)
histories["sampled"] = common.checked(d2lrnn.Translation(learner, corpus, lesson.training, plan).train())
print("perplexity        in training  held out: first epoch  last epoch")
for name, history in histories.items():
    print(f"{name:16}  {history.trained[-1]:11.2f}  {history.valid[0]:21.2f}  {history.valid[-1]:10.2f}")
figure, (panel,) = new_figure(f"A full softmax and {n} candidates")
curves = {name: history.valid for name, history in histories.items()}
draw_curves(panel, curves, ("epoch", "perplexity on held-out pairs"))
common.save_figure(figure, lesson.picture("sampled_softmax_training"))

# %% [markdown]
# Epoch by epoch the model with candidates learns more slowly, since its gradients are noisier, and more so the fewer
# they are. Candidates are worth it where steps become faster by more than that.
#
# ## What it saves
#
# The time of the output layer, the loss and their gradients on this machine, for a minibatch of 128 tokens and 128
# hidden units, with 256 candidates; and the size of the logits, of which a step holds several arrays. The times are the
# shortest of three. They say nothing of the update, which goes over all rows both ways.

# %%
numbers, times = numpy.random.default_rng(1), {}
H_large = np.array(numbers.normal(size=(128, 128)), dtype="float32")
print("words      full ms  sampled ms   full MB  sampled MB")
for V in (1000, 8000) if lesson.quick else (1000, 8000, 50000):
    W_large = np.array(numbers.normal(0, 0.05, (V, 128)), dtype="float32")
    b_large, labels = np.zeros(V), np.array(numbers.integers(0, V, (8, 16)), dtype="int32")
    W_large.attach_grad()
    sampler, found = Candidates(V, 256), {"full": [], "sampled": []}
    for name in [*found] * 4:  # the first time is not counted
        begin = time.perf_counter()
        with autograd.record():
            if name == "full":
                loss = d2lrnn.cross_entropy(np.dot(H_large, W_large.T) + b_large, labels)
            else:
                drawn_large = sampler.draw()
                some = needed_ids(drawn_large, labels)
                rows, biases = np.take(W_large, some, axis=0), np.take(b_large, some, axis=0)
                loss = sampled_losses(H_large, rows, biases, labels, drawn_large).mean()
        loss.backward()
        W_large.grad.wait_to_read()
        found[name].append(1e3 * (time.perf_counter() - begin))
    times[V] = {name: min(values[1:]) for name, values in found.items()}
    megabytes = [4 * 128 * size / 1e6 for size in (V, 257)]
    print(f"{V:<9,}{times[V]['full']:9.1f}  {times[V]['sampled']:10.1f} {megabytes[0]:9.2f}  {megabytes[1]:10.2f}")

# %% [markdown]
# The full softmax grows with the vocabulary. The sampled one hardly does: only the gradient of the weights is as large
# as before, most of it zeros. With a thousand words there is little to save.
#
# ## Summary
#
# * The loss of a softmax needs the logit of the right token and one sum over the vocabulary. A few candidates estimate
#   the sum.
# * Frequent tokens are drawn more often. Taking $\log E(k)$ off a candidate's logit makes up for it, and the sum is
#   right on average.
# * A candidate that is the right token does not count.
# * The gradient is right on average up to what the logarithm leaves, and less is left with more candidates.
# * Validation and translating use the full softmax. Only the training is sampled.
#
# ## Exercises
#
# `model`, `corpus`, `candidates`, `sampled_loss`, `gradient`, `logits`, `full` and `lesson` are at hand for all of
# them.
#
# 1. Draw candidates from the uniform distribution, with $E(k) = n / V$ for all tokens. Compare the spread of the
#    estimated sums with that of the log-uniform candidates.
#
# <details><summary>Solution 1</summary>
#
# `uniform = [numpy.random.permutation(vocab_size)[:n] for _ in range(1000)]` draws them, and the sums are
# `[exps[ids].sum() * vocab_size / n for ids in uniform]`. They spread more than `corrected`, for most tokens of the
# minibatch (`exps = numpy.exp(logits[i])`): most of the sum is often that of a few frequent tokens, and a draw without
# them misses it.
#
# </details>
#
# 2. Show that the loss $\hat{l}$ is too small on average, and by less with more candidates.
#
# <details><summary>Solution 2</summary>
#
# The logarithm is concave: by Jensen's inequality the mean of the logarithms is at most the logarithm of the mean, and
# the mean of the sum in it is right. Over draws of `Candidates(vocab_size, size, first=2)`, the mean of
# `sampled_loss(logits[i], Y[i], drawn.ids, candidates.expected)` over `i` is below `full.mean()`, and comes nearer with
# `size`.
#
# </details>
#
# 3. Train on the command line with a sampled softmax. What is the perplexity in training of a run, beside that in
#    validation?
#
# <details><summary>Solution 3</summary>
#
# `d2lrnn train --config translate-zh-en --sampled-softmax 512` does it; the target is words. The perplexity in training
# is an estimate by the candidates, a little too low. The perplexity in validation is that of the full softmax.
#
# </details>
