# %% [markdown]
# # Poems, couplets and acrostics
#
# (beyond the book; after the poem generators of many Keras tutorials; Zhang and Lapata 2014 on Chinese poetry with
# recurrent networks; acrostics are 藏头诗)
#
# A poem is short, and the next one has nothing to do with it. So a row of a minibatch is not a window of a long text
# here, but one poem, read from its beginning with a state of zeros. Poems differ in length, so shorter rows are padded,
# and the padding must count in no loss. A model of such rows learns which characters follow one another, and nearly
# always that a verse has five of them and then a comma. Nearly is not enough for a form: what must not fail is ruled by
# a *mask* over the next character. This lesson builds both masks, that of the loss and that of the verse, writes
# couplets and acrostics, and asks at the end whether the model wrote them or knew them by heart.

# %%
from dataclasses import replace

import common
import numpy
from mxnet import np, npx

import d2lrnn
from d2lrnn.data import rows_of_lines
from d2lrnn.evaluation import token_losses
from d2lrnn.plotting import COLOURS, draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="lstm", num_hiddens=128, num_layers=2, embed_size=128, dropout=0.5),
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
    fixed=["use_random_iter", "num_steps", "level", "held_out"],
    corpus="couplets",
    quick={
        "corpus": "sample_couplets",
        "max_tokens": 2600,  # 200 couplets
        "num_layers": 1,
        "num_epochs": 40,
        "batch_size": 16,
        "pred_period": 20,
    },
)

# %% [markdown]
# The corpus has one couplet in each line: five characters, a comma, five characters, a full stop. The corpus `couplets`
# has more than 72,000 of them from Tang poems, and is downloaded. With `--quick` the lesson takes the 200 that ship
# with the project, `sample_couplets`, from which a model learns the form and little else. The last lines of the corpus
# are held out for validation and for the test.

# %%
corpus = lesson.corpus.hold_out(0.1 if lesson.quick else 0.05)
vocab, ctx, end = corpus.vocab, lesson.ctx, corpus.vocab.token_to_idx["\n"]
form = d2lrnn.FORMS["couplet"]
form.mask(vocab)  # an error here says which mark of the form the corpus lacks
lines = rows_of_lines(corpus.train, end)
print(f"{len(lines):,} lines to learn from; the first two:")
for line in lines[:2]:
    print(f"  {vocab.decode(line)!r}")

# %% [markdown]
# ## Poems as rows
#
# The line end does three things. It ends a poem, so the model can learn when to stop. It stands before the first
# character, so the model has something to begin with. And it fills the padding, where it counts for nothing. A *mask*
# has 1 for each label that counts and 0 for padding.
#
# ![Three lines of different length as rows of inputs and labels, padded, with their mask](img/masked_lines.svg)


# %%
def pad(rows, end):
    """Return X, Y and the mask of rows of ids that each end with the line end."""
    Y = numpy.full((len(rows), max(map(len, rows))), end, dtype="int32")
    counted = numpy.zeros(Y.shape, dtype=bool)
    for i, row in enumerate(rows):
        Y[i, : len(row)] = row
        counted[i, : len(row)] = True
    X = numpy.full_like(Y, end)
    X[:, 1:] = Y[:, :-1]
    return X, Y, counted


# A couplet, half of one, and two characters.
rows = [lines[0], numpy.append(lines[1][:6], numpy.int32(end)), numpy.append(lines[2][:2], numpy.int32(end))]
X, Y, counted = pad(rows, end)
for x, y, mask in zip(X, Y, counted):
    x, y = (vocab.decode(ids).replace("\n", "↵") for ids in (x, y))
    print(f"X     {x}\nY     {y}\nmask  {''.join(map(str, mask.astype(int)))}")
gap = max(abs(a.astype(int) - b).max() for a, b in zip((X, Y, counted), d2lrnn.data.pad_lines(rows, end)))
print(f"this is d2lrnn.data.pad_lines: difference {gap}")

# %% [markdown]
# ## A loss that counts no padding
#
# With $m_t$ from the mask, the loss of a minibatch is the mean over the labels that count:
#
# $$L = \frac{\sum_t m_t \left(-\log p(x_t \mid x_1, \ldots, x_{t-1})\right)}{\sum_t m_t}.$$
#
# What the labels are where $m_t$ is 0 makes no difference. Nor does the padding change any output that counts, for it
# comes after all of them in its row. We try it with made-up outputs, one row for each step of each line.


