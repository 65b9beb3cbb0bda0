# %% [markdown]
# # Sentence pairs and padding
#
# (d2l-zh v1, section 10.12; d2l 1.0, section 10.5; the seq2seq tutorial of TensorFlow 1)
#
# A translator learns from pairs: a sentence, and the same sentence in another language. A language model reads one long
# row, which can be cut anywhere. Sentences cannot be cut, and hardly two pairs have the same lengths, yet a minibatch
# is a rectangle. This lesson goes from a file of pairs to minibatches. It brings sentences to one form, splits both
# sides into tokens, holds sentences back for the test, and numbers the tokens. It pads by hand, computes the loss that
# leaves padding out, and shows that two ways to make minibatches give the same loss.
#
# The pairs are the 120 English and Chinese ones that ship with the project. With `--data cmn` they are 20,133 pairs of
# Tatoeba, which are looked for in the folder `D2LRNN_DATA`, or downloaded.

# %%
import re
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path

import common
import numpy
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.data import (
    PairBatching,
    PairExamples,
    buckets_for,
    data_iter_pairs,
    load_pairs,
    read_pairs,
    sentence_of,
    tokens_of,
)
from d2lrnn.plotting import COLOURS, new_figure

lesson = common.begin(corpus=None, data=("sample_pairs", "cmn"))

# %% [markdown]
# ## From rows to pairs
#
# A row of the file has a sentence, a tab, and its translation. Anki's files, and d2l's, have a third column that says
# who wrote the two. The same sentence can be typed in many ways: with a no-break space, with an accent that is a
# character of its own, with a typographic apostrophe. To a computer these are different sentences, so each is brought
# to one form first.


# %%
def normalise(text):
    """Return a sentence in one form, whichever way it was typed."""
    text = unicodedata.normalize("NFC", text)  # an accent is part of its letter
    text = re.sub(r"\s+", " ", text).strip()  # a no-break space is a space, and so are several
    return re.sub(r"(?<=[a-z])\u2019(?=[a-z])", "'", text)


raw = "How are\u00a0you?\t你好吗？\tCC-BY: somebody\nI don\u2019t  know.\t我不知道。\nA cafe\u0301 \t咖啡馆\n"
rows = []
for line in raw.splitlines():
    source, target = line.split("\t")[:2]
    rows.append((normalise(source), normalise(target)))
    typed, brought = (text.encode("ascii", "namereplace").decode() for text in (source, rows[-1][0]))
    print(f"'{typed}' becomes '{brought}'")
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "rows.txt"
    path.write_text(raw, encoding="utf-8")
    found = [(pair.source, pair.target) for pair in read_pairs(path)]
    print(f"this is d2lrnn.data.read_pairs: {'the same pairs' if found == rows else 'other pairs'}")
    path.write_text(f"{raw}Thank you.\n", encoding="utf-8")
    try:
        read_pairs(path)
    except d2lrnn.D2lrnnError as error:
        print(f"a row without a tab: {str(error).replace(str(path), path.name)}")

# %% [markdown]
# The form NFC keeps the full-width signs of Chinese, such as `？`. The form NFKC would replace them by those of
# English, and then no translation could have them.
#
# The file of this lesson has these rows, among others:

