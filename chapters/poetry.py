# %% [markdown]
# # Poems, couplets and acrostics
#
# (after the poem generators that many a Keras tutorial builds; Zhang and Lapata 2014, "Chinese poetry generation with
# recurrent neural networks"; for acrostics 藏头诗)
#
# A poem is short, and the next one has nothing to do with it. So a row of a minibatch is one poem from its beginning to
# its end, begun with the zero state; poems are of different length, so rows are padded; and padding must count in no
# loss. With $m_{t}$ being 1 for the characters of poems and 0 for padding, the loss of a minibatch is
#
# $$L = \frac{\sum_t m_t \, (-\log p(x_t \mid x_{<t}))}{\sum_t m_t}.$$
#
# A model of characters knows by itself what characters follow one another. That a line has five of them and then a
# comma it learns too, almost. What must not fail is better ruled than learnt: a *mask* over the next character.

# %%
"""Poems as padded rows, a model of them, verse by a mask, acrostics, and whether the model wrote them or knew them."""

from dataclasses import replace

import common
import numpy
from mxnet import np

import d2lrnn
from d2lrnn.data import pad_lines, rows_of_lines
from d2lrnn.evaluation import token_losses
from d2lrnn.plotting import new_figure, save_figure

HELD_OUT = 0.05  # of the poems for validation, and as many for the test
MODEL = {"embed_size": 128, "num_layers": 2, "dropout": 0.5}

# %% [markdown]
# ## Poems as rows
#
# The line end does three things here: it ends a poem, so the model can learn when to stop; it stands before the first
# character, so the model has something to begin with; and it fills the padding, where it counts for nothing.