# %%
def masked_loss(logits, Y, counted):
    """Return the mean loss over the labels that count."""
    losses = -npx.pick(npx.log_softmax(logits), Y.T.reshape(-1))  # the logits come step by step, so Y does too
    m = counted.T.reshape(-1)
    return (losses * m).sum() / m.sum()


logits = np.random.normal(0, 1, (X.size, len(vocab)), ctx=ctx)
labels, m = np.array(Y, ctx=ctx), np.array(counted, dtype="float32", ctx=ctx)
other = np.array(numpy.where(counted, Y, (Y + 1) % len(vocab)), dtype="int32", ctx=ctx)
loss = masked_loss(logits, labels, m)
print(f"the loss                        {float(loss):.6f}")
print(f"with other labels as padding    {float(masked_loss(logits, other, m)):.6f}")
print(f"with the padding counted        {float(masked_loss(logits, labels, np.ones_like(m))):.6f}")
print(f"this is d2lrnn.cross_entropy: difference {abs(float(loss - d2lrnn.cross_entropy(logits, labels, m))):.0e}")

# %% [markdown]
# ## Training
#
# The model has an embedding, LSTM layers, and dropout before each layer and before the output. `data_iter_lines` deals
# out the lines in random order, padded as above; with `batches="lines"` the training loop takes them from there. Look
# at what the model writes: first there are characters of the corpus in any order, then the marks come to their places.

# %%
d2lrnn.set_seed(lesson.training.seed)
model = d2lrnn.build_model(lesson.model, len(vocab), ctx)
training = replace(lesson.training, num_steps=max(map(len, lines)))
print(common.describe(training))
history = common.checked(d2lrnn.train_and_predict(model, corpus, training))
test_perplexity = d2lrnn.evaluate_lines(model, corpus.test, end)
print(f"perplexity in training {history.perplexity[-1]:.1f}, in the test {test_perplexity:.1f}", end="; ")
print(f"in validation {history.valid_perplexity[-1]:.1f}, at its lowest {min(history.valid_perplexity):.1f}")
figure, (panel,) = new_figure(lesson.title("Training"))
curves = {"training": history.perplexity, "validation": history.valid_perplexity}
draw_curves(panel, curves, ("epoch", "perplexity"), log=True)
common.save_figure(figure, lesson.picture("poetry_training"))

# %% [markdown]
# Compare the two curves. As long as both fall, what the model learns holds for poems that it has not read.
# When the curve of the validation rises, the model learns its poems by heart. With two hundred couplets that begins
# after a few epochs, with seventy thousand not before the training ends.
#
# ## Where the model is unsure
#
# The perplexity over all tokens flatters, for marks and line ends come as they must. Place by place one sees what the
# model knows and what it does not. A loss in bits is $-\log_2 p$: 1 bit is the choice between two characters that are
# equally likely, 10 bits that among 1,024. Here are the means, at each place of a line, over lines that the model has
# read and over lines that were held out.


# %%
def bits_by_place(lines):
    """Return the mean loss in bits at each place of lines that are equally long."""
    X, Y, _ = pad(lines, end)
    logits, _ = model(np.array(X, ctx=ctx), model.begin_state(len(X), ctx))
    losses = token_losses(logits, np.array(Y, ctx=ctx)).asnumpy() / numpy.log(2)
    return losses.reshape(-1, len(lines)).mean(axis=1)


usual = max(map(len, lines), key=[len(line) for line in lines].count)
held_out = [line for line in rows_of_lines(corpus.test, end) if len(line) == usual][:512]
bits = {
    "lines that were read": bits_by_place([line for line in lines if len(line) == usual][-512:]),
    "lines that were held out": bits_by_place(held_out),
}
places = numpy.arange(1, usual + 1)
figure, (panel,) = new_figure(lesson.title("Loss at each place of a line"), size=(7, 3.6))
for i, (name, values) in enumerate(bits.items()):
    print(f"{name:24} " + " ".join(f"{value:5.2f}" for value in values))
    panel.bar(places + (i - 0.5) * 0.4, values, 0.4, color=COLOURS[i], label=name)
