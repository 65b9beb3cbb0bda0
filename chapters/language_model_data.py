# %% [markdown]
# # Data for a language model
#
# (d2l-zh v1, section 6.3; d2l 1.0, sections 9.2 and 9.3)
#
# A network reads numbers, in minibatches of equal shape. A text is one long row of characters. This lesson goes from
# the one to the other: a text is read, its characters get numbers, and the row of numbers is cut into minibatches in
# two ways. With one of them a network can carry its state from batch to batch, so that it reads on where it stopped.
# With the other it cannot.

# %%
from collections import Counter

import common
import numpy
from mxnet import np

import d2lrnn

lesson = common.begin(fixed=["prefix"], quick={"max_tokens": 10_000})

# %% [markdown]
# ## Reading the text
#
# These are the first lines of the lyrics that ship with the project. A line end becomes a space: so a model learns
# where lines end, and what it writes prints in one line.

# %%
raw = """雨从午后下到傍晚
屋檐挂起一排水帘
你站在小街的那边
"""
text = raw.replace("\r", "").replace("\n", " ")
print(f"{len(text)} characters: {text!r}")

# %% [markdown]
# `load_corpus` does this with a whole file, wherever the file is: it finds the file, or downloads it and checks it by
# its checksum, and cleans the text in the way that suits the corpus. (In the Penn Treebank, whose tokens are words, a
# line end becomes the word `<eos>`.)

# %%
corpus = lesson.corpus
tokens = d2lrnn.data.tokenize(corpus.vocab.decode(corpus.train), corpus.vocab.level)
print(f"{len(tokens):,} tokens; the first 40: {tokens[:40]}")

# %% [markdown]
# ## A vocabulary
#
# Each token gets a number, its index or *id*, from 0 to the size of the vocabulary less 1. The most frequent token has
# the id 0. Of two that are equally frequent, the one that comes first in the order of characters has the smaller id. So
# the same text has the same ids today and tomorrow, and a model that was trained today can be read tomorrow.

# %%
counts = Counter(tokens)
idx_to_token = sorted(counts, key=lambda token: (-counts[token], token))
token_to_idx = {token: i for i, token in enumerate(idx_to_token)}
vocab_size = len(idx_to_token)
ids = numpy.array([token_to_idx[token] for token in tokens], dtype="int32")
print(f"vocab_size {vocab_size:,}; the first tokens {idx_to_token[:10]}")
print(f"the text   {tokens[:12]}")
print(f"as ids     {ids[:12].tolist()}")

# %% [markdown]
# The class `Vocab` is this, with `encode` from text to ids and `decode` from ids to text. A token that it does not have
# is an error: a model could make nothing of it.

# %%
vocab = d2lrnn.Vocab(tokens, corpus.vocab.level)
print(f"this is d2lrnn.Vocab: the same tokens {vocab.idx_to_token == tuple(idx_to_token)}", end=", ")
print(f"the ids differ by {abs(vocab.encode(tokens) - ids).max()}")
print(f"encode and decode: {vocab.decode(vocab.encode(tokens[:12]))!r}")
try:
    vocab.encode("☃")
except d2lrnn.UnknownTokenError as error:
    print(f"a stranger: {error}")

# %% [markdown]
# A corpus holds the ids and the vocabulary. As in the book, it can be taken apart into four.

# %%
corpus_indices, char_to_idx, idx_to_char, vocab_size = corpus
print(f"corpus_indices {corpus_indices.shape} of {corpus_indices.dtype}, the first: {corpus_indices[:12].tolist()}")
print(f"vocab_size {vocab_size:,}; {idx_to_char[5]!r} has the id {char_to_idx[idx_to_char[5]]}")

# %% [markdown]
# ## Examples and labels
#
# An example is a window of `num_steps` tokens. Its label is the window one token further: at each step, the label says
# which token comes next. From a row of $T$ ids at most $T - 1$ can be in an example, for the last one has no next.

# %%
num_steps = 6
print(f"X  {tokens[:num_steps]}")
print(f"Y  {tokens[1 : num_steps + 1]}")

# %% [markdown]
# ## Random sampling
#
# Cut the row of ids into windows that do not overlap, shuffle them, and take `batch_size` of them at a time. Each is
# read once in an epoch, and two batches in a row have nothing to do with each other.
#
# ![Windows of a text dealt out at random, each batch with a state of zeros](img/random_sampling.svg)


# %%
def data_iter_random(corpus_indices, batch_size, num_steps, ctx=None):
    """Yield windows in random order: X, and the label Y, each (batch_size, num_steps)."""
    num_examples = (len(corpus_indices) - 1) // num_steps  # less 1: the last window needs a label too
    starts = num_steps * numpy.random.permutation(num_examples)
    for i in range(0, num_examples - batch_size + 1, batch_size):
        windows = [corpus_indices[j : j + num_steps + 1] for j in starts[i : i + batch_size]]
        X, Y = ([window[begin : begin + num_steps] for window in windows] for begin in (0, 1))
        yield np.array(X, dtype="int32", ctx=ctx), np.array(Y, dtype="int32", ctx=ctx)


