# %% [markdown]
# # Bidirectional recurrent networks
#
# (d2l-zh v1, section 6.10; d2l 1.0, section 10.4; Schuster and Paliwal 1997)
#
# So far a hidden state knew only what came before it. Often what comes after matters as much: whether a line ends
# after a word shows best in the next word. A bidirectional layer reads the text from both ends and puts the two
# hidden states side by side:
#
# $$\overrightarrow{\mathbf{H}}_t = \phi(\mathbf{X}_t, \overrightarrow{\mathbf{H}}_{t-1}), \qquad
# \overleftarrow{\mathbf{H}}_t = \phi(\mathbf{X}_t, \overleftarrow{\mathbf{H}}_{t+1}), \qquad
# \mathbf{O}_t = [\overrightarrow{\mathbf{H}}_t, \overleftarrow{\mathbf{H}}_t] \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# $\phi$ is a step of any cell; each direction has parameters of its own.

# %%
"""Bidirectional networks: why they cannot write from left to right, and a task where they are right."""

from dataclasses import replace

import common
import numpy
from mxnet import np

import d2lrnn
from d2lrnn.data import EOS
from d2lrnn.plotting import COLOURS, draw_curves, new_figure, save_figure

DIRECTIONS = {"one direction": False, "two directions": True}

# %% [markdown]
# ## Not a language model
#
# A language model predicts $w_{t+1}$ from $w_1, \ldots, w_t$. The second direction of a bidirectional network has read
# $w_{t+1}$ already when it comes to step $t$. Change the last token of a window, and see where outputs change.


# %%
def new_models(lesson, bidirectional):
    """Return new models with two outputs, from scratch and on Gluon, with the same parameters."""
    d2lrnn.set_seed(lesson.training.seed)
    config = replace(lesson.model, bidirectional=bidirectional, num_outputs=2)
    return d2lrnn.make_twins(config, lesson.corpus.vocab_size, lesson.ctx)


def looks_ahead(lesson):
    """Show which outputs depend on the last token, and that the module refuses such a language model."""
    common.section("1. Why it cannot be a language model")
    X = common.first_batch(lesson)[0][:1]
    other = X.copy()
    other[0, -1] = (int(X[0, -1].item()) + 1) % lesson.corpus.vocab_size
    print("largest change of the outputs before the last step, when the last token changes")
    for directions, bidirectional in DIRECTIONS.items():
        model = new_models(lesson, bidirectional)["gluon"]
        outputs = [model(x, model.begin_state(1))[0][:-1] for x in (X, other)]
        print(f"{directions:15} {common.difference(*outputs):.1e}")
    model = d2lrnn.build_model(replace(lesson.model, bidirectional=True), lesson.corpus.vocab_size, lesson.ctx)
    try:
        d2lrnn.train_and_predict(model, lesson.corpus, lesson.training)
    except d2lrnn.LooksAheadError as error:
        print(f"train_and_predict says: {error}")


# %% [markdown]
# ## A task where it is right: restore the line ends
#
# Take the corpus, remove its line ends, and ask for each token: did a line end follow it? The whole text is there to
# be read, from both sides. The inputs are ids as before, the targets are 1 (a line end followed) or 0. In a corpus of
# words a line end is `<eos>`, in one of characters a space. (Between the words of *The Time Machine* these are word
# ends.)


# %%
def make_task(lesson):
    """Return ids and tags of the first nine tenths, to train on, and those of the last, to test on."""
    common.section("2. The task: restore the line ends")
    vocab = lesson.corpus.vocab
    separator = EOS if vocab.level == "word" else " "
    if separator not in vocab:
        raise SystemExit(f"{lesson.corpus.name} has no {separator!r}, so there is nothing to restore")
    is_separator = lesson.corpus.train == vocab.token_to_idx[separator]
    kept = numpy.flatnonzero(~is_separator)
    ids = lesson.corpus.train[kept]
    tags = numpy.append(is_separator, False)[kept + 1].astype("int32")
    cut, config = len(kept) * 9 // 10, lesson.training
    try:
        d2lrnn.data_iter_random(ids[:cut], config.batch_size, config.num_steps)
        d2lrnn.data_iter_consecutive(ids[cut:], 1, config.num_steps)
    except d2lrnn.CorpusTooShortError as error:
        raise SystemExit(f"without its line ends, cut in nine tenths and one: {error}") from None
    print(f"input     {vocab.decode(ids[:20])}")
    print(f"targets   {' '.join(map(str, tags[:20]))}")
    print(f"{cut:,} tokens to train on, {len(kept) - cut:,} held out; after {tags.mean():.1%} of them a line ends")
    return (ids[:cut], tags[:cut]), (ids[cut:], tags[cut:])


def batches(task, sampler, batch_size, lesson):
    """Yield (X, Y) of ids and tags; the sampler deals out positions in the text, which serve for both."""
    for positions, _ in sampler(numpy.arange(len(task[0])), batch_size, lesson.training.num_steps):
        yield tuple(np.array(row[positions.asnumpy()], dtype="int32", ctx=lesson.ctx) for row in task)


# %% [markdown]
# ## Models
#
# The cells are the same, the output layer has two columns, and a second direction doubles the state. We train four
# models: one direction and two, each from scratch and on Gluon.


