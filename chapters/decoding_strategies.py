# %% [markdown]
# # Decoding strategies
#
# (d2l-zh v1, sections 6.4 and 10.10; d2l 1.0, section 10.8; Holtzman et al. 2020, arXiv 1904.09751)
#
# A language model gives each token a probability to come next. Which one to take is left to us. *Greedy search* takes
# the likeliest token at every step: it writes what it has read, or goes in circles. Chance takes each token as often
# as its probability says: it writes what is new, and now and then what makes no sense. This lesson trains one model
# and lets it write in many ways. Each way is written by hand, in a few lines, and compared with the module's.

# %%
import math
from dataclasses import replace

import common
import numpy
from mxnet import np

import d2lrnn
from d2lrnn import Sampling
from d2lrnn.data import EOS
from d2lrnn.generation import distribution
from d2lrnn.plotting import COLOURS, draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="gru"),
    training=d2lrnn.TrainConfig(num_epochs=45, optimizer="adam", lr=5e-3, theta=1.0, pred_period=15, pred_len=60),
    quick={"max_tokens": 3000, "num_epochs": 18, "num_steps": 20, "pred_period": 6, "pred_len": 40},
)

# %% [markdown]
# ## A model
#
# The model is trained until it knows which tokens go together, and is stopped before it has the whole corpus by
# heart. A model that is sure of every token writes the same lines by every strategy.

# %%
vocab = lesson.corpus.vocab
model = d2lrnn.build_model(lesson.model, len(vocab), lesson.ctx)
print(common.describe(lesson.training))
history = common.checked(d2lrnn.train_and_predict(model, lesson.corpus, lesson.training))

# %% [markdown]
# ## Greedy search
#
# The model reads ids and a state, and returns an output $o_i$ for each token of the vocabulary. The logarithm of the
# softmax makes log-probabilities of the outputs:
#
# $$\log p_i = o_i - \log \sum_j \exp(o_j).$$
#
# The function `read` gives these for the next token of one text. Greedy search takes the largest, lets the model read
# it, and so on.


# %%
def read(ids, state):
    """Let the model read ids; return the log-probabilities of the token that comes next, and the new state."""
    logits, state = model(np.array([ids], dtype="int32", ctx=lesson.ctx), state)
    o = logits[-1].asnumpy().astype("float64")
    o -= o.max()  # so that exp() cannot overflow; the result is the same
    return o - math.log(numpy.exp(o).sum()), state


prefix, num_preds = lesson.training.prefixes[0], lesson.training.pred_len
ids = vocab.encode(prefix).tolist()
log_p, state = read(ids, model.begin_state(1))
for _ in range(num_preds):
    ids.append(int(log_p.argmax()))
    log_p, state = read(ids[-1:], state)
greedy = vocab.decode(ids)
print(greedy)
print(f"d2lrnn.predict writes the same: {d2lrnn.predict(prefix, num_preds, model, vocab) == greedy}")

# %% [markdown]
# ## Chance, and its temperature
#
# To write by chance is to draw the next token from the probabilities. A *temperature* $T$ makes the draw bolder or
# more timid:
#
# $$p_i(T) = \frac{p_i^{1/T}}{\sum_j p_j^{1/T}}.$$
#
# A temperature below 1 makes likelier what is likely already, and near 0 chance becomes greedy search. A temperature
# above 1 evens the probabilities out. In the program $p^{1/T}$ is $\exp(\log p \, / \, T)$.
#
# The table shows what may come after the prefix. The perplexity of the choice, $\exp(-\sum_i p_i \log p_i)$, says
# among how many equally likely tokens one might as well choose. It grows with the temperature. So does the next column,
# the probability of all tokens beyond the ten likeliest.


# %%
def print_choice(name, p):
    """Print how many tokens can be drawn, the perplexity of the choice, and how likely tokens are."""
    kept = -numpy.sort(-p[p > 0])
    best = "  ".join(f"{vocab.idx_to_token[i]!r} {p[i]:.3f}" for i in numpy.argsort(-p)[:4])
    perplexity, others = math.exp(-(kept * numpy.log(kept)).sum()), kept[10:].sum()
    print(f"{name:16}{len(kept):7,}{perplexity:12.2f}{others:13.3f}   {best}")


