# %% [markdown]
# # Pairs of characters
#
# (the sixth assignment of Udacity's deep learning course; Zaremba, Sutskever and Vinyals 2014, arXiv 1409.2329)
#
# A model that reads two letters at once takes half as many steps for the same text. Its vocabulary grows from 27 tokens
# to as many pairs as the language has, at most $27 \times 27 = 729$. Three things come with that. One-hot vectors
# become wide, so rows are looked up in place of products. A step has four products that can be one. And there is more
# to learn by heart, so some of it is dropped in training. This lesson builds the three by hand, trains a model of
# letters and one of pairs, and measures whether the pairs pay.
#
# The text is *The Time Machine*, which is downloaded. If there is no network, the lesson says where to put the file.
# With `--quick` the text is the licence of this project, which is in English too and needs no network.

# %%
import math
from dataclasses import replace
from pathlib import Path

import common
import numpy
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.models import embedding_of
from d2lrnn.plotting import draw_curves, new_figure

licence = Path(d2lrnn.__file__).resolve().parent.parent / "LICENSE"
lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="lstm"),
    training=d2lrnn.TrainConfig(num_epochs=15, num_steps=36, optimizer="adam", lr=5e-3, theta=1.0),
    fixed=["cell", "num_layers", "pred_len", "pred_period", "prefix", "level", "held_out"],
    corpus="timemachine",
    quick={
        **{"corpus": str(licence), "max_tokens": 8000, "num_hiddens": 48},
        **{"num_epochs": 10, "batch_size": 20, "num_steps": 20, "lr": 0.02},
    },
)

# %% [markdown]
# ## The text, twice
#
# The same text is read as characters and as pairs that do not overlap. A tenth of it is held out for validation, and
# a tenth for the test.
#
# How surprising is a token to someone who knows only how frequent each token is? The mean of $-\log_2 p$ over the text
# says it in bits. A pair is worth more bits than a letter, but it is two letters. What can be compared is
#
# $$\text{bits per character} = \frac{\log_2(\text{perplexity})}{\text{characters of a token}}.$$