# %%
def make_models(lesson):
    """Return the four models by name, and print what a batch becomes in them."""
    common.section("3. Models")
    models = {}
    for directions, bidirectional in DIRECTIONS.items():
        for kind, model in new_models(lesson, bidirectional).items():
            models[f"{kind}, {directions}"] = model
    X, _ = common.first_batch(lesson)
    for name, model in models.items():
        outputs, state = model(X, model.begin_state(X.shape[0]))
        print(f"{name:23} X {X.shape}, outputs {outputs.shape}, state {' '.join(str(s.shape) for s in state)}")
    return models


# %% [markdown]
# ## Training and the test
#
# `d2lrnn.train` is the loop under `train_and_predict`; it takes any batches of `(X, Y)`. The windows come in random
# order and start from zero states: a state from the right has nothing to hand on to the next window.
#
# The book's SGD gets stuck here at "no line ever ends", which is right most of the time; Adam finds its way out. That
# shows too why accuracy misleads. Let a *hit* be a line end that was found:
#
# $$F_1 = \frac{2 \cdot \text{hits}}{\text{line ends claimed} + \text{line ends there}}.$$


# %%
def tag(model, task, lesson):
    """Return what the model says about the tokens of a task, and what is true: two rows of 0 and 1."""
    said, true = [], []
    for X, Y in batches(task, d2lrnn.data_iter_consecutive, 1, lesson):
        outputs, _ = model(X, model.begin_state(1))
        said.append(outputs.asnumpy().argmax(axis=1))
        true.append(Y.asnumpy()[0])
    return numpy.concatenate(said), numpy.concatenate(true)


def score(said, true):
    """Return accuracy and F1 (0 where there is no hit)."""
    return (said == true).mean(), 2 * (said & true).sum() / max(said.sum() + true.sum(), 1)


def training(lesson, models, train_task, test_task):
    """Train the models; print and draw how they score on the held-out part."""
    common.section("4. Training, and the test on the held-out tenth")
    config = replace(lesson.training, batches="random")
    print(common.describe(config))
    _, true = tag(models["gluon, one direction"], test_task, lesson)
    print(f"{'model':24}perplexity  seconds  accuracy     F1")
    accuracy, f1 = score(0 * true, true)
    print(f"{'never a line end':24}{'':19}{accuracy:10.3f}{f1:7.3f}")
    histories, scores = {}, {}
    for name, model in models.items():
        history = common.carry_out(
            d2lrnn.train,
            model,
            lambda: batches(train_task, d2lrnn.data_iter_random, config.batch_size, lesson),
            config,
        )
        accuracy, scores[name] = score(*tag(model, test_task, lesson))
        histories[name] = history.perplexity
        print(f"{name:24}{history.perplexity[-1]:10.3f}{sum(history.seconds):9.1f}{accuracy:10.3f}{scores[name]:7.3f}")
    figure, panels = new_figure(lesson.title("Line ends restored"), 2)
    draw_curves(panels[0], histories, ("epoch", "training perplexity"))
    panels[1].barh(list(scores), list(scores.values()), color=COLOURS[: len(scores)], zorder=2)
    panels[1].invert_yaxis()
    panels[1].set_xlim(0, 1)
    panels[1].set_xlabel("F1 on the held-out tenth")
    save_figure(figure, lesson.out / "bi_rnn.png")
    common.saved(lesson.out / "bi_rnn.png")


# %% [markdown]
# The number says which model is better. The text says how.


# %%
def restored(lesson, models, test_task):
    """Print where lines end in the held-out text, and where the models on Gluon believe so."""
    common.section("5. The held-out text, with / for a line end")
    vocab, (ids, true) = lesson.corpus.vocab, test_task
    rows = {name: tag(models[name], test_task, lesson)[0] for name in models if name.startswith("gluon")}
    glue = "" if vocab.level == "char" else " "
    for name, tags in {"true": true, **rows}.items():
        tokens = zip(ids[: lesson.training.pred_len], tags)
        print(f"{name:23} {glue.join(vocab.idx_to_token[i] + (glue + '/') * int(end) for i, end in tokens)}")


# %% [markdown]
# ## Exercises
#
# 1. At the edges of a window one direction has nothing to read. Score the tokens in the middle and at the edges of the
#    windows apart. Which edge costs which model more?
# 2. How much of the gain of two directions is the one next token? Give the model in one direction the next token too,
#    by moving the tags on by one, and compare.
# 3. Choose the threshold in place of the `argmax`. How do precision and recall trade against each other?
# 4. The models learn the training part by heart (look at the perplexity). Train a Gluon model with an embedding
#    and dropout. What does that do to the score?
# 5. Which other tasks give the whole input at once? And which only seem to?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="gru", num_hiddens=64),
        training=d2lrnn.TrainConfig(num_epochs=25, optimizer="adam", lr=5e-3, theta=1.0),
        fixed=["prefix", "use_random_iter", "pred_period"],
    )
    common.opening("Bidirectional recurrent networks", lesson)
    looks_ahead(lesson)
    train_task, test_task = make_task(lesson)
    models = make_models(lesson)
    training(lesson, models, train_task, test_task)
    restored(lesson, models, test_task)


# %%
if __name__ == "__main__":
    main()
