# %% [markdown]
# # Word vectors
#
# (d2l-zh v1, sections 10.1, 10.5 and 10.6; d2l 1.0, sections 15.1, 15.5 and 15.7; Mikolov et al. 2013, arXiv 1301.3781;
# Pennington et al. 2014; Levy and Goldberg 2014)
#
# An embedding gives each token a vector, and a network reads the vectors in place of the tokens. Tokens that are used
# alike get vectors that are alike, so what is learnt of one helps with the other. Where do such vectors come from? A
# language model learns them while it learns to predict. They can be counted from a text. Or they come from a file, made
# from more text than we have. This lesson does all three by hand, compares words by the angle between their vectors,
# and trains a model that begins with the vectors of a file.
#
# The shipped lyrics are read as characters, and there are few of them. With `--corpus ptb` the tokens are words.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import common
import numpy
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn import ModelConfig, TrainConfig
from d2lrnn.data import data_iter_consecutive
from d2lrnn.models import set_values

lesson = common.begin(
    model=ModelConfig(cell="lstm", num_hiddens=128),
    training=TrainConfig(num_epochs=20, batch_size=20, num_steps=20, optimizer="adam", lr=0.01, theta=1.0),
    fixed=["num_layers", "prefix", "pred_period", "pred_len", "use_random_iter", "held_out"],
    quick={"max_tokens": None, "num_hiddens": 64, "num_epochs": 4, "batch_size": 20, "num_steps": 20},
)

# %% [markdown]
# ## A row of a matrix
#
# A one-hot vector times a matrix $\mathbf{E}$ is a row of the matrix. An embedding takes the row, with no product:
#
# $$\mathbf{x}_t = \mathrm{onehot}(w_t) \mathbf{E} = \mathbf{E}_{w_t}.$$

# %%
corpus = replace(lesson.corpus, valid=None, test=None).hold_out(0.1)
vocab, ctx = corpus.vocab, lesson.ctx
count = min(500 if lesson.quick else 1000, len(vocab))  # of the commonest tokens vectors are counted
size = min(lesson.model.num_hiddens, count)  # numbers of a vector
settings = replace(lesson.model, kind="gluon", embed_size=size, init_scale=0.1)


def new_model(**options):
    """Build a language model with an embedding, always from the same random numbers."""
    d2lrnn.set_seed(lesson.training.seed)
    return d2lrnn.build_model(replace(settings, **options), len(vocab), ctx)


model = new_model()
X, Y = next(data_iter_consecutive(corpus.train, 4, 5, ctx))
E = model.embedding.weight.data()
product = np.dot(npx.one_hot(X, len(vocab)), E)
print(f"ids {X.shape}, one-hot {(*X.shape, len(vocab))}, E {E.shape}, vectors {product.shape}")
print(f"the product and the rows of E: difference {common.difference(product, np.take(E, X, axis=0)):g}", end=", ")
print(f"and model.embedding(X): difference {common.difference(product, model.embedding(X)):g}")

# %% [markdown]
# The lesson `bigram_lstm.py` counts what the look-up saves.
#
# ## Vectors that a language model learns
#
# The matrix is a parameter like any other, and it learns while the model learns to predict the next token. With
# `--quick` the model reads no more than 6,000 tokens.

# %%
learnt_from = corpus.train[:6000] if lesson.quick else corpus.train
config = replace(lesson.training, prefixes=(), verbose=False)
print(f"{len(learnt_from):,} tokens, {len(vocab):,} different ones; {common.describe(config)}")
history = common.checked(d2lrnn.train_and_predict(model, replace(corpus, train=learnt_from), config))
print("perplexity on held-out text:", ", ".join(f"{value:.1f}" for value in history.valid))
learnt = d2lrnn.token_vectors(model, vocab)
print(f"learnt {learnt.shape}")