def show(batches):
    """Print batches one below the other."""
    for i, (X, Y) in enumerate(batches, 1):
        for x, y in zip(X.asnumpy(), Y.asnumpy()):
            row = "   ".join(" ".join(f"{token:2}" for token in part) for part in (x, y))
            print(f"batch {i}  {row}")
            i = " "


my_seq = numpy.arange(30)
show(data_iter_random(my_seq, batch_size=2, num_steps=6))

# %% [markdown]
# ## Consecutive sampling
#
# Cut the row of ids into `batch_size` long rows, lay them one below the other, and read them all from left to right,
# `num_steps` ids at a time. In each row, the next batch goes on where this one stops.
#
# ![Two rows of a text read side by side, the state carried from batch to batch](img/consecutive_sampling.svg)


# %%
def data_iter_consecutive(corpus_indices, batch_size, num_steps, ctx=None):
    """Yield batches that go on row by row: X, and the label Y, each (batch_size, num_steps)."""
    row_length = len(corpus_indices) // batch_size
    rows = np.array(corpus_indices[: batch_size * row_length], dtype="int32", ctx=ctx).reshape(batch_size, row_length)
    for i in range(0, row_length - num_steps, num_steps):
        yield rows[:, i : i + num_steps], rows[:, i + 1 : i + num_steps + 1]


show(data_iter_consecutive(my_seq, batch_size=2, num_steps=6))

# %% [markdown]
# Read the first rows of the two batches: 0 to 5, then 6 to 11. The second rows do the same, further on in the text. The
# rows of one batch are far apart, and that does no harm: each has a state of its own.
#
# The two functions are the module's, which also checks what it is given. With the same seed the random windows come in
# the same order.

# %%
for by_hand, module in (
    (data_iter_random, d2lrnn.data_iter_random),
    (data_iter_consecutive, d2lrnn.data_iter_consecutive),
):
    d2lrnn.set_seed(1)
    expected = list(module(corpus.train, 32, 35))
    d2lrnn.set_seed(1)
    found = list(by_hand(corpus.train, 32, 35))
    gap = max(common.difference(a, b) for one, other in zip(found, expected) for a, b in zip(one, other))
    print(f"this is d2lrnn.{module.__name__}: {len(found):,} and {len(expected):,} batches, difference {gap:g}")
try:
    d2lrnn.data_iter_random(my_seq, batch_size=6, num_steps=6)
except d2lrnn.CorpusTooShortError as error:
    print(f"what the module checks: {error}")

# %% [markdown]
# ## The same on the corpus
#
# Here is the first row of four batches in a row. By the second sampler the pieces join to the text as it was, by the
# first they do not.

# %%
glue = " " if corpus.vocab.level == "word" else ""
for module in (d2lrnn.data_iter_random, d2lrnn.data_iter_consecutive):
    rows = [X[0].asnumpy() for X, _ in module(corpus.train, 32, 20)][:4]
    print(module.__name__)
    for i, row in enumerate(rows, 1):
        print(f"  batch {i}, first row: {corpus.vocab.decode(row)!r}")
    joined = glue.join(corpus.vocab.decode(row) for row in rows)
    print(f"  together they stand in the text: {joined in corpus.vocab.decode(corpus.train)}")

# %% [markdown]
# ## Why the state can be carried in one and not in the other
#
# A recurrent network keeps what it has read in its state $\mathbf{H}$, and begins a text with zeros. Say that it has
# read a batch of consecutive windows. In each row, its state now belongs to the text up to the end of the window, which
# is the text that the next window continues. Begin the next batch with this state, and the network reads as if the text
# had never been cut. Begin it with zeros, and the first tokens of each window are read without what was before them.
# With random windows there is no choice: the state of one window says nothing about another one, so each batch begins
# with zeros.
#
# We measure it with an RNN of 8 hidden units and random weights. It reads the two rows of `my_seq`, each 12 numbers
# long: at once; in windows of 6 with the state carried; and in windows of 6, each from zeros.

# %%
num_hiddens, size = 8, len(my_seq)
W_xh, W_hh, b_h = (40 * param for param in d2lrnn.get_rnn_params(size, num_hiddens, lesson.ctx)[:3])


def states(X, H):
    """Return the state after each step of X (batch_size, num_steps), from the state H on."""
    found = []
    for x in d2lrnn.to_onehot(X, size):
        H = np.tanh(np.dot(x, W_xh) + np.dot(H, W_hh) + b_h)
        found.append(H)
    return found


