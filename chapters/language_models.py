# %% [markdown]
# # Language models
#
# (d2l-zh v1, section 6.1; d2l 1.0, sections 9.2 and 9.3; Shannon 1948)
#
# The three syllables `xia yu le` may be 下雨了 (it is raining) or 下鱼了 (it is raining fish). A program that turns
# what was typed or said into characters has to choose, so it needs to know which of the two texts is the likelier one.
# A translator who can put the same words into several orders has the same question. A *language model* answers it: it
# gives each text a probability. This lesson builds the oldest language models, those that count. It measures them on a
# text that they have not read, and finds out where counting ends. That end is the reason for the recurrent networks of
# the other lessons.

# %%
import math
import random
from collections import Counter, defaultdict

import common
import numpy

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(fixed=["prefix", "held_out"], quick={"max_tokens": 10_000})

# %% [markdown]
# ## What a language model computes
#
# A text is a sequence of tokens $w_1, w_2, \ldots, w_T$. The tokens are characters here, and words in the Penn
# Treebank. By the chain rule of probability, the probability of the text is a product. Each factor is the probability
# of one token after all those before it:
#
# $$P(w_1, w_2, \ldots, w_T) = \prod_{t=1}^T P(w_t \mid w_1, \ldots, w_{t-1}).$$
#
# For a text of four tokens this is
#
# $$P(w_1, w_2, w_3, w_4) = P(w_1) P(w_2 \mid w_1) P(w_3 \mid w_1, w_2) P(w_4 \mid w_1, w_2, w_3).$$
#
# So a language model is a rule that says, after any beginning of a text, how likely each token is as the next one. We
# learn the rule from the first nine tenths of the corpus. The last tenth is held out: it shows later how good the rule
# is on a text that it does not come from.

# %%
vocab, vocab_size = lesson.corpus.vocab, lesson.corpus.vocab_size
glue = " " if vocab.level == "word" else ""
tokens = [vocab.idx_to_token[i] for i in lesson.corpus.train]
cut = len(tokens) * 9 // 10
train, test = tokens[:cut], tokens[cut:]
for name, part in (("training", train), ("held-out", test)):
    print(f"{name} text: {len(part):6,} tokens; it begins {glue.join(part[:16])!r}")

# %% [markdown]
# ## Relative frequencies
#
# Let $n(w_1, \ldots, w_k)$ be how often these tokens follow one another in the training text, and $n$ the number of
# all its tokens. The simplest estimates of the probabilities are relative frequencies:
#
# $$\hat{P}(w_1) = \frac{n(w_1)}{n}, \qquad
# \hat{P}(w_2 \mid w_1) = \frac{n(w_1, w_2)}{n(w_1)}, \qquad
# \hat{P}(w_3 \mid w_1, w_2) = \frac{n(w_1, w_2, w_3)}{n(w_1, w_2)}.$$
#
# A `Counter` counts them in one line. We let the text go on from its end to its beginning, so that its last tokens
# have a next one too; then the probabilities after each context add up to 1.


# %%
def count(tokens, n):
    """Count each sequence of n tokens; the text is read as a ring."""
    ring = tokens + tokens[: n - 1]
    return Counter(zip(*(ring[i:] for i in range(n))))


counts = {n: count(train, n) for n in range(1, 6)}
counts[0] = {(): len(train)}  # the empty sequence stands before each token

frequent = next(token for (token,), _ in counts[1].most_common() if token not in (" ", d2lrnn.data.EOS))
followers = Counter({pair[1]: n for pair, n in counts[2].items() if pair[0] == frequent})
n = counts[1][(frequent,)]
print(f"{frequent!r} comes {n:,} times: P = {n}/{len(train)} = {n / len(train):.4f}")
print(f"after {frequent!r}, of {len(followers)} different tokens, come most often")
for token, pairs in followers.most_common(5):
    print(f"  {token!r:8} {pairs:4} times: P = {pairs}/{n} = {pairs / n:.4f}")
