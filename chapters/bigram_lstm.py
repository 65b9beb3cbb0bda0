# %% [markdown]
# # Pairs of characters
#
# (the sixth assignment of Udacity's deep learning course; Zaremba, Sutskever and Vinyals 2014, arXiv 1409.2329)
#
# A model that reads two letters at once takes half as many steps for the same text. Its vocabulary grows from 27 tokens
# to as many pairs as the language has, which is less than $27 \times 27 = 729$. Three things come with that: one-hot
# vectors become wide, so one looks rows up instead; a step has four products that can be one; and there is more to
# learn by heart, so one drops some of it in training. What makes the two comparable is
#
# $$\text{bits per character} = \frac{\log_2(\text{perplexity})}{\text{characters of a token}}.$$

# %%
"""Pairs of characters: look-up, four products in one, dropout where it belongs, and bits per character."""

import math

import common
import numpy
from mxnet import np, npx

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure, save_figure

HELD_OUT = 0.1  # of the text for validation, and as much for the test
DROPOUT = 0.3

# %% [markdown]
# ## The text, twice
#
# How surprising is a token if one knows nothing but how frequent it is? The mean of $-\log_2 p$ over the text says it
# in bits. A pair is worth more bits than a letter, but it is two letters: what can be compared is bits *per character*.


