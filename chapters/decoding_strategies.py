# %% [markdown]
# # Decoding strategies
#
# (d2l-zh v1, sections 6.4 and 10.10; d2l 1.0, section 10.8; Holtzman et al. 2020, arXiv 1904.09751)
#
# A language model gives each token that may come next a probability $p_i$. How to choose one is left to us. Always the
# largest is *greedy search*. Chance takes each as often as its probability says, and can be made bolder or more timid
# by a *temperature* $T$:
#
# $$p_i(T) = \frac{p_i^{1/T}}{\sum_j p_j^{1/T}}.$$
#
# Below 1 it makes what is likely likelier still, and near 0 it is greedy search; above 1 it evens out. This lesson
# trains one model, and lets it write in many ways.

# %%
"""Decoding: greedy, by chance, by beam search; what each is good and bad at, what is copied, and an acrostic."""

import math
from dataclasses import replace

import common
import numpy
from mxnet import np

import d2lrnn
from d2lrnn import Sampling
from d2lrnn.data import EOS
from d2lrnn.generation import distribution, log_softmax
from d2lrnn.plotting import COLOURS, draw_curves, new_figure, save_figure

STRATEGIES = {
    "greedy": Sampling(temperature=0),
    "greedy, penalty 1.3": Sampling(temperature=0, repetition_penalty=1.3),
    "beam of 8": Sampling(beam_width=8),
    "temperature 0.5": Sampling(temperature=0.5),
    "temperature 1": Sampling(),
    "temperature 1.5": Sampling(temperature=1.5),
    "top-k 10": Sampling(top_k=10),
    "nucleus 0.9": Sampling(top_p=0.9),
}
NUM_SAMPLES = 10

# %% [markdown]
# ## A model
#
# It is trained until it knows which characters go together, but stopped before it has the lyrics by heart: then every
# strategy would write the same lines.


# %%
def train(lesson):
    """Train a Gluon model and return it."""
    common.section("1. Training")
    print(common.describe(lesson.training))
    model = d2lrnn.build_model(lesson.model, lesson.corpus.vocab_size, lesson.ctx)
    config = replace(lesson.training, prefixes=())
    common.carry_out(d2lrnn.train_and_predict, model, lesson.corpus, config)
    return model


# %% [markdown]
# ## One step
#
# This is what the model holds likely after the prefix, and what the strategies make of it. *Top-k* keeps the $k$
# likeliest tokens; the *nucleus* the fewest that have the probability $p$ together, which are few where the model is
# sure and many where it is not. The perplexity of the choice, $\exp(-\sum_i p_i \ln p_i)$, says among how many equally
# likely tokens one might as well choose.


# %%
def one_step(lesson, model):
    """Print what may come after the prefix by each strategy; return the probabilities by temperature, sorted."""
    prefix, vocab = lesson.training.prefixes[0], lesson.corpus.vocab
    common.section(f"2. What may come after {prefix!r}")
    ids = np.array(vocab.encode(prefix)[None], dtype="int32", ctx=lesson.ctx)
    logits, _ = model(ids, model.begin_state(1))
    scores = log_softmax(logits[-1:].asnumpy().astype("float64"))
    print(f"{'':19}tokens  perplexity   the likeliest")
    curves = {}
    for name, sampling in STRATEGIES.items():
        if not sampling.by_chance:
            continue
        p = distribution(scores, sampling)[0]
        kept = p[p > 0]
        best = "  ".join(f"{vocab.idx_to_token[i]!r} {p[i]:.3f}" for i in numpy.argsort(-p)[:5])
        print(f"{name:17}{len(kept):8,}{math.exp(-(kept * numpy.log(kept)).sum()):12.1f}   {best}")
        if sampling.top_k == 0 and sampling.top_p == 1:
            curves[name] = sorted(kept, reverse=True)[:100]
    return curves


# %% [markdown]
# ## Side by side
#
# Texts of one length after one prefix: one of what leaves nothing to chance, ten of the others. *log p per token* is
# how likely the model holds them, by its own probabilities. *distinct-n* is the share of n-grams that come for the
# first time in their text: low, where it goes in circles. *copied* is the share of tokens in spans that stand in the
# corpus; short spans, which say nothing, do not count.
#
# The *repetition penalty* makes less likely what is there already (Keskar et al. 2019). *Beam search* looks for the
# text that is likeliest as a whole: it carries the 8 best beginnings along, where greedy search carries one.


# %%
def side_by_side(lesson, model):
    """Write by each strategy; print and return the table, and print the first text of each, its copies marked."""
    vocab, config, index = lesson.corpus.vocab, lesson.training, d2lrnn.CopyIndex(lesson.corpus)
    common.section(f"3. {config.pred_len} tokens after {config.prefixes[0]!r}")
    rows, firsts, (n, min_length) = {}, {}, d2lrnn.usual_lengths(vocab)
    print("how                  log p per token  distinct-1  distinct-2   copied")
    for name, sampling in STRATEGIES.items():
        prefixes = [config.prefixes[0]] * (NUM_SAMPLES if sampling.by_chance else 1)
        samples = d2lrnn.generate(prefixes, config.pred_len, model, vocab, replace(sampling, seed=config.seed))
        found = [d2lrnn.novelty(sample.text, index, n, min_length) for sample in samples]
        rows[name] = [
            numpy.mean([sample.log_probs for sample in samples]),
            *(numpy.mean([d2lrnn.distinct([sample.text], i, vocab.level) for sample in samples]) for i in (1, 2)),
            numpy.mean([copies.copied_tokens for copies in found]),
        ]
        firsts[name] = d2lrnn.marked(samples[0].text, found[0].spans, vocab.level)
        print("{:21}{:15.3f}{:12.3f}{:12.3f}{:9.3f}".format(name, *rows[name]))
    print(f"\nthe first text of each; what copies {min_length} tokens or more is 【marked】")
    for name, text in firsts.items():
        print(f"{name}\n  {text}")
    return rows