print(f"the probabilities of all {len(followers)} add up to {sum(followers.values()) / n:g}")

# %% [markdown]
# This works for short contexts. The chain rule asks for long ones: its last factor needs the count of the whole text
# but its last token. Take eight tokens of the held-out text of which the first three stand in the training text. Here
# is how often the first one comes there, the first two, and so on.

# %%
known, eight = counts[3], count(train, 8)
start = next(i for i in range(len(test)) if tuple(test[i : i + 3]) in known and tuple(test[i : i + 8]) not in eight)
for k in range(1, 9):
    begin = tuple(test[start : start + k])
    print(f"n({glue.join(begin)}) = {count(train, k)[begin]:,}")

# %% [markdown]
# At last the count is 0: nobody has written just this before. The token with which this happens has a $\hat{P}$ of 0.
# For each token after it, $\hat{P}$ is 0 divided by 0, and counts say nothing about what comes next.
#
# ## Markov chains and n-grams
#
# The way out is to forget. In a *Markov chain of order* $n-1$ the next token depends on the last $n-1$ tokens only:
#
# $$P(w_1, \ldots, w_T) \approx \prod_{t=1}^T P(w_t \mid w_{t-(n-1)}, \ldots, w_{t-1}).$$
#
# Sequences of $n$ tokens are called *n-grams*, and so is the model: *unigram*, *bigram* and *trigram* for $n$ = 1, 2
# and 3. A text of four tokens has in these models the probabilities
#
# $$\begin{aligned}
# P(w_1, w_2, w_3, w_4) &= P(w_1) P(w_2) P(w_3) P(w_4), \\
# P(w_1, w_2, w_3, w_4) &= P(w_1) P(w_2 \mid w_1) P(w_3 \mid w_2) P(w_4 \mid w_3), \\
# P(w_1, w_2, w_3, w_4) &= P(w_1) P(w_2 \mid w_1) P(w_3 \mid w_1, w_2) P(w_4 \mid w_2, w_3).
# \end{aligned}$$
#
# The unigram model knows no order. The first four tokens of the training text and the same tokens from last to first
# have the same probability in it. The other two models prefer what they have read.


# %%
def relative_frequency(ngram):
    """Return how often the last token follows the others: 0 where the others do not stand in the training text."""
    before = counts[len(ngram) - 1].get(ngram[:-1], 0)
    return counts[len(ngram)][ngram] / before if before else 0.0


def factors(text, n, probability):
    """Return the probability of each token of a text in an n-gram model, given by the probability of its n-grams."""
    return [probability(tuple(text[max(i - n + 1, 0) : i + 1])) for i in range(len(text))]


for text in (train[:4], train[3::-1]):
    print(f"{glue.join(text)!r}")
    for n in (1, 2, 3):
        P = factors(text, n, relative_frequency)
        print(f"  n = {n}: {' x '.join(f'{p:.4f}' for p in P)} = {math.prod(P):.2e}")

# %% [markdown]
# ## Perplexity
#
# The probability of a long text is a very small number, and the longer the text, the smaller. So models are compared
# by their *perplexity*, the inverse of the geometric mean of all factors:
#
# $$\exp\left(-\frac{1}{T} \sum_{t=1}^T \log P(w_t \mid w_{t-(n-1)}, \ldots, w_{t-1})\right).$$
#
# A model that is always certain and always right has perplexity 1. A model for which all tokens are equally likely at
# all times has the size of the vocabulary as its perplexity. A perplexity of 20 means: the model is as unsure as if it
# had to choose one of 20 tokens that are equally likely. One factor that is 0 makes the perplexity infinite.


# %%
def perplexity(text, n, probability):
    """Return the perplexity of an n-gram model on a text."""
    P = factors(text, n, probability)
    return math.exp(-sum(map(math.log, P)) / len(P)) if all(P) else math.inf