# %% [markdown]
# ## How near are two words?
#
# Two vectors are compared by the cosine of the angle between them:
#
# $$\cos(\mathbf{a}, \mathbf{b}) = \left(\frac{\mathbf{a}}{\|\mathbf{a}\|}\right)^\top
# \frac{\mathbf{b}}{\|\mathbf{b}\|}.$$
#
# It is 1 where they point the same way, whatever their lengths, and 0 where they are at right angles. The nearest
# tokens are those with the largest cosines. `d2lrnn.nearest_words` finds the same.


# %%
def unit(vectors):
    """Return vectors with the length 1; those of zeros stay zeros."""
    lengths = numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / numpy.where(lengths > 0, lengths, 1)


def nearest(direction, vectors, without, count=5):
    """Return the ids of the vectors with the largest cosines with a direction, and the cosines."""
    cosines = unit(vectors) @ unit(direction)
    order = [i for i in numpy.argsort(-cosines, kind="stable") if i not in without][:count]
    return order, cosines[order]


def named(found, cosines):
    """Return tokens, by their ids, with their cosines; a space or a line end is written as Python writes it."""
    tokens = [vocab.idx_to_token[j] for j in found]
    return "   ".join(f"{t if t.strip() else repr(t)} {cosine:.2f}" for t, cosine in zip(tokens, cosines))


wanted = ("雨", "窗", "我", "街", "monday", "president", "million", "two")
probes = [token for token in wanted if token in vocab and vocab.token_to_idx[token] < 1000]
probes = probes if len(probes) > 2 else vocab.idx_to_token[min(9, len(vocab) - 4) :][:4]
gaps = []
for token in probes:
    i = vocab.token_to_idx[token]
    found, cosines = nearest(learnt[i], learnt, [i])
    expected = d2lrnn.nearest_words(token, model, vocab, count=5)
    same = [vocab.idx_to_token[j] for j in found] == [name for name, _ in expected]
    gaps.append(max(abs(cosine - c) for (_, cosine), c in zip(expected, cosines)))
    print(f"{token!r:12} {named(found, cosines)}" + ("" if same else "  (nearest_words has others)"))
print(f"this is d2lrnn.nearest_words: the cosines differ by {max(gaps):.0e} at most")

# %% [markdown]
# ## Vectors from counts
#
# No network is needed. Count how often token $j$ stands within four tokens of token $i$, and compare the share of this
# pair among all pairs with what chance would give. The *positive pointwise mutual information* is
#
# $$M_{ij} = \max(0, \log P(i, j) - \log P(i) - \log P(j)).$$
#
# Row $i$ of $\mathbf{M}$ says in which company the token $i$ is found. The rows are long. A singular value
# decomposition $\mathbf{M} = \mathbf{U} \boldsymbol{\Sigma} \mathbf{V}^\top$ makes them short: the first columns of
# $\mathbf{U} \boldsymbol{\Sigma}^{1/2}$ keep most of what tells the rows apart. Levy and Goldberg showed that word2vec
# comes close to such a factorisation, and GloVe factorises counts too. Only the commonest tokens are counted here.

# %%
window = 4
pairs = numpy.zeros((count, count))
for distance in range(1, window + 1):
    left, right = corpus.train[:-distance], corpus.train[distance:]
    both = (left < count) & (right < count)  # the commonest tokens have the smallest ids
    numpy.add.at(pairs, (left[both], right[both]), 1)
pairs += pairs.T
P = pairs / pairs.sum()
with numpy.errstate(divide="ignore", invalid="ignore"):
    M = numpy.log(P / (P.sum(axis=1, keepdims=True) * P.sum(axis=0)))
M = numpy.where(P > 0, numpy.maximum(M, 0), 0)
U, sizes, _ = numpy.linalg.svd(M)
counted = U[:, :size] * numpy.sqrt(sizes[:size])
print(f"{len(corpus.train):,} tokens: pairs {pairs.shape}, of which {(pairs > 0).mean():.0%} occur", end="; ")
print(f"counted {counted.shape}")
for token in probes:
    i = vocab.token_to_idx[token]
    if i < count:
        found, cosines = nearest(counted[i], counted, [i])
        print(f"{token!r:12} {named(found, cosines)}")