log_p, _ = read(vocab.encode(prefix).tolist(), model.begin_state(1))
by_temperature, gaps = {}, []
print(f"what may come after {prefix!r}")
print(f"{'':17}tokens  perplexity   beyond ten   the likeliest")
for T in (0.5, 1, 1.5):
    p = numpy.exp((log_p - log_p.max()) / T)
    p /= p.sum()
    print_choice(f"temperature {T}", p)
    by_temperature[f"temperature {T}"] = p
    gaps.append(abs(p - distribution(log_p[None], Sampling(temperature=T))[0]).max())
print(f"this is d2lrnn.generation.distribution: difference {max(gaps):.0e}")

# %% [markdown]
# The picture has the same probabilities, those of the likeliest token first. Each of the many tokens on the right is
# unlikely. But there are so many of them that chance often takes one, the more often the higher the temperature.

# %%
figure, (panel,) = new_figure(lesson.title("The next token at three temperatures"), size=(6.5, 4.2))
curves = {name: sorted(p, reverse=True)[:100] for name, p in by_temperature.items()}
draw_curves(panel, curves, ("rank of the token", "probability"), log=True)
panel.set_ylim(bottom=1e-5)
common.save_figure(figure, lesson.picture("decoding_temperature"))

# %% [markdown]
# ## Top-k and the nucleus
#
# Two strategies cut these tokens off and share their probability among the others. *Top-k* keeps the $k$ likeliest. The
# *nucleus*, or *top-p*, keeps the fewest tokens that have the probability $p$ together. These are few where the model
# is sure, and many where it is not.

# %%
p = by_temperature["temperature 1"]
order = numpy.argsort(-p, kind="stable")  # the ids, the likeliest first

top_k = p.copy()
top_k[order[10:]] = 0
top_k /= top_k.sum()
print_choice("top-k 10", top_k)

nucleus = p.copy()
count = 1 + int((p[order].cumsum() < 0.9).sum())
nucleus[order[count:]] = 0
nucleus /= nucleus.sum()
print_choice("nucleus 0.9", nucleus)

expected = [distribution(log_p[None], sampling)[0] for sampling in (Sampling(top_k=10), Sampling(top_p=0.9))]
print(f"differences from the module: {abs(top_k - expected[0]).max():.0e}, {abs(nucleus - expected[1]).max():.0e}")

# %% [markdown]
# Now the draw itself. Lay the probabilities side by side on a line from 0 to 1, and take a number $u$ between 0 and 1
# by chance: the token whose piece holds $u$ is drawn. A token with twice the probability has a piece twice as long.
#
# The function `generate` draws like this for many texts at once. It takes the numbers $u$ of each text from a generator
# of its own, so with the same seed it writes the same text.

# %%
numbers = numpy.random.default_rng(lesson.training.seed)
ids = vocab.encode(prefix).tolist()
log_p, state = read(ids, model.begin_state(1))
for _ in range(num_preds):
    p = numpy.exp((log_p - log_p.max()) / 0.7)
    p /= p.sum()
    ids.append(int((p.cumsum() <= numbers.random()).sum()))
    log_p, state = read(ids[-1:], state)
print(vocab.decode(ids))
sampling = Sampling(temperature=0.7, seed=lesson.training.seed)
(sample,) = d2lrnn.generate([prefix], num_preds, model, vocab, sampling)
print(f"d2lrnn.generate writes the same: {sample.text == vocab.decode(ids)}")

# %% [markdown]
# ## Beam search
#
# The likeliest token now can make every later one unlikely. The picture has an example. Greedy search begins with 天,
# the likeliest token, and comes to a text with the probability 0.16. *Beam search* extends several texts by every token
# at each step, and keeps as many of the results, here two. So it finds the text that begins with 风 and has the
# probability 0.18.
#
# ![A beam of two: at each step the two likeliest texts so far are kept](img/beam_search.svg)
#
# To look at all texts is out of the question, as the first printed line shows. A beam of width 1 is greedy search.