print(f"all {vocab_size:,} tokens equally likely: {perplexity(test, 1, lambda ngram: 1 / vocab_size):,.1f}")
print("n    training text   held-out text   of its n-grams stand in the training text")
in_training = {n: perplexity(train, n, relative_frequency) for n in range(1, 6)}
for n in range(1, 6):
    known = sum(ngram in counts[n] for ngram in zip(*(test[i:] for i in range(n)))) / (len(test) - n + 1)
    print(f"{n}  {in_training[n]:15,.2f} {perplexity(test, n, relative_frequency):15,.2f}   {known:.1%}")

# %% [markdown]
# The longer the context, the better a model of this kind knows its own text: at last it knows it nearly by heart. In
# the held-out text the longer n-grams are new more often. Each new one gets the probability 0, and a single one is
# enough for an infinite perplexity. (Only where there are few different tokens, such as the letters of *The Time
# Machine*, have all the short n-grams been seen.)
#
# ## Smoothing
#
# What has not been seen is not impossible. *Laplace smoothing* adds $\epsilon$ to the count of each n-gram. With
# $|\mathcal{V}|$ different tokens,
#
# $$\hat{P}(w_n \mid w_1, \ldots, w_{n-1}) = \frac{n(w_1, \ldots, w_n) + \epsilon}
# {n(w_1, \ldots, w_{n-1}) + \epsilon |\mathcal{V}|}.$$
#
# All tokens that never followed a context get the same share of its probability. It is better to give a share to each
# of them by what the shorter context, without $w_1$, says:
#
# $$\hat{P}(w_n \mid w_1, \ldots, w_{n-1}) =
# \frac{n(w_1, \ldots, w_n) + \epsilon \hat{P}(w_n \mid w_2, \ldots, w_{n-1})}
# {n(w_1, \ldots, w_{n-1}) + \epsilon}.$$
#
# This goes on down to single tokens, which get Laplace smoothing with $\epsilon$ = 1 (MacKay and Peto 1995). The
# larger $\epsilon$ is, the more often a context must have been seen before it is trusted.


# %%
def laplace(ngram, epsilon=1):
    """Return the relative frequency after epsilon has been added to the count of each n-gram."""
    before = counts[len(ngram) - 1].get(ngram[:-1], 0)
    return (counts[len(ngram)][ngram] + epsilon) / (before + epsilon * vocab_size)


def interpolated(ngram, epsilon=20):
    """Return the relative frequency, mixed with what the shorter context says."""
    if len(ngram) == 1:
        return laplace(ngram)
    before = counts[len(ngram) - 1].get(ngram[:-1], 0)
    return (counts[len(ngram)][ngram] + epsilon * interpolated(ngram[1:], epsilon)) / (before + epsilon)


held_out = {
    name: [perplexity(test, n, probability) for n in range(1, 6)]
    for name, probability in (("Laplace", laplace), ("with shorter contexts", interpolated))
}
print("perplexity of the held-out text")
print(f"{'n':24}" + "".join(f"{n:9}" for n in range(1, 6)))
for name, values in held_out.items():
    print(f"{name:24}" + "".join(f"{value:9,.1f}" for value in values))

# %%
figure, (panel,) = new_figure(lesson.title("Models that count"))
curves = {"training text, not smoothed": list(in_training.values())}
curves.update({f"held out, {name}": values for name, values in held_out.items()})
draw_curves(panel, curves, ("n, tokens of an n-gram", "perplexity"), log=True)
common.save_figure(figure, lesson.picture("ngram_perplexity"))

# %% [markdown]
# The curve of the training text falls all the way. Now look at the held-out text, if its tokens are words or Chinese
# characters. With Laplace smoothing, the models for $n \geq 3$ are worse than the bigram model: their contexts are so
# rare that the added counts outweigh those that were seen. With shorter contexts in reserve the curve falls from $n$ =
# 1 to 2. From there on it falls where whole lines return, as in a chorus, and hardly elsewhere. What a longer context
# could tell about a new line, these models cannot find out from a text of this length.
#
# ## Text from counts
#
# A model of the next token can write: draw a token, append it, and go on. Shannon did so in 1948 with a book from his
# shelf. To draw by relative frequency, it is enough to pick one of the places at which the context stands in the
# training text, and to copy the token that follows it there. The module's `novelty` then finds the longest piece of
# what was written that stands in the corpus word for word.


