# %% [markdown]
# # Data for a language model
#
# (d2l-zh v1, sections 6.1 and 6.3; d2l 1.0, section 9.2)
#
# A language model tells how likely a text $w_1, \ldots, w_T$ is, one token after the other:
#
# $$P(w_1, \ldots, w_T) = \prod_{t=1}^{T} P(w_t \mid w_1, \ldots, w_{t-1}).$$
#
# A network that learns these factors wants numbers, and minibatches of equal shape. This lesson goes from a text to
# both: tokens, a vocabulary, and two ways to cut a long row of ids into minibatches.

# %%
"""Data for a language model: from a text to a vocabulary, and from there to minibatches in two ways."""

from collections import Counter

import common
import numpy

from d2lrnn import UnknownTokenError, Vocab, data_iter_consecutive, data_iter_random

# %% [markdown]
# ## From text to ids
#
# A token is a character here, or a word in the Penn Treebank. The vocabulary numbers the tokens, the most frequent
# first. The numbering depends on the text alone, so that a model trained today can be read tomorrow.


# %%
def vocabulary():
    """Number the characters of a line, and turn the line into ids and back."""
    common.section("1. A vocabulary")
    text = "the rain the train"
    vocab = Vocab(text)
    ids = vocab.encode(text)
    print(f"text                {text!r}")
    print(f"tokens by id        {' '.join(map(repr, vocab.idx_to_token))}")
    print(f"ids                 {' '.join(map(str, ids))}")
    print(f"and back            {vocab.decode(ids)!r}")
    try:
        vocab.encode("the sun")
    except UnknownTokenError as error:
        print(f"another character   {error}")


# %% [markdown]
# The same with a whole corpus. Its line ends have become spaces (in the Penn Treebank the token `<eos>`), so that the
# model learns where lines end.


# %%
def the_corpus(lesson):
    """Show where the corpus begins, as text and as ids."""
    common.section("2. The corpus")
    corpus = lesson.corpus
    print(f"it begins           {corpus.vocab.decode(corpus.train[:24])}")
    print(f"as ids              {' '.join(map(str, corpus.train[:24]))}")
    print(f"shape and type      {corpus.train.shape} {corpus.train.dtype}")


# %% [markdown]
# ## How often the tokens come
#
# Zipf found that the $i$-th most frequent word comes about $n_i \propto 1 / i^\alpha$ times, a straight line where both
# axes are logarithmic. Pairs and triples of tokens fall off in the same way, but most of those that are possible never
# come at all. So a model that merely counted them would have nothing to say about most texts, which is the reason to
# train a network instead.


# %%
def frequencies(lesson):
    """Count single tokens, pairs and triples; print the commonest, and draw all over their rank."""
    from d2l import mxnet as d2l

    common.section("3. How often the tokens come")
    tokens = [lesson.corpus.vocab.idx_to_token[i] for i in lesson.corpus.train]
    counts = {
        "single tokens": Counter((a,) for a in tokens),
        "pairs": Counter(zip(tokens, tokens[1:])),
        "triples": Counter(zip(tokens, tokens[1:], tokens[2:])),
    }
    glue = "" if lesson.corpus.vocab.level == "char" else " "
    for name, count in counts.items():
        print(f"{name:14}{len(count):8,} different, {sum(n == 1 for n in count.values()) / len(count):.0%} come once")
        print(" " * 14 + ", ".join(f"{glue.join(t)!r} {n:,}" for t, n in count.most_common(6)))
    ranks = [[n for _, n in count.most_common()] for count in counts.values()]
    path = lesson.out / "token_frequencies.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    X = [list(range(1, len(n) + 1)) for n in ranks]
    d2l.plot(X, ranks, "rank", "times it comes", list(counts), xscale="log", yscale="log", figsize=(5.5, 3.6))
    d2l.plt.title(lesson.title("Frequencies"))
    d2l.plt.savefig(path, dpi=120, bbox_inches="tight")
    d2l.plt.close()
    common.saved(path)


# %% [markdown]
# ## Minibatches
#
# The model reads a window of `num_steps` tokens and predicts each next one: the targets $Y$ are $X$ moved on by one.
# *Random sampling* deals the windows out in any order. *Consecutive sampling* cuts the text into `batch_size` rows,
# and the next batch goes on in every row where the last one ended, so that the state can be carried along. A sequence
# that merely counts shows it best.


# %%
def tiny_batches():
    """Cut 0, 1, 2 ... 29 into batches of 2 x 6 in both ways."""
    common.section("4. The two samplers on 0 ... 29, batch_size 2, num_steps 6")
    for sampler in (data_iter_random, data_iter_consecutive):
        print(f"{sampler.__name__}")
        for X, Y in sampler(numpy.arange(30), batch_size=2, num_steps=6):
            for x, y in zip(X.asnumpy(), Y.asnumpy()):
                print("   X ", *(f"{i:2}" for i in x), "    Y ", *(f"{i:2}" for i in y))
            print()
    print("Look at the first row of each batch: 0 ... 5 goes on with 6 ... 11 in the second sampler, not in the first.")


# %% [markdown]
# With the book's 32 rows of 35 tokens, an epoch over the first 10,000 characters is 8 batches.


# %%
def corpus_batches(lesson):
    """Cut the corpus in both ways and read the first rows of the first two batches."""
    common.section("5. The two samplers on the corpus")
    corpus, config = lesson.corpus, lesson.training
    for sampler in (data_iter_random, data_iter_consecutive):
        batches = list(sampler(corpus.train, config.batch_size, config.num_steps, lesson.ctx))
        X, Y = batches[0]
        print(f"{sampler.__name__}: {len(batches):,} batches; X {X.shape} and Y {Y.shape} of {X.dtype}")
        for i, (X, _) in enumerate(batches[:2]):
            print(f"   batch {i}, row 0 of X: {corpus.vocab.decode(X[0].asnumpy())!r}")


# %% [markdown]
# ## Exercises
#
# 1. Which tokens of 0 ... 29 does each sampler leave out? Work it out first, then print them. What of them comes back
#    in another epoch?
# 2. How does the number of batches change with `batch_size` and with `num_steps`? When is there none, and what does
#    the sampler say then?
# 3. Consecutive rows follow one another, yet neighbouring rows of one batch do not. Why is that no harm?
# 4. Draw the frequencies of `--corpus timemachine` and of `--corpus ptb`. In which does Zipf's straight line fit, and
#    where does it bend?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(__doc__, argv, fixed=["prefix"])
    common.opening("Data for a language model", lesson)
    vocabulary()
    the_corpus(lesson)
    frequencies(lesson)
    tiny_batches()
    corpus_batches(lesson)


# %%
if __name__ == "__main__":
    main()