# %%
def beam_search(prefix, num_preds, width):
    """Return the likeliest text that a beam of this width finds: its log-probability and its ids."""
    log_p, state = read(vocab.encode(prefix).tolist(), model.begin_state(1))
    beam = [(0.0, [], log_p, state)]  # a text's log-probability, its ids, what may follow, and the model's state
    for _ in range(num_preds):
        longer = []
        for score, ids, log_p, state in beam:
            for i in numpy.argsort(-log_p)[:width].tolist():  # no other token can be among the best
                longer.append((score + log_p[i], [*ids, i], state))
        longer.sort(key=lambda text: -text[0])
        beam = [(score, ids, *read(ids[-1:], state)) for score, ids, state in longer[:width]]
    return beam[0][:2]


print(f"there are {len(vocab):,}^20 = 10^{20 * math.log10(len(vocab)):.0f} texts of 20 tokens")
for width in (1, 2, 8):
    score, ids = beam_search(prefix, 20, width)
    (sample,) = d2lrnn.generate([prefix], 20, model, vocab, Sampling(beam_width=width))
    print(f"width {width}, log p {score:7.3f}: {vocab.decode([*vocab.encode(prefix).tolist(), *ids])}")
    gap = abs(score - sample.log_prob)
    print(f"  d2lrnn.generate finds the same: {list(sample.ids) == ids}, log p differs by {gap:.0e}")

# %% [markdown]
# A wider beam often finds a likelier text, but this is not certain. A text that a narrow beam keeps can be pushed out
# of a wide one by others that begin better and end worse.
#
# ## Side by side
#
# Now all strategies write texts of one length after one prefix: one text where nothing is left to chance, ten where
# chance decides. The *repetition penalty* makes a token less likely if it stands in the text already (Keskar et al.
# 2019).
#
# * *log p per token* says how likely the model itself holds the texts.
# * *distinct-n* is the number of different n-grams of a text, divided by the number of all. It is low where a text goes
#   in circles.
# * *copied* is the share of tokens in spans that stand in the corpus. Short spans do not count, since they say nothing.

# %%
strategies = {
    "greedy": Sampling(temperature=0),
    "greedy, penalty 1.3": Sampling(temperature=0, repetition_penalty=1.3),
    "beam of 8": Sampling(beam_width=8),
    "temperature 0.5": Sampling(temperature=0.5),
    "temperature 1": Sampling(),
    "temperature 1.5": Sampling(temperature=1.5),
    "top-k 10": Sampling(top_k=10),
    "nucleus 0.9": Sampling(top_p=0.9),
}
index, (n, min_length) = d2lrnn.CopyIndex(lesson.corpus), d2lrnn.usual_lengths(vocab)
rows, texts = {}, {}
print("strategy             log p per token  distinct-1  distinct-2   copied")
for name, sampling in strategies.items():
    prefixes = [prefix] * (10 if sampling.by_chance else 1)
    samples = d2lrnn.generate(prefixes, num_preds, model, vocab, replace(sampling, seed=lesson.training.seed))
    copies = [d2lrnn.novelty(sample.text, index, n, min_length) for sample in samples]
    rows[name] = [
        numpy.mean([sample.log_probs for sample in samples]),
        *(numpy.mean([d2lrnn.distinct([sample.text], i, vocab.level) for sample in samples]) for i in (1, 2)),
        numpy.mean([found.copied_tokens for found in copies]),
    ]
    texts[name] = d2lrnn.marked(samples[0].text, copies[0].spans, vocab.level)
    print("{:21}{:15.3f}{:12.3f}{:12.3f}{:9.3f}".format(name, *rows[name]))

# %% [markdown]
# The first text of each strategy, with its copies marked:

# %%
for name, text in texts.items():
    print(f"{name}\n  {text}")
print(f"【marked】: {min_length} tokens or more stand in the corpus like this")

# %% [markdown]
# What is likeliest is what the model knows by heart, or a circle. So greedy search and beam search copy most, and a
# low temperature copies more than a high one. A high temperature writes what nobody would. Top-k and the nucleus lie
# between greedy search and plain chance: they cut off what is unlikely, and leave the rest to chance. (A model that
# has learnt little has nothing to copy. It only goes in circles.)
#
# The picture shows what is traded: to the right are the texts that the model holds likely, at the bottom those that
# are new.

# %%
figure, (panel,) = new_figure(lesson.title("Eight decoding strategies"), size=(6.5, 3.6))
for i, (name, (per_token, *_, copied)) in enumerate(rows.items()):
    panel.plot(per_token, copied, "os^v"[i // len(COLOURS)], color=COLOURS[i % len(COLOURS)], label=name)
panel.set_xlabel("log-probability per token")
panel.set_ylabel("share of copied tokens")
panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
common.save_figure(figure, lesson.picture("decoding_strategies"))

# %% [markdown]
# ## The likeliest line
#
# A beam search that may stop, here where a line ends, compares texts of different lengths. Each token costs
# probability, so short lines win. The *length penalty* $\alpha$ ranks a text not by $\log p$, but by
#
# $$\frac{\log p}{\text{length}^\alpha}.$$
#
# The line end counts as a token. With $\alpha = 1$ the rank is the log-probability per token.

# %%
line_end = next((token for token in (EOS, "\n", " ") if token in vocab), vocab.idx_to_token[0])
space = " " if vocab.level == "word" else ""
opening = f"{prefix}{space}{line_end}"  # the line to find is the one after the prefix
print(f"lines end with {line_end!r}")
print("width  alpha  tokens    log p  per token   line")
for width, alpha in ((1, 0.0), (4, 0.0), (16, 0.0), (16, 0.5), (16, 1.0), (16, 2.0)):
    sampling = Sampling(beam_width=width, length_penalty=alpha, stop=line_end)
    line = list(d2lrnn.stream([opening], 20, model, vocab, sampling))
    score, text = sum(token.log_prob for token in line), "".join(token.text for token in line)
    print(f"{width:5}{alpha:7.1f}{len(line):8}{score:9.2f}{score / len(line):11.3f}   {text}")

# %% [markdown]
# ## Rules: an acrostic
#
# In an acrostic the first characters of the lines are given. Whatever breaks a rule gets the probability 0, and the
# other tokens share what is left. A *mask* says which tokens may come, for each place of the text. So a line begins
# with a given character and ends after seven, and no text has to be thrown away.

# %%
tokens, letters = numpy.arange(len(vocab)), numpy.array([token.isalnum() for token in vocab.idx_to_token])
heads = [i for i in vocab.encode(lesson.training.prefixes[-1]).tolist() if letters[i]] or tokens[letters][:3].tolist()


def mask(row, written):
    """Return which tokens may come after those that are written: booleans (vocab_size,)."""
    line, place = divmod(len(written), 8)
    if place == 7:
        return tokens == vocab.token_to_idx[line_end]
    return letters if place else tokens == heads[line]


sampling = Sampling(temperature=0.7, seed=lesson.training.seed)
samples = d2lrnn.generate([line_end] * 10, 8 * len(heads) - 1, model, vocab, sampling, mask)
print("\n\n".join(sample.text[len(line_end) :].replace(line_end, "\n") for sample in samples[:2]))

# %% [markdown]
# What the rule costs shows in the model's own probabilities. The model did not expect the given characters. In
# lyrics it did not expect every line to end after seven characters either. The function `d2lrnn.acrostic` has this
# mask, and others for poems.

# %%
places = numpy.arange(8 * len(heads) - 1) % 8
log_probs = numpy.mean([sample.log_probs for sample in samples], axis=0)
for what, chosen in (("heads", places == 0), ("line ends", places == 7), ("others", (places > 0) & (places < 7))):
    print(f"log p of {what:10}{log_probs[chosen].mean():8.3f}")
if vocab.level == "char":  # d2lrnn.acrostic counts characters
    poems = d2lrnn.acrostic([vocab.decode(heads)] * 10, d2lrnn.Form((7,), (line_end,)), model, vocab, sampling)
    same = [poem.ids for poem in poems] == [sample.ids for sample in samples]
    print(f"d2lrnn.acrostic writes the same ten texts: {same}")

# %% [markdown]
# ## Summary
#
# * A model gives probabilities. A decoding strategy makes a text of them.
# * Greedy search and beam search look for what is likely. They find what the model has by heart, or circles.
# * A temperature sharpens or evens out the probabilities. Top-k and the nucleus cut off the many unlikely tokens.
# * A beam of width 1 is greedy search. A wider beam mostly finds a likelier text. Which text is likeliest depends on
#   how lengths are compared.
# * A mask makes the model keep rules at every step.
#
# ## Exercises
#
# `model`, `vocab`, `read`, `strategies` and `lesson` are at hand for all of them.
#
# 1. Train for a third of the epochs, and for twice as many (`--num-epochs`). Which strategies does that change most?
#
# <details><summary>Solution 1</summary>
#
# Early, greedy search and beam search go in circles, and nothing is copied. Late, the model is sure of nearly every
# token. Then greedy search, beam search, a low temperature and the nucleus copy nearly everything, and plain chance
# copies most. Only a high temperature stays free.
#
# </details>
#
# 2. After few epochs greedy search goes in circles. What do the probabilities do from round to round? Which repetition
#    penalty is needed to leave the circle?
#
# <details><summary>Solution 2</summary>
#
# Print `log_p.max()` in the loop of greedy search. After a round or two the probabilities repeat to two digits: the
# state comes back to where it was, so nothing leads out of the circle. Then try
# `Sampling(temperature=0, repetition_penalty=...)` with 1.05, 1.1, 1.3 and 3. Small penalties change little. A penalty
# of 3 leaves every circle, but hardly a token comes twice any more, not even the line end.
#
# </details>
#
# 3. Find a temperature and a nucleus that copy equally much. Which of the two has the larger log-probability per token?
#
# <details><summary>Solution 3</summary>
#
# Add temperatures between 0.5 and 1 and nuclei between 0.5 and 0.95 to `strategies`, and run the cells of the section
# "Side by side" again. In the picture, compare points at the same height. We did so with `--quick`, the seeds 0 and 1,
# and a hundred texts each. Where much is copied, the two are nearly equal: a temperature of 0.5 copied 0.615 and 0.435,
# with a log-probability of -0.84 and -0.99 per token, a nucleus of 0.5 copied 0.619 and 0.442, with -0.81 and -0.98.
# Where less is copied, the nucleus is ahead: a temperature of 0.9 copied 0.205 and 0.122, with -1.68 and -1.85, a
# nucleus of 0.9 copied 0.234 and 0.123, with -1.50 and -1.68. Such a temperature sometimes takes one of the many
# unlikely tokens, which the nucleus cuts off.
#
# </details>
#
# 4. A line end is a token like others. Write `beam_search` with a stop token: a text that has come to its end leaves
#    the beam, and is compared at the end by its rank.
#
# <details><summary>Solution 4</summary>
#
# Keep a list `ended`. After the sort, take the best `width - len(ended)` of `longer`; those whose last id is the line
# end go to `ended` with their rank `score / len(ids) ** alpha`, the others form the new beam. Return the best of
# `ended` and of the beam. This is what `generate` does with `stop`.
#
# </details>
#
# 5. Let lines rhyme: allow as the last character of every second line only some that you choose.
#
# <details><summary>Solution 5</summary>
#
# In `mask`, return `numpy.isin(tokens, vocab.encode("天年边"))` where `place == 6 and line % 2`.
#
# </details>