print(f"{'a character by chance':24} {numpy.log2(len(vocab)):5.2f}")
panel.axhline(numpy.log2(len(vocab)), color=COLOURS[5], linestyle="--", label="a character by chance")
panel.set_axisbelow(True)
panel.set_xticks(places)
panel.set_xlabel("place in the line")
panel.set_ylabel("mean loss in bits")
panel.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=3)
common.save_figure(figure, lesson.picture("poetry_places"))

# %% [markdown]
# The comma (place 6), the full stop (12) and the line end (13) are nearly certain. In the lines that were read, the
# first character is the hardest, for nothing stands before it. By how much the bars of the other lines are higher is
# what the model knows by heart. Where a bar is higher than the dashed line, the model does worse than by chance: it is
# sure of what it has read, and something else comes.
#
# ## Verse by a mask
#
# A form says for each place which mark stands there, or that it is a place for a character. Let $m(x)$ be 1 for what
# the form allows at a place and 0 for all else. What is allowed shares the probability as if there were nothing else:
#
# $$p'(x) = \frac{m(x) \, p(x)}{\sum_{x'} m(x') \, p(x')}.$$
#
# The likeliest character that is allowed is found even without the division.

# %%
print(f"the couplet's places: {form.places}")
letters = numpy.array([token.isalnum() for token in vocab.idx_to_token])


def write(places):
    """Write a text: None is a place for the likeliest character, all else is what must stand there."""
    token, state, text, allowed_before = end, model.begin_state(1, ctx), "", []
    for place in places:
        logits, state = model(np.array([[token]], dtype="int32", ctx=ctx), state)
        allowed = letters if place is None else numpy.arange(len(vocab)) == vocab.token_to_idx[place]
        allowed_before.append(float(npx.softmax(logits)[0].asnumpy()[allowed].sum()))
        token = int(numpy.where(allowed, logits[0].asnumpy(), -numpy.inf).argmax())
        text += vocab.idx_to_token[token]
    return text, allowed_before


text, allowed_before = write(form.places)
greedy = d2lrnn.Sampling(temperature=0)
print(f"written by hand: {text}")
print(f"this is d2lrnn.compose: {d2lrnn.compose([''], form, model, vocab, greedy)[0].text == text}")
print(f"probability of what the form allows: {' '.join(f'{p:.2f}' for p in allowed_before)}")

# %% [markdown]
# Where this probability is near 1, the model would have kept the form by itself. A hundred couplets drawn at
# temperature 0.8, without and with the mask, show what that comes to.


# %%
def has_form(text):
    """Return whether a text is five characters, a comma, five characters and a full stop."""
    return len(text) == 12 and text[5] == "，" and text[11] == "。" and (text[:5] + text[6:11]).isalnum()


seed = lesson.training.seed
alone = d2lrnn.generate(["\n"] * 100, 40, model, vocab, d2lrnn.Sampling(0.8, seed=seed, stop="\n"))
masked = d2lrnn.compose([""] * 100, form, model, vocab, d2lrnn.Sampling(0.8, seed=seed))
for name, samples in (("alone", alone), ("masked", masked)):
    texts = [sample.text.strip("\n") for sample in samples]
    print(f"{name:7} {sum(map(has_form, texts)):3} of {len(texts)} have the form, such as {texts[0]!r}")
seven = d2lrnn.compose([""], d2lrnn.FORMS["couplet7"], model, vocab, d2lrnn.Sampling(0.8, seed=seed))
print(f"seven characters: {seven[0].text}")

# %% [markdown]
# Alone, a model that has read seventy thousand couplets keeps the form nearly always, and one that has read two hundred
# much less often. With the mask each text has the form, at once: none is thrown away and tried again. And a mask can
# ask for a form of which the model has read nothing, such as verses of seven characters.
#
# ## Acrostics
#
# In an acrostic each verse begins with a character of a name. The character is placed there whatever the model thinks
# of it, and the model goes on from it. By hand it is the same mask: where a verse begins, one character is allowed.

# %%
quatrain = d2lrnn.FORMS["quatrain"]
known = [token for token in "春夏秋冬山水风月花人" if token in vocab]
heads = "".join((known + [token for token in vocab.idx_to_token if token.isalnum()])[:4])
wanted = list(quatrain.places)
for begin, head in zip(quatrain.begins, heads):
    wanted[begin] = head
text, _ = write(wanted)
print(text)
print(f"this is d2lrnn.acrostic: {d2lrnn.acrostic([heads], quatrain, model, vocab, greedy)[0].text == text}")