zeros = np.zeros((2, num_hiddens), ctx=lesson.ctx)
batches = [X for X, _ in data_iter_consecutive(my_seq, 2, 6, lesson.ctx)]
whole, carried, from_zeros = states(np.concatenate(batches, axis=1), zeros), [], []
for X in batches:
    carried += states(X, carried[-1] if carried else zeros)
    from_zeros += states(X, zeros)
print("step        " + " ".join(f"{t:6}" for t in range(1, 13)))
for name, found in (("carried", carried), ("from zeros", from_zeros)):
    print(f"{name:11} " + " ".join(f"{common.difference(a, b):6.3f}" for a, b in zip(found, whole)))

# %% [markdown]
# The table has the largest difference of a state from that of the network that read each row at once. Carried, the
# states are the same in every digit. From zeros, they differ from step 7 on, where the second window begins.
#
# Only the numbers of the state go on. If the gradient went back through the state into the batches before, the chain
# of operations would grow with each batch, until the whole epoch is one chain. The lesson `rnn_scratch.py` shows what
# cuts it.
#
# ## What is left out
#
# Neither sampler can use all of a text. The random one leaves out what does not fill a window at the end of the text,
# and the windows that do not fill a batch at the end of the epoch. These are other windows in each epoch. The
# consecutive one leaves out the end of the text where it does not fill all rows, and the end of each row. These are the
# same in each epoch.

# %%
print("batch_size  num_steps   random: batches   tokens read   consecutive: batches   tokens read")
for batch_size, num_steps in ((32, 35), (32, 10), (8, 35), (2, 100)):
    read = []
    for module in (d2lrnn.data_iter_random, d2lrnn.data_iter_consecutive):
        number = module(corpus.train, batch_size, num_steps).num_batches
        read += [number, number * batch_size * num_steps / len(corpus.train)]
    print(f"{batch_size:10} {num_steps:10} {read[0]:17,} {read[1]:13.1%} {read[2]:22,} {read[3]:13.1%}")

# %% [markdown]
# ## Summary
#
# * A vocabulary numbers the tokens of a text. The numbering depends on the text alone.
# * An example is a window of the text, and its label the window one token further.
# * Random sampling deals out windows in any order. Each batch begins with a state of zeros.
# * Consecutive sampling reads rows of the text side by side. A batch begins with the state that the one before it left.
#
# ## Exercises
#
# `tokens`, `corpus`, `my_seq`, `show` and both samplers are at hand for all of them.
#
# 1. Which numbers of 0 to 29 does each sampler leave out, as an example and as a label, for windows of 6 in batches of
#    two? Work it out, then print it.
#
# <details><summary>Solution 1</summary>
#
# For the random sampler $(30 - 1) / 6$, rounded down, makes 4 windows, in two batches. It reads 0 to 23 and leaves out
# 24 to 29. Its labels are 1 to 24, so 0 and 25 to 29 are no labels. The consecutive sampler has two rows of 15, and
# $(15 - 1) / 6$, rounded down, makes 2 windows in each. It reads 0 to 11 and 15 to 26, and leaves out 12 to 14 and 27
# to 29. Its labels are 1 to 12 and 16 to 27, so 0, 13 to 15, 28 and 29 are no labels. To print it:
#
# ```python
# for sampler in (data_iter_random, data_iter_consecutive):
#     batches = list(sampler(my_seq, 2, 6))
#     for part, name in enumerate(("examples", "labels")):
#         found = {i for batch in batches for i in batch[part].reshape(-1).tolist()}
#         print(f"{sampler.__name__}: {name} without {sorted(set(range(30)) - found)}")
# ```
#
# </details>
#
# 2. What other ways are there to make minibatches of a text?
#
# <details><summary>Solution 2</summary>
#
# Begin each epoch at another token, so that the windows are cut elsewhere (d2l 1.0 does so). Let windows overlap, at
# every possible place, for an epoch that is `num_steps` times as long. Draw the length of the windows anew for each
# batch (Merity, Keskar and Socher 2018): `d2lrnn.data_iter_varied`. Or read line by line: exercise 3.
#
# </details>
#
# 3. Each example is to be a whole sentence, or a whole line. What is then to be done about batches?
#
# <details><summary>Solution 3</summary>
#
# Lines have different lengths, and a minibatch is a rectangle. So shorter lines are *padded* to the length of the
# longest, and the padding must count in no loss. Lines of about equal length in one batch need little padding. The
# lesson `poetry.py` does this with `d2lrnn.data_iter_lines`.
#
# </details>
#
# 4. How does the number of batches change with `batch_size` and with `num_steps`? When is there no batch?
#
# <details><summary>Solution 4</summary>
#
# The number of tokens divided by both, about. The random sampler needs `batch_size * num_steps + 1` tokens for one
# batch, the consecutive one `batch_size * (num_steps + 1)`, since each row has a last label of its own. With fewer the
# module raises `CorpusTooShortError`.
#
# </details>