# %%
def draw(followers, length):
    """Write a text: each token is one that follows the last n - 1 tokens somewhere in the training text."""
    text = list(random.choice(list(followers)))
    n = len(text) + 1
    for _ in range(length):
        text.append(random.choice(followers[tuple(text[len(text) - n + 1 :])]))
    return text


index = d2lrnn.CopyIndex(lesson.corpus)
for n in (1, 2, 3, 5):
    followers = defaultdict(list)
    for *context, token in zip(*((train + train[: n - 1])[i:] for i in range(n))):
        followers[tuple(context)].append(token)
    certain = sum(len(set(after)) == 1 for after in followers.values()) / len(followers)
    text = glue.join(draw(followers, 40))
    print(f"n = {n}, {certain:4.0%} of the contexts have only one next token\n  {text}")
    found = d2lrnn.novelty(text, index)
    print(f"  the longest copy has {found.longest_length} tokens: {found.longest!r}")

# %% [markdown]
# With $n$ = 1 the text has no order. With $n$ = 2 each token fits the one before, with $n$ = 3 pieces of the corpus
# appear. With $n$ = 5 most contexts have been followed by one token only, nearly all of them in lyrics, so the model
# recites.
#
# ## How many contexts there are
#
# Of $|\mathcal{V}|$ tokens, $|\mathcal{V}|^n$ different n-grams can be made, and a model has to have a probability for
# each. A text of $T$ tokens has at most $T$ of them.
#
# ![The number of n-grams grows exponentially with n; the size of a hidden state does not](img/ngram_contexts.svg)

# %%
print("n     n-grams possible    in the training text   of these come once")
for n in range(1, 6):
    once = sum(times == 1 for times in counts[n].values()) / len(counts[n])
    print(f"{n} {vocab_size**n:20,.3g} {len(counts[n]):22,} {once:20.0%}")

# %% [markdown]
# A longer text has more of them, but with each token more in an n-gram the number of possible ones grows by the factor
# $|\mathcal{V}|$.
#
# ## Zipf's law
#
# That so many n-grams come once is no accident of this text. Sort the words of a language by how often they come. Zipf
# found that the number of times of the $i$-th is about
#
# $$n_i \propto \frac{1}{i^\alpha}, \qquad \log n_i = -\alpha \log i + c.$$
#
# This is a straight line where both axes are logarithmic. A few words make up most of the text, and most are rare.
# Chinese characters follow such a law too. So do pairs and triples, with a smaller $\alpha$. (An alphabet has too few
# characters for a law.)

# %%
names = {1: "single tokens", 2: "pairs", 3: "triples"}
ranked = {names[n]: dict(enumerate(sorted(counts[n].values(), reverse=True), 1)) for n in names}
for n, curve in zip(names, ranked.values()):
    slope, _ = numpy.polyfit(numpy.log(list(curve)), numpy.log(list(curve.values())), 1)
    commonest = ", ".join(f"{glue.join(ngram)!r} {times:,}" for ngram, times in counts[n].most_common(5))
    print(f"{names[n]:14} alpha {-slope:.2f}; the commonest: {commonest}")
figure, (panel,) = new_figure(lesson.title("How often tokens, pairs and triples come"))
draw_curves(panel, ranked, ("rank", "times it comes"), log=True)
panel.set_xscale("log")
common.save_figure(figure, lesson.picture("zipf"))