# %%
def corpora_of(lesson):
    """Return the lesson's text as characters and as pairs of them, with the same parts held out."""
    text = lesson.corpus.vocab.decode(lesson.corpus.train)
    text = text[: len(text) // 2 * 2]
    corpora = {}
    for level in ("char", "bigram"):
        vocab = d2lrnn.Vocab(text, level)
        corpora[level] = d2lrnn.Corpus(f"{lesson.corpus.name}, {level}", vocab, vocab.encode(text)).hold_out(HELD_OUT)
    return corpora


def the_text(corpora):
    """Show the tokens and how much their frequencies alone say."""
    common.section("1. The text, twice")
    for level, corpus in corpora.items():
        shares = numpy.bincount(corpus.train, minlength=corpus.vocab_size) / len(corpus.train)
        bits = -sum(share * math.log2(share) for share in shares if share)
        per_character = bits / (2 if level == "bigram" else 1)
        first = " ".join(map(repr, corpus.vocab.idx_to_token[:8]))
        print(f"{level:7} {len(corpus.train):7,} tokens to learn from, {corpus.vocab_size:3} different: {first} ...")
        print(f"{'':7} by frequency alone {bits:.2f} bits a token, {per_character:.2f} bits per character")
    letters = corpora["char"].vocab_size
    print(f"of {letters} x {letters} = {letters**2} pairs, {corpora['bigram'].vocab_size} occur")


# %% [markdown]
# ## A row in place of a product
#
# A one-hot vector times a matrix is a row of the matrix. With 27 columns nobody minds the product; with some hundreds
# almost all of it is multiplying by zero. `npx.embedding` takes the row, and the gradient goes to that row alone.


# %%
def look_up(corpora, num_hiddens):
    """Show that looking up rows is multiplying by one-hot vectors."""
    common.section("2. A row in place of a product")
    corpus = corpora["bigram"]
    ids, size = np.array(corpus.train[:1000], dtype="int32"), corpus.vocab_size
    W = np.random.normal(size=(size, num_hiddens))
    product = np.dot(npx.one_hot(ids, size), W)
    rows = npx.embedding(ids, W, input_dim=size, output_dim=num_hiddens)
    print(f"largest difference over {len(ids)} tokens: {common.difference(product, rows)}")
    print(f"multiplications: {len(ids) * size * num_hiddens:,}, and none")


# %% [markdown]
# ## Four products in one
#
# The gates of an LSTM all multiply the same $\mathbf{X}_t$ and the same $\mathbf{H}_{t-1}$. Put the four matrices side
# by side, multiply once, and cut the result in four: the same numbers, by one large product, which a processor does
# faster than four small ones. `d2lrnn.models.compiled` does it, and so do Gluon's fused layers.


# %%
def four_in_one(num_hiddens):
    """Show that one wide product is the four of the equations."""
    common.section("3. Four products in one")
    H = np.random.normal(size=(32, num_hiddens))
    weights = {gate: np.random.normal(size=(num_hiddens, num_hiddens)) for gate in "ifoc"}
    wide = np.dot(H, np.concatenate(list(weights.values()), axis=1))
    for (gate, W), part in zip(weights.items(), np.split(wide, 4, axis=1)):
        print(f"gate {gate}: largest difference {common.difference(np.dot(H, W), part):.1e}")


# %% [markdown]
# ## Dropout where it belongs
#
# Dropout of the state would hit the memory at every step. What is to be remembered for $T$ steps survives all their
# masks with the probability $(1 - p)^T$. Zaremba et al. therefore drop what enters a layer and what leaves the last
# one, and leave the way through time alone: what goes up through $L$ layers meets $L + 1$ masks, however long ago it
# was.


# %%
def dropout(lesson):
    """Tell what a memory goes through, dropped at each step or at each layer."""
    common.section("4. Dropout where it belongs")
    num_steps = lesson.training.num_steps
    print(f"with p = {DROPOUT}, a unit survives")
    print(f"  {num_steps} masks on its way through time with probability {(1 - DROPOUT) ** num_steps:.1e}")
    print(f"  2 masks, before the layer and behind it, with {(1 - DROPOUT) ** 2:.2f}")


# %% [markdown]
# ## Characters against pairs
#
# Both models have as many hidden units, read as many characters in a step of training, and are measured on the same
# text that neither has seen. Perplexities cannot be compared, since a pair has more to be unsure about; bits per
# character can.


# %%
def training(corpora, lesson):
    """Train a model on characters and one on pairs, and compare them in bits per character."""
    common.section("5. Characters against pairs")
    print(common.describe(lesson.training))
    pairs = corpora["bigram"].vocab
    start = "th" if "th" in pairs else pairs.idx_to_token[0]
    found, rows = {}, []
    for level, corpus in corpora.items():
        steps = max(lesson.training.num_steps // (2 if level == "bigram" else 1), 1)
        config = d2lrnn.TrainConfig(**{**vars(lesson.training), "num_steps": steps, "prefixes": (), "verbose": False})
        d2lrnn.set_seed(config.seed)
        units = lesson.model.num_hiddens
        shape = d2lrnn.ModelConfig(num_hiddens=units, embed_size=min(128, units), dropout=DROPOUT)
        model = d2lrnn.build_model(shape, corpus.vocab_size, lesson.ctx)
        history = common.carry_out(d2lrnn.train_and_predict, model, corpus, config)
        valid = [d2lrnn.bits_per_character(value, level) for value in history.valid_perplexity]
        test = d2lrnn.bits_per_character(d2lrnn.evaluate(model, corpus.test), level)
        trained = d2lrnn.bits_per_character(history.perplexity[-1], level)
        size = sum(math.prod(param.shape) for param in d2lrnn.named_parameters(model).values())
        rows.append((level, size, trained, min(valid), test, sum(history.seconds)))
        found[level] = valid
        text = d2lrnn.generate([start], 60 // (2 if level == "bigram" else 1), model, corpus.vocab)[0].text
        print(f"{level:7} writes {text!r}")
    print(
        f"\n{'bits per character':18} {'parameters':>10} {'training':>9} {'validation':>10} {'test':>6} {'seconds':>8}"
    )
    for level, size, trained, valid, test, seconds in rows:
        print(f"{level:18} {size:10,} {trained:9.3f} {valid:10.3f} {test:6.3f} {seconds:8.1f}")
    figure, (panel,) = new_figure(lesson.title("Characters and pairs of them"))
    draw_curves(panel, found, ("epoch", "bits per character in validation"))
    save_figure(figure, lesson.out / "bigram_lstm.png")
    common.saved(lesson.out / "bigram_lstm.png")


# %% [markdown]
# ## Exercises
#
# 1. Give the model of characters as many parameters as the one of pairs. Which is better now?
# 2. Leave the dropout out (`DROPOUT = 0`). After how many epochs does validation grow worse, and for which of the two?
# 3. Pairs could also overlap, each one sharing a letter with the next. How many bits per character could such a model
#    lose at most by not knowing the shared letter is given?
# 4. Triples? Count how many occur, and how often the rarest half of them comes in training.


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="lstm"),
        training=d2lrnn.TrainConfig(num_epochs=15, num_steps=36, optimizer="adam", lr=5e-3, theta=1.0),
        fixed=["cell", "num_layers", "pred_len", "pred_period", "prefix", "level", "held_out"],
        corpus="timemachine",
    )
    common.opening("Pairs of characters", lesson)
    corpora = corpora_of(lesson)
    the_text(corpora)
    look_up(corpora, lesson.model.num_hiddens)
    four_in_one(lesson.model.num_hiddens)
    dropout(lesson)
    training(corpora, lesson)


# %%
if __name__ == "__main__":
    main()