# %%
text = " ".join(lesson.corpus.vocab.decode(lesson.corpus.train).lower().split())
text = text[: len(text) // 2 * 2]
corpora = {}
for level in ("char", "bigram"):
    vocab = d2lrnn.Vocab(text, level)
    corpora[level] = d2lrnn.Corpus(lesson.corpus.name, vocab, vocab.encode(text)).hold_out(0.1)
    tokens = corpora[level].train
    shares = numpy.bincount(tokens) / len(tokens)
    bits = -sum(share * math.log2(share) for share in shares if share)
    first = " ".join(map(repr, vocab.idx_to_token[:8]))
    print(f"{level:7} {len(tokens):7,} tokens to learn from, {len(vocab):3} different: {first} ...")
    print(
        f"{'':7} by frequency alone {bits:.2f} bits a token, {bits / len(vocab.idx_to_token[0]):.2f} bits per character"
    )
letters, pairs = (len(corpus.vocab) for corpus in corpora.values())
print(f"of {letters} x {letters} = {letters**2:,} pairs, {pairs:,} occur")

# %% [markdown]
# A pair says something about what follows what. So by frequency alone a character costs fewer bits within a pair.
#
# ## A row in place of a product
#
# A one-hot vector times a matrix is a row of the matrix. With 27 columns nobody minds the product. With some hundreds,
# almost all of it is multiplying by zero. `npx.embedding` takes the row, and the gradient goes to that row alone.

# %%
ids, size, width = np.array(corpora["bigram"].train[:500], dtype="int32"), pairs, 64
W = np.random.normal(size=(size, width))
W.attach_grad()
product = np.dot(npx.one_hot(ids, size), W)
with autograd.record():
    rows = npx.embedding(ids, W, input_dim=size, output_dim=width)
rows.backward()
print(f"largest difference over {len(ids)} tokens: {common.difference(product, rows)}")
print(f"multiplications: {len(ids) * size * width:,}, and none")
touched = int((abs(W.grad).sum(axis=1) > 0).sum())
print(f"{touched} of the {size} rows have a gradient; the tokens have {len(set(ids.tolist()))} different ids")

# %% [markdown]
# ## Four products in one
#
# The gates of an LSTM all multiply the same $\mathbf{H}_{t-1}$, and all multiply the same $\mathbf{X}_t$. Put the four
# matrices side by side, multiply once, and cut the result in four. The numbers are the same, by one large product. The
# lesson `the_same_numbers_faster.py` measures what that gains.

# %%
H = np.random.normal(size=(32, width))
weights = {gate: np.random.normal(size=(width, width)) for gate in "ifco"}
wide = np.dot(H, np.concatenate(list(weights.values()), axis=1))
for (gate, W_h), part in zip(weights.items(), np.split(wide, 4, axis=1)):
    print(f"gate {gate}: largest difference {common.difference(np.dot(H, W_h), part):.1e}")

# %% [markdown]
# ## Dropout where it belongs
#
# In training, dropout sets each number to 0 with the probability $p$ and divides the others by $1 - p$, so that the
# mean stays what it is. In writing and measuring nothing is dropped.

# %%
p = 0.3
X = np.ones((100, 1000))
mask = np.random.uniform(size=X.shape) > p
dropped = X * mask / (1 - p)
print(f"share of zeros {float((dropped == 0).mean()):.3f}, mean {float(dropped.mean()):.3f}")

# %% [markdown]
# Where does it act? Dropout of the state would hit the memory at every step. What is to be remembered for $T$ steps
# survives all their masks with the probability $(1 - p)^T$. Zaremba et al. therefore drop what enters a layer and what
# leaves the last one, and leave the way through time alone. What goes up through one layer meets two masks, however
# long ago it was.

# %%
alive, units = numpy.ones(100_000, dtype=bool), numpy.random.default_rng(lesson.training.seed)
for t in range(1, 11):
    alive &= units.random(len(alive)) > p
    if t in (1, 2, 5, 10):
        print(f"after {t:2} masks {alive.mean():.4f} of the units are left, by the formula {(1 - p) ** t:.4f}")

# %% [markdown]
# ## The model
#
# Look-up, four products in one and dropout make the model: an embedding of the tokens, an LSTM, an output layer, and
# dropout before and behind the LSTM. `build_model` makes it of a `ModelConfig`. Below, the same is computed by hand
# from the model's parameters, without dropout. (Gluon's LSTM has two biases for each gate.)

# %%
config = replace(lesson.model, embed_size=min(128, lesson.model.num_hiddens), dropout=p)
model = d2lrnn.build_model(config, pairs, lesson.ctx)
parameters = d2lrnn.read_parameters(model)
W_x, W_h, b, c = (
    numpy.concatenate([parameters[f"{kind}{gate}"] for gate in "ifco"], axis=-1) for kind in ("W_x", "W_h", "b_", "c_")
)


def sigmoid(x):
    """Return the logistic function of each number."""
    return 1 / (1 + numpy.exp(-x))


X, Y = next(d2lrnn.data_iter_consecutive(corpora["bigram"].train, 4, 5, lesson.ctx))
H = C = numpy.zeros((4, config.num_hiddens))
logits = []
for ids in X.asnumpy().T:
    gates = embedding_of(model)[ids] @ W_x + b + H @ W_h + c
    I, F, C_tilda, O = numpy.split(gates, 4, axis=1)
    C = sigmoid(F) * C + sigmoid(I) * numpy.tanh(C_tilda)
    H = sigmoid(O) * numpy.tanh(C)
    logits.append(H @ parameters["W_hq"] + parameters["b_q"])
expected, _ = model(X, model.begin_state(4))
gap = abs(numpy.concatenate(logits) - expected.asnumpy()).max()
print(f"this is the model: difference {gap:.0e}, largest number {float(abs(expected).max()):.0e}")
once, twice = (model(X, model.begin_state(4))[0] for _ in range(2))
print(f"two calls outside of training differ by {common.difference(once, twice):g}", end=", ")
with autograd.record():
    once, twice = (model(X, model.begin_state(4))[0] for _ in range(2))
print(f"two calls in training by {common.difference(once, twice):.0e}")

# %% [markdown]
# ## Characters against pairs
#
# The models have as many hidden units, read as many characters in a step of training, and are measured on the same
# text, which none of them has learnt from. Perplexities cannot be compared, since a pair has more to be unsure about.
# Bits per character can. A third model reads pairs without dropout.

# %%
print(common.describe(lesson.training))
runs = {"characters": ("char", p), "pairs": ("bigram", p), "pairs, no dropout": ("bigram", 0.0)}
histories, models, table = {}, {}, []
for name, (level, dropout) in runs.items():
    corpus, length = corpora[level], 2 if level == "bigram" else 1
    num_steps = max(lesson.training.num_steps // length, 1)
    training = replace(lesson.training, num_steps=num_steps, prefixes=(), verbose=False)
    d2lrnn.set_seed(training.seed)
    models[name] = d2lrnn.build_model(replace(config, dropout=dropout), corpus.vocab_size, lesson.ctx)
    history = histories[name] = common.checked(d2lrnn.train_and_predict(models[name], corpus, training))
    size = sum(math.prod(param.shape) for param in d2lrnn.named_parameters(models[name]).values())
    perplexities = history.perplexity[-1], history.valid_perplexity[-1], d2lrnn.evaluate(models[name], corpus.test)
    table.append(
        (name, size, *(d2lrnn.bits_per_character(value, level) for value in perplexities), sum(history.seconds))
    )
    prefix = "th" if "th" in corpus.vocab or level == "char" and "t" in corpus.vocab else corpus.vocab.idx_to_token[0]
    print(f"{name} write {d2lrnn.generate([prefix], 60 // length, models[name], corpus.vocab)[0].text!r}")

# %%
print(f"{'bits per character':18} {'parameters':>10} {'training':>9} {'validation':>10} {'test':>6} {'seconds':>8}")
for name, size, trained, valid, test, seconds in table:
    print(f"{name:18} {size:10,} {trained:9.3f} {valid:10.3f} {test:6.3f} {seconds:8.1f}")

# %%
figure, (panel,) = new_figure(lesson.title("Characters and pairs; dashed: in training"), size=(6.5, 4.2))
valid, trained = (
    {
        name: [d2lrnn.bits_per_character(value, runs[name][0]) for value in getattr(history, measure)]
        for name, history in histories.items()
    }
    for measure in ("valid_perplexity", "perplexity")
)
draw_curves(panel, valid, ("epoch", "bits per character in validation"), dashed=trained)
common.save_figure(figure, lesson.picture("bigram_lstm"))

# %% [markdown]
# Compare three things.
#
# * The gap between training and validation is wider for pairs than for characters. A model of pairs has more parameters
#   and half as many tokens to learn them from, and many pairs are rare.
# * Without dropout the gap is wider still: the model learns the pairs by heart.
# * All of them beat the frequencies by far. Which is ahead in validation depends on the text and on how long it is
#   trained: the picture shows where the curves cross, if they do. On The Time Machine, with the settings of a full run,
#   the characters are ahead at the end, with 1.90 bits to 2.07. Pairs save steps. They do not make a better model.
#
# ## Summary
#
# * Bits per character compare models with different tokens.
# * A wide one-hot vector is looked up, not multiplied. Its gradient goes to one row.
# * Four products with the same input are one product with a wide matrix.
# * Dropout acts on what enters and leaves a layer, and never on the way through time.
# * Pairs halve the number of steps. They need more text, since each pair is rarer than its letters.
#
# ## Exercises
#
# `text`, `corpora`, `config`, `models` and `lesson` are at hand for all of them.
#
# 1. Give the model of characters as many parameters as the one of pairs. Which is better now?
#
# <details><summary>Solution 1</summary>
#
# Call `build_model` with `replace(config, num_hiddens=...)` until the sums of `param.size` agree, and train that model.
# With `--quick`, 90 units make as many parameters as the pairs have. Then the characters are ahead in validation, with
# 2.48 bits to 2.72. The size of the model is not all that helps: the same parameters learn more from more tokens.
#
# </details>
#
# 2. Pairs could also overlap, each one sharing a letter with the next. How many bits per character would such a model
#    lose at most by not knowing that the shared letter is given?
#
# <details><summary>Solution 2</summary>
#
# At most the bits of the shared letter, which is all that is known twice. A trained model loses next to nothing: every
# pair that it has seen after another began with the other's last letter.
#
# </details>
#
# 3. How many different triples are there, and what share of them comes only once in the training text?
#
# <details><summary>Solution 3</summary>
#
# With `train = corpora["char"].vocab.decode(corpora["char"].train)`, `counts = collections.Counter(train[i : i + 3] for
# i in range(0, len(train), 3))` counts them, and `sum(n == 1 for n in counts.values()) / len(counts)` is the share. The
# Time Machine has 2,916 different triples, of which 22 % come once. A model has one example for each of their rows. Of
# its 444 pairs 8 % come once, and of its letters none.
#
# </details>
#
# 4. Run the lesson on Chinese lyrics, `--corpus sample`. How many pairs come only once? Why do bits per character
#    flatter the pairs there, even before they are trained?
#
# <details><summary>Solution 4</summary>
#
# Of some 4,000 pairs most come once, so there is nothing to learn about them. The vocabulary is made of the whole text,
# with the held-out part. It lists the pairs that occur, which are few of the millions that could. Whoever guesses
# evenly among 4,000 pairs needs 12 bits, which is 6 a character, and evenly among 1,200 characters 10. The list itself
# tells the difference, and the bits do not count the list. With letters the list is short beside the text.
#
# </details>