# %% [markdown]
# The curve of the triples ends with a long flat step at 1: all that was seen once. Beyond its end, outside the picture,
# lies all that was not seen and will come up in the next text. Smoothing says how much probability that has in all. It
# knows little of which of it is likely: the counts of one context are of no use to another context that means the same.
#
# ## A state in place of counts
#
# A recurrent network replaces the context by a *hidden state* $\mathbf{h}$ of a fixed size, such as 256 numbers:
#
# $$P(w_t \mid w_1, \ldots, w_{t-1}) \approx P(w_t \mid \mathbf{h}_{t-1}), \qquad
# \mathbf{h}_t = f(w_t, \mathbf{h}_{t-1}).$$
#
# The function $f$ is learnt. The state can hold something of the first token of the text, where an n-gram model has
# forgotten it after $n-1$ steps. Its size does not grow with the length of the context. And two contexts after which
# the same tokens follow can have nearly the same state, so that what is learnt after one of them serves after the
# other. The lesson `recurrent_networks.py` builds such a network.
#
# ## Summary
#
# * A language model gives a text a probability, as the product of the probabilities of each token after those before.
# * An n-gram model takes the next token to depend on the last $n-1$ tokens only, and counts.
# * Perplexity says how many equally likely tokens a model wavers between. It is measured on a text that was held out.
# * A small $n$ ignores what matters, a large one has seen almost none of the contexts it meets. Smoothing helps, and
#   does not remove the choice.
# * Frequencies follow Zipf's law, so most n-grams are rare in any text.
#
# ## Exercises
#
# `train`, `test`, `counts`, `perplexity`, `laplace`, `interpolated` and `draw` are at hand for all of them.
#
# 1. A training text has 100,000 words. How many counts has a model for $n$ = 4 to store at most, and how many different
#    n-grams of four words are possible?
#
# <details><summary>Solution 1</summary>
#
# The text has at most 100,000 different single words, 99,999 different pairs, 99,998 triples and 99,997 sequences of
# four, so fewer than 400,000 counts are not 0. With a vocabulary of $|\mathcal{V}|$ words, $|\mathcal{V}|^4$ sequences
# of four are possible: $10^{16}$ for 10,000 words. Nearly all of them have the count 0.
#
# </details>
#
# 2. What else could a language model be used for?
#
# <details><summary>Solution 2</summary>
#
# It can find typing errors (a word that is unlikely where it stands), compress a text (likely tokens get short codes:
# the perplexity's logarithm to the base 2 is the number of bits a token), guess who wrote a text (train a model for
# each author, see which one finds the text likelier), and complete what somebody types.
#
# </details>
#
# 3. Which $\epsilon$ gives the lowest perplexity on the held-out text, with `laplace` and with `interpolated`? Try $n$
#    = 2 and 3.
#
# <details><summary>Solution 3</summary>
#
# `for e in (0.01, 0.1, 1, 10, 100): print(e, perplexity(test, 3, lambda ngram: interpolated(ngram, e)))`, and likewise
# for the others. Laplace smoothing wants an $\epsilon$ below 1 for bigrams and a smaller one for trigrams, since there
# are so many to share among. The other form wants an $\epsilon$ of some tens on the lyrics, or more, and then a longer
# context does no harm. Strictly, $\epsilon$ should be chosen on a third part of the text: a value that was chosen on
# the held-out text flatters itself there.
#
# </details>
#
# 4. Run the lesson with `--corpus timemachine` by characters and with `--level word`. Which $n$ is the best for each,
#    and why?
#
# <details><summary>Solution 4</summary>
#
# The text has 173,428 characters, only 27 of them different. Most sequences of four have been seen, so with shorter
# contexts in reserve the perplexity of the held-out text falls as far as $n$ = 5. It has 32,775 words, more than 4,500
# of them different. Most triples are new, as with the lyrics, and $n$ = 2 is the best. (The two perplexities cannot be
# compared with each other: one is for a character, the other for a whole word.)
#
# </details>
#
# 5. In a Markov chain of order $n-1$, does nothing but the last $n-1$ tokens matter to what comes ten tokens later?
#
# <details><summary>Solution 5</summary>
#
# It says that nothing else matters once these are known. What came earlier still has influence through them. In the
# text itself it has influence beyond that: a quotation mark that was opened, a rhyme, the name of the person who the
# song is about. Such things an n-gram model cannot know.
#
# </details>