# %% [markdown]
# Near are tokens that are found in the same company. Of the lyrics these are mostly the characters of one word or one
# phrase, since a character of a Chinese word brings the other with it. Of the Penn Treebank they are words of one kind:
# days, offices, numbers.
#
# Are the neighbours of the two sets of vectors more than chance? A simple test: how many of the 200 commonest tokens
# have a nearest one, among the 200, that also stands within two tokens of them somewhere in the text?

# %%
first = min(200, count)
beside = numpy.zeros((first, first), bool)
for distance in (1, 2):
    left, right = corpus.train[:-distance], corpus.train[distance:]
    both = (left < first) & (right < first)
    beside[left[both], right[both]] = True
beside |= beside.T
noise = numpy.random.normal(size=(first, size))
shares = {}
for name, vectors in (("counted", counted), ("learnt", learnt), ("random numbers", noise)):
    found = [nearest(vectors[i], vectors[:first], [i], 1)[0][0] for i in range(first)]
    shares[name] = float(numpy.mean([beside[i, j] for i, j in enumerate(found)]))
    print(f"{name:15} {shares[name]:.0%} of the nearest tokens stand beside the token in the text")

# %% [markdown]
# The counted vectors know the text's company by construction. The learnt ones serve another end, the prediction
# of the next token: near are tokens after which the same comes next, which can stand in each other's place. On
# the shipped lyrics another pronoun is near 我, such as 谁 or 它, where counting finds 们, which stands beside it.
# For most tokens such a text says too little. In this test the learnt vectors of the lyrics, and of the Penn
# Treebank, stay closer to random numbers than to the counted ones. A model needs far more text than a count
# does before its vectors mean something. With `--corpus ptb --max-tokens 200000 --num-epochs 4` they begin to:
# near *president* are *chairman*, *attorney* and *manager*, near *two* are *seven*, *three* and *four*.
#
# ## Analogies
#
# What is to *they* as *his* is to *he*? The differences of vectors answer it: his - he is about what their - they is.
# So the answer is the token nearest to his - he + they, with vectors of length 1, and without the three tokens
# themselves. `d2lrnn.analogy` does the same with the vectors of a model.


# %%
def analogy(a, b, c, vectors, count=4):
    """Return the tokens nearest to b - a + c, and the cosines; a, b and c are tokens."""
    ids = [vocab.token_to_idx[token] for token in (a, b, c)]
    from_a, to_b, from_c = unit(vectors[ids])
    found, cosines = nearest(to_b - from_a + from_c, vectors, ids, count)
    return [vocab.idx_to_token[j] for j in found], cosines


a, b, c = probes[:3]
found, cosines = analogy(a, b, c, learnt)
expected = d2lrnn.analogy(a, b, c, model, vocab, count=4)
same = found == [token for token, _ in expected]
gap = max(abs(cosine - other) for (_, cosine), other in zip(expected, cosines))
print(f"this is d2lrnn.analogy: {'the same tokens' if same else 'other tokens'}, cosines differ by {gap:.0e}")
questions = [("he", "his", "they"), ("is", "was", "are"), ("company", "companies", "bank")]
questions += [("来", "去", "上"), ("大", "小", "多")]  # which ask for 下 and 少
for question in questions:
    if all(token in vocab and vocab.token_to_idx[token] < count for token in question):
        a, b, c = question
        print(f"{a} is to {b} as {c} is to: {', '.join(analogy(*question, counted)[0])}")

# %% [markdown]
# The words of the Penn Treebank answer some questions: *their* comes first. How many of the others come out depends on
# how much is counted; the vectors that are known for their analogies were made from billions of words. Of the two
# questions to the shipped lyrics a full run answers one, with 少.
#
# ## Vectors from a file
#
# Vectors that others have made come as a text file: in each line a word and its numbers, separated by spaces, as GloVe
# writes it. word2vec's form has the number of words and of their numbers in a line above. Here the counted vectors are
# written to a file, scaled to the size that the model's other parameters begin with. `str` of a float32 writes as many
# digits as identify the number. The third line is spoilt, as lines of such files sometimes are.