# %% [markdown]
# What is likeliest is what the model knows by heart, or a circle: so greedy search copies, beam search more so, and a
# low temperature does too. A high one writes what nobody would. In between, top-k and the nucleus cut off the many
# tokens that are each unlikely, but of which one comes up every few steps, and leave the rest to chance.
#
# ## The likeliest line
#
# A beam search that may stop, here where a line ends, compares texts of different length. Each token costs
# probability, so short lines win. The *length penalty* ranks by $\log p \, / \, \text{length}^\alpha$ instead, where
# the line end counts as a token.


# %%
def likeliest_line(lesson, model):
    """Print the line after the prefix's that beam search finds, for several widths and length penalties."""
    common.section("4. The likeliest line")
    vocab, words = lesson.corpus.vocab, lesson.corpus.vocab.level == "word"
    stop = EOS if words else " "
    if stop not in vocab:
        print(f"{lesson.corpus.name} has no {stop!r}, at which lines could end")
        return
    before = f"{lesson.training.prefixes[0]} {EOS if words else ''}"
    print("width  alpha  tokens    log p  per token   line")
    for width, alpha in ((1, 0.0), (4, 0.0), (16, 0.0), (16, 0.5), (16, 1.0), (16, 2.0)):
        sampling = Sampling(beam_width=width, length_penalty=alpha, stop=stop)
        line = list(d2lrnn.stream([before], 20, model, vocab, sampling))
        log_p, text = sum(token.log_prob for token in line), "".join(token.text for token in line)
        print(f"{width:5}{alpha:7.1f}{len(line):8}{log_p:9.2f}{log_p / len(line):11.3f}   {text}")


# %% [markdown]
# ## Rules: an acrostic
#
# Whatever must not come gets the probability 0, and the others share what is left: a *mask*. So a line can begin with
# a given character and end after so many, and no text has to be thrown away. What the rule costs shows in the
# probabilities of the model, which did not expect it.


# %%
def acrostic(lesson, model):
    """Write lines that begin with the characters of a prefix, and print how likely each place was."""
    common.section("5. An acrostic")
    vocab, heads = lesson.corpus.vocab, lesson.training.prefixes[-1]
    form, sampling = d2lrnn.usual_form(vocab), Sampling(temperature=0.7, seed=lesson.training.seed)
    try:
        samples = d2lrnn.acrostic([heads] * NUM_SAMPLES, form, model, vocab, sampling)
    except ValueError as error:  # of words, or without line ends
        print(error)
        return
    print(samples[0].text.replace(" ", "\n"))
    form, log_probs = form.of_lines(sum(map(str.isalnum, heads))), [sample.log_probs for sample in samples]
    others = [place for place, mark in enumerate(form.places) if mark is None and place not in form.begins]
    for what, places in (("heads", list(form.begins)), ("others", others)):
        print(f"log p of {what:7}{numpy.mean(log_probs, axis=0)[places].mean():8.3f}")


# %% [markdown]
# ## Likely, or new
#
# The picture puts it together: how the temperature bends the distribution of one step, and what the strategies trade.


# %%
def picture(lesson, curves, rows):
    """Draw the probabilities of one step, and what is copied over what is likely."""
    figure, panels = new_figure(lesson.title("Decoding"), 2)
    draw_curves(panels[0], curves, ("rank of the token", "probability"), log=True)
    panels[0].set_ylim(bottom=1e-5)
    for i, (name, (per_token, *_, copied)) in enumerate(rows.items()):
        panels[1].plot(per_token, copied, "os^v"[i // len(COLOURS)], color=COLOURS[i % len(COLOURS)], label=name)
    panels[1].set_xlabel("log-probability per token")
    panels[1].set_ylabel("copied share")
    panels[1].legend(frameon=False, fontsize=7)
    save_figure(figure, lesson.out / "decoding_strategies.png")
    common.saved(lesson.out / "decoding_strategies.png")


# %% [markdown]
# ## Exercises
#
# 1. Train for 20 epochs (`--num-epochs 20`), and for 100. Which strategies does that change most, and why?
# 2. After 20 epochs, greedy search goes in circles. What does the model's state do at each round? Does a repetition
#    penalty of 1.1 suffice to leave the circle, and what does one of 3 cost?
# 3. Find a temperature and a nucleus that copy equally much. Which of the two writes the better lines?
# 4. A beam of 16 finds a likelier line than greedy search. Is it a better one? Plot the log-probability of each token
#    of it, beside that of a line which a human wrote: where do the two differ?
# 5. Let lines rhyme: with `generate(..., mask=...)`, allow as the last character of a line only some that you choose.


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="gru"),
        training=d2lrnn.TrainConfig(num_epochs=45, optimizer="adam", lr=5e-3, theta=1.0, pred_period=15, pred_len=60),
    )
    common.opening("Decoding strategies", lesson)
    model = train(lesson)
    curves = one_step(lesson, model)
    rows = side_by_side(lesson, model)
    likeliest_line(lesson, model)
    acrostic(lesson, model)
    picture(lesson, curves, rows)


# %%
if __name__ == "__main__":
    main()