# %%
def rows(corpus):
    """Show a padded minibatch, and that its padding counts in no loss."""
    common.section("1. Poems as rows")
    vocab = corpus.vocab
    end = vocab.token_to_idx["\n"]
    poems = rows_of_lines(corpus.train, end)
    print(f"{len(poems):,} lines to learn from, the first: {vocab.decode(poems[0])!r}")
    half = numpy.append(poems[1][: len(poems[1]) // 2], numpy.int32(end))
    X, Y, counted = pad_lines([poems[0], half], end)
    for name, array in (("X", X), ("Y", Y)):
        print(name, *(repr(vocab.decode(row)) for row in array))
    print("counted", *("".join(map(str, row.astype(int))) for row in counted))
    logits, counted = np.random.normal(size=(X.size, len(vocab))), np.array(counted)
    other = numpy.where(counted.asnumpy(), Y, (Y + 1) % len(vocab))  # something else where the padding is
    losses = [float(d2lrnn.cross_entropy(logits, np.array(y, dtype="int32"), counted)) for y in (Y, other)]
    print(f"loss {losses[0]:.6f}, with other padding {losses[1]:.6f}")


# %% [markdown]
# ## Training
#
# An embedding of 128, two layers of LSTM, half of what enters and leaves them dropped, Adam. The perplexity on poems
# that were held out tells when the model begins to learn by heart.


# %%
def training(lesson, corpus):
    """Train the model, measure it on held-out lines, and return it."""
    common.section("2. Training")
    longest = max(len(line) for line in rows_of_lines(corpus.train, corpus.vocab.token_to_idx["\n"]))
    config = replace(lesson.training, num_steps=longest)
    print(common.describe(config))
    shape = d2lrnn.ModelConfig(num_hiddens=lesson.model.num_hiddens, **MODEL)
    d2lrnn.set_seed(lesson.training.seed)
    model = d2lrnn.build_model(shape, corpus.vocab_size, lesson.ctx)
    history = common.carry_out(d2lrnn.train_and_predict, model, corpus, config)
    end = corpus.vocab.token_to_idx["\n"]
    test = d2lrnn.evaluate_lines(model, corpus.test, end)
    print(f"perplexity {history.perplexity[-1]:.1f}, in validation {history.valid_perplexity[-1]:.1f}, test {test:.1f}")
    return model


# %% [markdown]
# ## Where it is unsure
#
# A perplexity over all tokens flatters: marks and line ends come as they must. Place by place one sees what the model
# does not know: the first character could be almost any; then each says something of the next, and the marks are
# certain.


# %%
def places(lesson, corpus, model):
    """Draw the perplexity at each place of the lines that are as long as most."""
    common.section("3. Where it is unsure")
    end = corpus.vocab.token_to_idx["\n"]
    lines = rows_of_lines(corpus.test, end)
    length = max({len(line) for line in lines}, key=[len(line) for line in lines].count)
    lines = [line for line in lines if len(line) == length][:512]
    X, Y, _ = pad_lines(lines, end)
    X, Y = (np.array(array, dtype="int32", ctx=lesson.ctx) for array in (X, Y))
    logits, _ = model(X, model.begin_state(len(X), lesson.ctx))
    losses = token_losses(logits, Y).reshape(length, len(X)).asnumpy().mean(axis=1)
    perplexities = numpy.exp(losses.astype("float64"))
    print(" ".join(f"{place}: {value:,.3g}" for place, value in enumerate(perplexities, 1)))
    figure, (panel,) = new_figure(lesson.title(f"Perplexity at each place of {len(lines)} held-out lines"))
    panel.bar(range(1, length + 1), perplexities, color="#1f5fa8")
    panel.set_yscale("log")
    panel.set_xlabel("place in the line")
    panel.set_ylabel("perplexity")
    save_figure(figure, lesson.out / "poetry.png")
    common.saved(lesson.out / "poetry.png")


# %% [markdown]
# ## Verse by a mask
#
# Left alone, the model keeps the form most of the time. With the mask, the characters that the form allows at a place
# share the probability as if there were no others, and every couplet is one, without a second try.


# %%
def verse(lesson, corpus, model):
    """Write couplets without and with a mask, and count which have the form."""
    common.section("4. Verse by a mask")
    couplet, vocab, sampling = d2lrnn.FORMS["couplet"], corpus.vocab, d2lrnn.Sampling(0.8, seed=lesson.training.seed)
    free = d2lrnn.generate(["\n"] * 100, 40, model, vocab, d2lrnn.Sampling(0.8, seed=sampling.seed, stop="\n"))
    bound = d2lrnn.compose([""] * 100, couplet, model, vocab, sampling)
    for name, samples in (("alone", free), ("masked", bound)):
        texts = [sample.text.strip("\n") for sample in samples]
        print(f"{name:7} {sum(map(has_form, texts)):3} of {len(texts)} have the form, such as {texts[0]!r}")
    print("\nfour lines:")
    print(d2lrnn.compose([""], d2lrnn.FORMS["quatrain"], model, vocab, sampling)[0].text)


def has_form(text):
    """Return whether a text is five characters, a comma, five characters and a full stop."""
    return len(text) == 12 and text[5] == "，" and text[11] == "。" and (text[:5] + text[6:11]).isalnum()


# %% [markdown]
# ## Acrostics
#
# In an acrostic each line begins with a character of a name. It is placed there whatever the model thinks of it, and
# the model goes on from it. From a character that it never read it cannot go on: that is an error, unless one asks for
# it to be placed all the same; then the model reads one of its own in its place.


# %%
def acrostics(lesson, corpus, model):
    """Write acrostics, one with a character that the model does not know."""
    common.section("5. Acrostics")
    vocab, form = corpus.vocab, d2lrnn.FORMS["quatrain"]
    sampling = d2lrnn.Sampling(0.7, seed=lesson.training.seed)
    known = [token for token in "春夏秋冬山水风月花人" if token in vocab]
    heads = "".join((known + [token for token in vocab.idx_to_token if token.isalnum()])[:4])
    print(d2lrnn.acrostic([heads], form, model, vocab, sampling)[0].text)
    strange = heads[:3] + "龘"
    try:
        d2lrnn.acrostic([strange], form, model, vocab, sampling)
    except d2lrnn.UnknownTokenError as error:
        print(f"\n{strange}: {error}\n")
    print(d2lrnn.acrostic([strange], form, model, vocab, sampling, skip_unknown=True)[0].text)


# %% [markdown]
# ## Did it write that?
#
# A couplet of ten characters may well share three or four with one that it read. Spans of five and more are another
# matter: that is a half line by heart.


# %%
def originality(lesson, corpus, model):
    """Tell how much of many couplets stands in the poems that the model has read."""
    common.section("6. Did it write that?")
    index, couplet = d2lrnn.CopyIndex(corpus), d2lrnn.FORMS["couplet"]
    for temperature in (0.5, 0.8, 1.0):
        sampling = d2lrnn.Sampling(temperature, seed=lesson.training.seed)
        texts = [s.text for s in d2lrnn.compose([""] * 200, couplet, model, corpus.vocab, sampling)]
        found = [d2lrnn.novelty(text, index, 4, 5) for text in texts]
        longest = max(found, key=lambda novelty: novelty.longest_length)
        copied = sum(bool(novelty.spans) for novelty in found)
        print(
            f"temperature {temperature}: {copied:3} of {len(texts)} have a span of 5 or more from the corpus, the "
            f"longest {longest.longest!r}; distinct-2 {d2lrnn.distinct(texts, 2):.2f}"
        )


# %% [markdown]
# ## Exercises
#
# 1. Train with `num_lines=2`: two couplets a row. How much better are the second ones known, and why?
# 2. Tie the embedding to the output layer (`tie_weights=True`, `embed_size` and `num_hiddens` equal). What does that do
#    to the number of parameters, and to the perplexity in validation?
# 3. Write the mask of a poem in which the second and the fourth line end with the same character.
# 4. Beam search finds the likeliest couplet (`Sampling(beam_width=8)`). Is it the best one?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="lstm", num_hiddens=128),
        training=d2lrnn.TrainConfig(
            num_epochs=6,
            batch_size=64,
            batches="lines",
            optimizer="adam",
            lr=2e-3,
            theta=5.0,
            pred_period=2,
            pred_temperature=0.8,
        ),
        fixed=["cell", "num_layers", "use_random_iter", "num_steps", "level", "held_out"],
        corpus="couplets",
    )
    common.opening("Poems, couplets and acrostics", lesson)
    corpus = lesson.corpus.hold_out(HELD_OUT)
    try:
        d2lrnn.FORMS["quatrain"].mask(corpus.vocab)
    except d2lrnn.UnknownTokenError as error:
        raise SystemExit(f"these are no poems with a comma and a full stop: {error}") from None
    rows(corpus)
    model = training(lesson, corpus)
    places(lesson, corpus, model)
    verse(lesson, corpus, model)
    acrostics(lesson, corpus, model)
    originality(lesson, corpus, model)


# %%
if __name__ == "__main__":
    main()