# %%
values = (counted * (0.1 / counted.std())).astype("float32")
lines = [f"{token} {' '.join(map(str, row))}" for token, row in zip(vocab.idx_to_token, values)]
lines[2] = lines[2].rsplit(" ", 1)[0]
print(f"{lines[4][:40]} ...")
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "vectors.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    vectors = d2lrnn.read_vectors(path, vocab)
print(f"read: {' '.join(map(str, vectors.values[4][:3]))}")
print(f"{vectors.size} numbers each for {vectors.found.sum():,} of the {len(vocab):,} tokens")
for number, reason in vectors.malformed:
    print(f"line {number} is left out: {reason}")
gap = abs(vectors.values - numpy.pad(values, [(0, len(vocab) - count), (0, 0)]))[vectors.found].max()
print(f"what is read is what the file says: difference {gap:g}")

# %% [markdown]
# Each number becomes the float32 that is nearest to its digits, and only the words of the vocabulary are kept, however
# large the file is.
#
# The other tokens need vectors too. They get random numbers of the same scale, each token its own, or they share one
# vector, the mean of those that were found.

# %%
known = vectors.values[vectors.found].astype("float64")
shared, random = vectors.table(unknown="shared"), vectors.table(unknown="random")
lacking = ~vectors.found
print(f"shared: the {lacking.sum():,} tokens have {len(numpy.unique(shared[lacking], axis=0))} vector", end=", ")
print(f"difference from the mean {abs(shared[lacking] - known.mean(axis=0).astype('float32')).max():g}")
scale, known_scale = (float(numpy.sqrt((numbers**2).mean())) for numbers in (random[lacking], known))
print(f"random: {len(numpy.unique(random[lacking], axis=0)):,} vectors", end=", ")
print(f"root of the mean square {scale:.4f}, of those found {known_scale:.4f}")

# %% [markdown]
# ## Frozen, or trained further
#
# A model begins with the vectors of the file, and then there are two ways. *Frozen* vectors stay as they are: they get
# no gradient. Or they are trained further, *fine-tuned*, as all other parameters are. A third model begins with random
# vectors of the same scale. All three learn from a small part of the text, so that the vectors were counted on more
# text than the models read.