# %%
corpus = load_pairs(lesson.data)
splits = {"training": corpus.train, "validation": corpus.valid, "test": corpus.test}
pairs = sorted((pair for split in splits.values() for pair in split.pairs), key=lambda pair: pair.row)
print(f"{len(pairs):,} pairs")
for i in range(0, len(pairs), len(pairs) // 6):
    print(f"row {pairs[i].row:6,}  {pairs[i].source}  {pairs[i].target}")

# %% [markdown]
# ## Tokens on both sides
#
# English is read in words: in small letters, with each sign of punctuation as a token of its own, so that `moon` is one
# token whether or not a full stop follows. Chinese has no spaces between words, so here its characters are the tokens.
# The two sides of a pair need not have tokens of the same kind.


# %%
def tokenize(sentence, level):
    """Split a sentence into words and signs, or into characters."""
    if level == "char":
        return list(sentence)
    return re.sub(r"([^\w\s])", r" \1 ", sentence.lower()).split()


levels = (corpus.source.level, corpus.target.level)
for pair in pairs[:: len(pairs) // 3][:3]:
    print("   ".join(" ".join(tokenize(side, level)) for side, level in zip(pair, levels)))
other = [pair.source for pair in pairs if tokenize(pair.source, levels[0]) != tokens_of(pair.source, levels[0])]
print(f"d2lrnn.data.tokens_of splits {len(pairs) - len(other):,} of {len(pairs):,} sources as above")
for sentence in other[:2]:
    print(f"  another one: {' '.join(tokens_of(sentence, levels[0]))}")

# %% [markdown]
# The module differs where a sign stands within a word or a number: it keeps `don't` and `3.14` whole. Joining tokens is
# the inverse, but for spaces and capital letters.

# %%
joined = [sentence_of(tokens_of(pair.source, levels[0]), levels[0]) for pair in pairs]
same = sum(text == pair.source.lower() for text, pair in zip(joined, pairs))
print(f"{joined[-1]!r}: {same:,} of {len(pairs):,} sources come back, in small letters")

# %% [markdown]
# ## The split is by sentence
#
# What a model has been trained on says nothing about how well it translates. So some pairs are kept for the test, and
# some for validation. Dividing the *rows* at random would be wrong: a sentence can have several translations, each in a
# row of its own. Then the test would ask for a sentence that the training has answered. So the different source
# sentences are shuffled, and each takes all of its rows along.

# %%


def key(pair):
    """Return what makes two source sentences the same: spaces and capital letters do not count."""
    return "".join(pair.source.casefold().split())


keys = [key(pair) for pair in pairs]
sources = list(dict.fromkeys(keys))
order = numpy.random.RandomState(2014).permutation(len(sources))
held_out = min(1000, len(sources) // 10)
place = {sources[i]: n for n, i in enumerate(order)}
split_of = {pair: ("test", "validation", "training")[min(place[one] // held_out, 2)] for pair, one in zip(pairs, keys)}
for name, split in splits.items():
    same = list(split.pairs) == [pair for pair in pairs if split_of[pair] == name]
    print(f"{name:10} {len(split):6,} pairs of {len(split.sentences()):6,} sentences", end="; ")
    print(f"by hand: {'the same pairs' if same else 'other pairs'}")
trained_on = set(map(key, corpus.train.pairs))
known = {"by sentence": numpy.mean([key(pair) in trained_on for pair in corpus.test.pairs])}
by_row = []
for _ in range(20):
    test, train = numpy.split(numpy.random.permutation(len(pairs)), [held_out])
    seen = {keys[i] for i in train}
    by_row.append(numpy.mean([keys[i] in seen for i in test]))
known["by row"] = numpy.mean(by_row)
for name, share in known.items():
    print(f"split {name}: {share:.1%} of the tested sentences are in the training")
sentence = max(corpus.train.sentences(), key=lambda sentence: len(sentence.references))
print(f"{sentence.text} {' '.join(sentence.references[:4])}")

# %% [markdown]
# All translations of a sentence of the test are kept, since each of them is right.
#
# ## The vocabulary
#
# Each side has its own vocabulary. Four tokens stand before all others. `<pad>` fills up rows, `<bos>` begins a
# sentence that is written, `<eos>` ends it, and `<unk>` stands for what the vocabulary lacks. A word that comes once in
# the training cannot be learnt well, so a token that comes less often than `min_count` is `<unk>` too. The counts are
# those of the training alone: a word of the test that the training lacks is unknown.

# %%
special = ["<pad>", "<bos>", "<eos>", "<unk>"]
PAD, BOS, EOS, UNK = range(4)


def tokens_in(split, side):
    """Return all tokens of a side (0: source, 1: target) of the pairs of a split."""
    return [token for pair in split.pairs for token in tokens_of(pair[side], levels[side])]


def vocabulary(counts, min_count):
    """Return tokens by id: the special ones, then the most frequent first."""
    kept = [token for token, count in counts.items() if count >= min_count]
    return [*special, *sorted(kept, key=lambda token: (-counts[token], token))]


unknown = {}
for side, vocab in enumerate((corpus.source, corpus.target)):
    name, counts, held = (
        ("source", "target")[side],
        Counter(tokens_in(corpus.train, side)),
        tokens_in(corpus.valid, side),
    )
    same = vocabulary(counts, 2) == list(vocab.idx_to_token)
    print(f"{name}: {len(vocab):,} tokens, {' '.join(vocab.idx_to_token[:14])}", end="; ")
    print("by hand the same" if same else "by hand others")
    print("min_count  tokens  unknown: training  validation")
    for min_count in (1, 2, 3, 5, 10):
        kept = set(vocabulary(counts, min_count))
        share = sum(count for token, count in counts.items() if token not in kept) / sum(counts.values())
        unknown[name, min_count] = len(kept), share, numpy.mean([token not in kept for token in held])
        print("{:9}  {:6,}  {:17.2%}  {:10.2%}".format(min_count, *unknown[name, min_count]))

# %% [markdown]
# A larger `min_count` makes the model smaller and `<unk>` more frequent. With the smallest one no token of the training
# is unknown, so the model could not learn what to do with an unknown one. The default is 2.
#
# ## How long the sentences are
#
# A source of $n$ tokens takes $n$ steps. A target takes one step more, since its end has to be predicted too.

# %%
lengths = numpy.array(
    [(len(source), len(target) + 1) for source, target in zip(corpus.train.sources, corpus.train.targets)]
)
figure, panels = new_figure(f"Lengths of the training pairs of {corpus.name}", 2, (8, 3.4))
for side, (name, panel) in enumerate(zip(("source", "target with <eos>"), panels)):
    steps = lengths[:, side]
    print(f"{name}: from {steps.min()} to {steps.max()} tokens, {steps.mean():.1f} on average", end="; ")
    print(f"{1 - steps.mean() / steps.max():.0%} padding if all were as long as the longest")
    panel.bar(numpy.arange(steps.max() + 1), numpy.bincount(steps), color=COLOURS[side])
    panel.set_axisbelow(True)
    panel.set_xlabel(f"tokens of the {name}")
panels[0].set_ylabel("number of pairs")
common.save_figure(figure, lesson.picture("machine_translation_data"))
together = numpy.corrcoef(lengths.T)[0, 1]
print(
    f"the correlation of both lengths is {together:.2f}; {len(set(map(tuple, lengths))):,} different pairs of lengths"
)

# %% [markdown]
# A few long sentences make all others expensive if every row is as long as the longest. Longer sources have longer
# translations, so pairs whose sources are alike in length go well together.
#
# ## Padding by hand
#
# A source is padded in *front*, so that its last token is read last, just before the decoder begins. By choice it is
# reversed. A target is padded *behind*, since the decoder writes from the left. The target is needed twice, shifted by
# one step: the decoder reads `Y_in`, which begins with `<bos>`, and is to predict `Y_out`, which ends with `<eos>`. So
# at each step it reads the right token before the one that it is to predict; this is called *teacher forcing*. The mask
# `counted` is 1 for tokens of the source, the weights are 1 for tokens of `Y_out`, and both are 0 for padding.


# %%
def batch_of(sources, targets, source_size, target_size, reverse=False):
    """Return X, counted, Y_in, Y_out and weights for pairs of ids, padded to these sizes."""
    X, Y_in, Y_out = (numpy.full((len(sources), size), PAD) for size in (source_size, target_size, target_size))
    counted, weights = numpy.zeros(X.shape), numpy.zeros(Y_in.shape)
    for i, (source, target) in enumerate(zip(sources, targets)):
        begin, end = source_size - len(source), len(target) + 1
        X[i, begin:] = source[::-1] if reverse else source
        counted[i, begin:] = 1
        Y_in[i, :end] = [BOS, *target]
        Y_out[i, :end] = [*target, EOS]
        weights[i, :end] = 1
    X, Y_in, Y_out = (np.array(ids, dtype="int32", ctx=lesson.ctx) for ids in (X, Y_in, Y_out))
    return X, np.array(counted, ctx=lesson.ctx), Y_in, Y_out, np.array(weights, ctx=lesson.ctx)


def show(ids, vocab):
    """Print rows of ids as tokens."""
    for row in ids.asnumpy():
        print("   " + " ".join(vocab.idx_to_token[i] for i in row))


by_length = numpy.argsort(lengths[:, 0], kind="stable")
chosen = [by_length[int(share * len(by_length))] for share in (0.05, 0.4, 0.7, 0.95)]
few = PairExamples(
    *([part[i] for i in chosen] for part in (corpus.train.pairs, corpus.train.sources, corpus.train.targets))
)
size = tuple(lengths[chosen].max(axis=0).tolist())
for reverse in (False, True):
    X, counted, Y_in, Y_out, weights = batch = batch_of(few.sources, few.targets, *size, reverse)
    print(f"X {X.shape}{', reversed' if reverse else ''}")
    show(X, corpus.source)
    batching = PairBatching(4, "buckets", (size,), reverse)
    (expected,) = data_iter_pairs(few, batching, lesson.ctx)
    gaps = [common.difference(mine.astype("float32"), its.astype("float32")) for mine, its in zip(batch, expected)]
    print(f"this is d2lrnn.data.data_iter_pairs: difference {max(gaps):g}")
for name, ids in (("Y_in", Y_in), ("Y_out", Y_out)):
    print(f"{name} {ids.shape}")
    show(ids, corpus.target)
print(f"weights\n{weights.astype(int)}")

# %% [markdown]
# Sutskever, Vinyals and Le (2014, arXiv 1409.3215) reversed the source. The first words of the source are then read
# last, and the decoder writes their translations first, so the way from the one to the other is short. The average way
# is not shorter, but the decoder begins well more easily.
#
# ## The loss and its weights
#
# The loss is that of a language model of the target. With the weight $w_{it}$ of token $t$ of row $i$ and the
# probability $\hat{y}_{it}$ that the model gives to the right token,
#
# $$L = - \frac{\sum_{i,t} w_{it} \log(\hat{y}_{it})}{\sum_{i,t} w_{it}}.$$
#
# The sum of the weights is the number of tokens that are no padding. A mean over all places would be another number,
# and it would change with the amount of padding. The translator here has random parameters; the lesson
# `encoder_decoder.py` builds one.

# %%
config = d2lrnn.ModelConfig(
    num_hiddens=32, embed_size=16, init_scale=0.8, head="translation", num_outputs=len(corpus.target)
)
model = d2lrnn.build_model(config, len(corpus.source), lesson.ctx)
logits, _ = model(X, model.begin_state(len(X)), counted, Y_in)
logits = logits.reshape(size[1], len(X), -1)  # (target steps, batch_size, vocab_size)
logits.attach_grad()
with autograd.record():
    log_p = npx.pick(npx.log_softmax(logits), Y_out.T)  # (target steps, batch_size)
    loss = -(weights.T * log_p).sum() / weights.sum()
loss.backward()
objective = d2lrnn.NextTargetToken(len(corpus.target))
outcome = objective.loss(model, (X, counted, Y_in, Y_out, weights), None)
print(f"logits {logits.shape}; {int(weights.sum())} of {weights.size} places of Y_out count")
print(f"the loss is {float(loss):.4f}; a mean over all places would be {float(-log_p.mean()):.4f}")
print(f"this is d2lrnn.NextTargetToken: difference {common.difference(loss, outcome.loss):.0e}")
at_padding = (np.expand_dims(1 - weights.T, 2) * logits.grad).reshape(-1)
print(f"the largest gradient of a logit at padding is {float(abs(at_padding).max()):g}")

# %% [markdown]
# ## Padding changes nothing
#
# Weights keep the padding of the target out of the loss. It stands behind the tokens, and a decoder reads from the
# left, so no token that counts has read it. The padding of the source stands in front, and would be read first. With
# the mask $m_t$ a padded step leaves the state of the encoder as it was:
#
# $$\mathbf{H}_t = m_t f(\mathbf{X}_t, \mathbf{H}_{t-1}) + (1 - m_t) \mathbf{H}_{t-1}.$$
#
# So the first token of a source is read from the initial state, as if no padding stood before it. Below, other ids are
# put in place of `<pad>`.


# %%
def counting_logits(X, counted, Y_in):
    """Return the logits at the places that count."""
    logits, _ = model(X, model.begin_state(len(X)), counted, Y_in)
    return np.expand_dims(weights[: len(X)].T, 2) * logits.reshape(Y_in.shape[1], len(X), -1)


expected = counting_logits(X, counted, Y_in)
other_X = np.where(counted > 0, X, np.full_like(X, len(corpus.source) - 1))
other_Y = np.where(weights > 0, Y_in, np.full_like(Y_in, len(corpus.target) - 1))
changes = {
    "other ids in the padding of the target": counting_logits(X, counted, other_Y),
    "other ids in the padding of the source, with the mask": counting_logits(other_X, counted, Y_in),
    "other ids in the padding of the source, without it": counting_logits(other_X, None, Y_in),
}
for name, found in changes.items():
    print(f"{name}: the logits change by {common.difference(found, expected):.1g}")
gaps = []
for i, length in enumerate(map(len, few.sources)):
    end = int(weights[i].sum())
    alone, _ = model(X[i : i + 1, -length:], model.begin_state(1), None, Y_in[i : i + 1, :end])
    gaps.append(common.difference(alone, expected[:end, i]))
print(f"each pair alone, without padding: the logits differ by {max(gaps):.0e} at most")

# %% [markdown]
# The last line differs by rounding alone: products of other sizes add up their numbers in another order.
#
# ## Two ways to make minibatches
#
# TensorFlow's tutorial divides the pairs into *buckets*, such as (5, 10), (10, 15), (20, 25) and (40, 50). A pair is in
# the first bucket that holds its source and its target, and is padded to the size of the bucket. So there are as many
# shapes as buckets, and each had its own graph. `buckets_for` chooses sizes that fit the pairs: half of the sources are
# no longer than the first source size, three quarters no longer than the second, and so on.
#
# The other way is to take *sources of equal length* together. No source is padded then, and no mask is needed. Only
# targets are padded, to the longest of their batch. Shuffling still changes which pairs meet. Below, both ways are held
# against minibatches that are all of one size. All compute the loss of the same pairs with the same model.


# %%
def add_up(how, buckets=(), reverse=False, masked=True):
    """Return the mean loss of the training pairs, the number of batches and of source sizes, and shares of padding."""
    total, count, sizes, padding = 0.0, 0, [], numpy.zeros((2, 2))
    for X, counted, Y_in, Y_out, weights in data_iter_pairs(part, PairBatching(16, how, buckets, reverse), lesson.ctx):
        batch = (X, counted if masked else None, Y_in, Y_out, weights)
        total += float(objective.loss(model, batch, None).score)
        count += objective.count(batch)
        sizes.append(X.shape[1])
        places = X.size if counted is None else float(counted.sum())
        padding += [[places, X.size], [float(weights.sum()), Y_out.size]]
    padding = 1 - padding[:, 0] / padding[:, 1]
    return total / count, len(sizes), len(set(sizes)), *padding


some = slice(None, None, max(1, len(lengths) // 800))
part = PairExamples(*(column[some] for column in (corpus.train.pairs, corpus.train.sources, corpus.train.targets)))
one_size = (tuple(lengths[some].max(axis=0).tolist()),)
print(f"buckets: {', '.join(map(str, buckets_for(part)))}")
ways = {
    "one size": add_up("buckets", one_size),
    "buckets": add_up("buckets"),
    "equal lengths": add_up("lengths"),
    "one size, reversed": add_up("buckets", one_size, reverse=True),
    "buckets, reversed": add_up("buckets", reverse=True),
    "equal lengths, reversed": add_up("lengths", reverse=True),
    "buckets, no mask": add_up("buckets", masked=False),
}
print("way                         loss      batches  source sizes  padding: source  target")
for name, (loss, *counts, source, target) in ways.items():
    print(f"{name:24}  {loss:.7f}  {counts[0]:8}  {counts[1]:12}  {source:15.0%}  {target:6.0%}")
for end in ("", ", reversed"):
    losses = [ways[f"{name}{end}"][0] for name in ("one size", "buckets", "equal lengths")]
    print(f"the largest difference of the three losses{end}: {max(losses) - min(losses):.0e}")

# %% [markdown]
# The losses are equal but for rounding, so the way is a question of time, not of what is learnt from. A reversed source
# is another input, and has another loss. In the last row the encoder reads the padding, as TensorFlow's did. Then a
# pair's loss depends on the bucket that it happens to be in. A trained model gets used to that, since it sees `<pad>`
# often. It has to learn it all the same.
#
# `d2lrnn train --batching lengths` and `--batching buckets` choose between the two, and `--reverse-source` reverses.
#
# ## Summary
#
# * Sentences are brought to one form and split into tokens. Both sides have a vocabulary of their own, which begins
#   with `<pad>`, `<bos>`, `<eos>` and `<unk>`.
# * The pairs are split by source sentence, since one sentence can stand in several rows.
# * The decoder reads the target behind `<bos>` and predicts it up to `<eos>`.
# * Weights keep the padding of targets out of the loss, and a mask keeps that of sources out of the state. Then padding
#   changes nothing but the time.
# * Buckets pad to a few sizes. Batches of equally long sources need no padding of sources.
#
# ## Exercises
#
# `corpus`, `pairs`, `lengths`, `batch_of`, `model`, `add_up` and `lesson` are at hand for all of them.
#
# 1. Read English in characters too, by `load_pairs(lesson.data, form=d2lrnn.data.PairForm(levels=("char", "char")))`.
#    What happens to lengths and vocabularies?
#
# <details><summary>Solution 1</summary>
#
# Of the shipped pairs, the sources of the training have 30.9 characters on average in place of 7.5 words, and their
# vocabulary has 35 entries in place of 62. The network has to carry a meaning over more than four times as many steps.
# On the other hand nearly every word can be spelt, so nearly nothing is unknown.
#
# </details>
#
# 2. A source reversed: how many steps lie between reading the token at place $k$ of $n$, counted from 1, and writing
#    the token at place $k$ of the target? Compare both directions.
#
# <details><summary>Solution 2</summary>
#
# Read from the left, token $k$ is read in step $k$ and its counterpart written in step $n + k$: always $n$ steps.
# Reversed, it is read in step $n + 1 - k$, so there are $2k - 1$ steps: 1 for the first token and $2n - 1$ for the
# last. The average over all places is $n$ in both cases.
#
# </details>
#
# 3. Why is `<eos>` in the loss and `<bos>` not?
#
# <details><summary>Solution 3</summary>
#
# The model has to find out itself where a translation ends, so it is to predict `<eos>`. That a sentence begins is
# given: `<bos>` is in `Y_in` alone, and the module never writes it.
#
# </details>
#
# 4. Put the padding of the sources behind, with the mask: `counted` then is 1 in front. Does the loss change?
#
# <details><summary>Solution 4</summary>
#
# No. Behind the last token the mask keeps the state as it is, so the decoder begins from the same state. Without a mask
# it matters: padding in front is read before the sentence, from which the network may recover, while padding behind is
# the last thing that it has read.
#
# </details>
#
# 5. How many source sizes and batches would a file of a million pairs have in each way? Which way suits a framework
#    that builds a graph for each shape?
#
# <details><summary>Solution 5</summary>
#
# Buckets have as many shapes as there are buckets, however large the file is. Equal lengths have a shape for each
# length of a source and of a longest target. Where a graph costs seconds, as in TensorFlow 1, buckets are the better
# way. Here a shape costs little, for the layers take any number of steps.
#
# </details>