# %% [markdown]
# A character that the model never read is an error, unless one asks for it to be placed all the same. The model cannot
# go on from it. So it writes a character of its own, reads that, and only the text shows the one that was asked for.

# %%
strange = heads[:3] + "龘"
try:
    d2lrnn.acrostic([strange], quatrain, model, vocab)
except d2lrnn.UnknownTokenError as error:
    print(f"{strange}: {error}\n")
sampling = d2lrnn.Sampling(0.7, seed=seed)
print(d2lrnn.acrostic([strange], quatrain, model, vocab, sampling, skip_unknown=True)[0].text)

# %% [markdown]
# ## Did the model write that?
#
# A couplet of ten characters may well share two or three in a row with one that was read. A span of five and more is
# another matter: that is a whole verse, or a piece across the comma, by heart. `novelty` finds such spans, and
# `distinct` tells how varied the texts are: the share of different pairs of characters among all pairs.

# %%
index = d2lrnn.CopyIndex(corpus)
print("temperature   with a span of 5 or more   distinct pairs   the longest span")
for temperature in (0.3, 0.5, 0.8, 1.0):
    sampling = d2lrnn.Sampling(temperature, seed=seed)
    texts = [sample.text for sample in d2lrnn.compose([""] * 100, form, model, vocab, sampling)]
    found = [d2lrnn.novelty(text, index, n=4, min_length=5) for text in texts]
    longest = max(found, key=lambda novelty: novelty.longest_length)
    copied = sum(bool(novelty.spans) for novelty in found)
    print(f"{temperature:11} {copied:17} of 100 {d2lrnn.distinct(texts, 2):16.2f}   {longest.longest!r}")

# %% [markdown]
# At a low temperature the model repeats itself, and what it knows by heart. At a high one it says something new, and
# makes less sense. A model that has read two hundred couplets has little else to say than these. One that has read
# seventy thousand seldom copies a whole verse.
#
# ## Summary
#
# * Poems are rows of their own: each begins with a state of zeros, and shorter ones are padded.
# * A mask keeps the padding out of the loss.
# * A mask over the next character makes a form certain that a model keeps only mostly. An acrostic is such a mask too.
# * The loss at each place, on lines that were read and that were not, shows what a model has learnt by heart. `novelty`
#   shows what it copies.
#
# ## Exercises
#
# `model`, `corpus`, `lines`, `form`, `pad`, `write` and `lesson` are at hand for all of them.
#
# 1. Read two couplets as one row: `replace(training, num_lines=2, num_steps=26)`. Is the second couplet of a row better
#    known than the first, and why?
#
# <details><summary>Solution 1</summary>
#
# Train a new model so, and compare the losses at the places 1 to 13 and 14 to 26 of the rows
# `rows_of_lines(corpus.test, end, 2)`. Two lines in a row are often of one poem, so the first couplet tells what the
# second is about. From two hundred couplets a model does not learn that.
#
# </details>
#
# 2. Tie the embedding to the output layer, with `tie_weights=True` and as many hidden units as the embedding is wide.
#    What does that do to the number of parameters?
#
# <details><summary>Solution 2</summary>
#
# `tied = d2lrnn.build_model(replace(lesson.model, tie_weights=True, embed_size=lesson.model.num_hiddens), len(vocab))`
# has one matrix of `len(vocab) * num_hiddens` numbers less than the same without `tie_weights`. To count them:
# `sum(param.data().size for param in d2lrnn.named_parameters(tied).values())`.
#
# </details>
#
# 3. Write a couplet whose two verses end with the same character.
#
# <details><summary>Solution 3</summary>
#
# `write` takes one list of places, so let it write the first verse, `text, _ = write(form.places[:6])`, and then all
# again with that given: `write([*text, None, None, None, None, text[4], "。"])`.
#
# </details>
#
# 4. Let beam search look for the likeliest couplet: `d2lrnn.Sampling(beam_width=8)`. Is what it finds likelier than the
#    greedy couplet, and is it better?
#
# <details><summary>Solution 4</summary>
#
# `d2lrnn.compose([""], form, model, vocab, d2lrnn.Sampling(beam_width=8))[0]` has a `log_prob`, as has the greedy one.
# It is mostly the higher one, but not always: the greedy couplet may fall out of the beam on its way. The likeliest
# text is made of the commonest characters and phrases, or, with two hundred couplets, of verses that the model has
# read.
#
# </details>