# %%
part = replace(corpus, train=corpus.train[: max(len(corpus.train) // 5, 2000)])
if lesson.quick:
    part = replace(part, train=part.train[:4000])
starts = {"random": new_model(), "fine-tuned": new_model(), "frozen": new_model(freeze_embedding=True)}
noise = numpy.random.normal(0, known_scale, shared.shape).astype("float32")
for name, start in starts.items():
    set_values(start.embedding.weight, noise if name == "random" else shared)
print("one minibatch   rows of the embedding with a gradient")
X, Y = next(data_iter_consecutive(part.train, config.batch_size, config.num_steps, ctx))
for name, start in starts.items():
    with autograd.record():
        logits, _ = start(X, start.begin_state(len(X)))
        loss = d2lrnn.cross_entropy(logits, Y)
    loss.backward()
    weight = start.embedding.weight
    rows = "no gradient" if weight.grad_req == "null" else f"{int((abs(weight.grad()).sum(axis=1) > 0).sum()):,}"
    print(f"{name:14}  {rows}; the batch has {len(set(X.reshape(-1).tolist())):,} different tokens")

# %%
print(f"{len(part.train):,} tokens to learn from; the vectors were counted on {len(corpus.train):,}")
print("vectors         training  held out: lowest  epoch  moved: tokens of the part  other tokens")
seen = numpy.isin(numpy.arange(len(vocab)), part.train)
for name, start in starts.items():
    before = d2lrnn.token_vectors(start, vocab)
    history = common.checked(d2lrnn.train_and_predict(start, part, config))
    moved, best = abs(d2lrnn.token_vectors(start, vocab) - before), min(history.valid)
    print(f"{name:14}  {history.trained[-1]:8.1f}  {best:16.1f}  {history.valid.index(best) + 1:5}", end="  ")
    print(f"{moved[seen].max():25.2g}  {moved[~seen].max(initial=0):12.2g}")

# %% [markdown]
# Frozen vectors do not move, and the model learns its text less closely. Fine-tuned vectors move where the text has
# their tokens. The others stay where the file put them, so the two groups drift apart. Does the file help on held-out
# text? Compare the first two rows: vectors counted on a text several times as large gain a few per cent at most.
# GloVe's files were made from billions of words.
#
# ## A map
#
# Vectors of many numbers are seen best on the plane in which they differ most. Its axes are the first two principal
# components: subtract the mean, decompose by SVD, keep two columns of $\mathbf{U} \boldsymbol{\Sigma}$.

# %%
table = d2lrnn.token_vectors(starts["frozen"], vocab)[:100]
U, sizes, _ = numpy.linalg.svd(table - table.mean(axis=0), full_matrices=False)
points = (U * sizes)[:, :2]
embedding = d2lrnn.embedding_map(starts["frozen"], vocab, count=100)
print(f"this is d2lrnn.embedding_map, apart from signs: difference {abs(abs(points) - abs(embedding.points)).max():g}")
print(f"the plane has {sum(sizes[:2] ** 2) / sum(sizes**2):.0%} of the variance")
path = lesson.picture("word_vectors")
d2lrnn.plot_embedding(embedding, path, lesson.title("Counted vectors of the 100 commonest tokens"))
common.show_picture(path)

# %% [markdown]
# Two of many dimensions show little of the whole: tokens that are near on the map need not be near in truth. Cosines
# say it.
#
# ## Summary
#
# * An embedding is a matrix, and a token's vector is a row of it. The look-up equals the product with a one-hot vector.
# * A language model learns the vectors that help it predict. Counts of company and an SVD give vectors without a
#   network, and from less text.
# * The cosine compares vectors. A difference of vectors carried over to another word answers analogies, if the text was
#   large.
# * A file of vectors is read as it is written. What it lacks gets random vectors or a shared one.
# * Frozen vectors get no gradient. Fine-tuned vectors move, but only those of tokens that the training has.
#
# ## Exercises
#
# `counted`, `learnt`, `values`, `vectors`, `model`, `starts`, `nearest`, `analogy` and `lesson` are at hand for all of
# them.
#
# 1. Do the same on the command line: write `lines` to a file `vectors.txt`, train with it, and ask for neighbours.
#
# <details><summary>Solution 1</summary>
#
# `d2lrnn train --corpus sample --vectors vectors.txt --freeze-vectors --out runs/vectors` begins with them, and
# `d2lrnn words runs/vectors --near 雨` prints the nearest tokens, with the cosines of `nearest(counted[i], counted,
# [i])`: a common factor of all vectors changes no cosine. The spoilt line's token has another vector.
#
# </details>
#
# 2. Why are $\mathbf{U} \boldsymbol{\Sigma}^{1/2}$ taken, and not the rows of $\mathbf{M}$ themselves? Compare the
#    neighbours by both.
#
# <details><summary>Solution 2</summary>
#
# `nearest(M[i], M, [i])` finds them by the rows. Two rows of $\mathbf{M}$ are alike only where both tokens were seen in
# the very same company. The short vectors also count company that is alike. They are also short enough for an
# embedding.
#
# </details>
#
# 3. A cosine does not see lengths. How long are the counted vectors of the commonest tokens, beside those of others?
#
# <details><summary>Solution 3</summary>
#
# `numpy.linalg.norm(counted, axis=1)` has the lengths by id, the commonest token first. The first few are shorter than
# the mean. Such tokens are found in every company, hardly more often than chance would have it, so their numbers in
# $\mathbf{M}$ are small.
#
# </details>
