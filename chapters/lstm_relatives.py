# %% [markdown]
# # Peepholes, projections and relu: relatives of the LSTM and the RNN
#
# (d2l-zh v1, section 6.8, and beyond it: Gers and Schmidhuber 2000; Sak, Senior and Beaufays 2014, arXiv 1402.1128;
# Le, Jaitly and Hinton 2015, arXiv 1504.00941)
#
# The gates of the LSTM (lesson `lstm.py`) do not see what they guard: they read the hidden state, and where the output
# gate is shut, that says nothing of the memory. *Peepholes* let them look at it, each unit at its own number, so
# $\mathbf{w}_{ci}, \mathbf{w}_{cf}, \mathbf{w}_{co}$ are vectors. The output gate sees the new memory:
#
# $$\begin{aligned}
# \mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xi} + \mathbf{H}_{t-1} \mathbf{W}_{hi} +
# \mathbf{C}_{t-1} \odot \mathbf{w}_{ci} + \mathbf{b}_i), \qquad
# \mathbf{F}_t = \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} +
# \mathbf{C}_{t-1} \odot \mathbf{w}_{cf} + \mathbf{b}_f), \\
# \mathbf{C}_t &= \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot
# \tanh(\mathbf{X}_t \mathbf{W}_{xc} + \mathbf{H}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c), \\
# \mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xo} + \mathbf{H}_{t-1} \mathbf{W}_{ho} +
# \mathbf{C}_t \odot \mathbf{w}_{co} + \mathbf{b}_o).
# \end{aligned}$$
#
# A *projection* makes the hidden state narrower than the memory, $r$ numbers in place of $n$:
#
# $$\mathbf{H}_t = (\mathbf{O}_t \odot \tanh(\mathbf{C}_t)) \mathbf{W}_{mr}.$$
#
# All that reads the hidden state becomes smaller: four matrices $(r \times n)$ in place of $(n \times n)$, and the
# output layer. What is saved buys more memory.

# %%
"""The LSTM with peepholes and with a projection at equal size, and an RNN with relu that begins as the identity."""

from dataclasses import replace

import common
import numpy
from mxnet import np

import d2lrnn
from d2lrnn import ModelConfig, Stack, TrainConfig, build_model, named_parameters
from d2lrnn.config import KINDS
from d2lrnn.evaluation import format_perplexity

CELLS = ("lstm", "lstm_peephole", "lstm_projected", "lstm_peephole_projected")

# %% [markdown]
# ## Parameters and shapes
#
# `CELLS` has `lstm_peephole`, `lstm_projected` (PyTorch's `nn.LSTM(proj_size=...)`), and `lstm_peephole_projected`,
# the paper's LSTMP without its second projection, which goes to the output layer alone. Functions like `d2lrnn.lstm`
# are for the book's cells only; for every cell, `Stack(cell)` makes parameters and states, and can be called.


# %%
def shapes(lesson):
    """List the parameters of the LSTM with both, and run it over one batch."""
    common.section("1. Parameters and shapes")
    n = lesson.model.num_hiddens
    stack, sizes = Stack("lstm_peephole_projected", num_projections=n // 2), (lesson.corpus.vocab_size, n)
    params = stack.get_params(*sizes, lesson.ctx)
    for name, param in zip(stack.param_names, params):
        print(f"{name:10} {param.shape}")
    X, _ = common.first_batch(lesson)
    state = stack.init_state(X.shape[0], n, lesson.ctx)
    outputs, (H, C) = stack(d2lrnn.to_onehot(X, sizes[0]), state, params)
    print(f"outputs    {len(outputs)} matrices {outputs[0].shape} = (batch_size, vocab_size)")
    print(f"state      H {H.shape} = (batch_size, num_projections), C {C.shape} = (batch_size, num_hiddens)")


# %% [markdown]
# ## How large is each?
#
# Sak and his colleagues count, without biases, for $n_i$ inputs, $n_o$ outputs, $n_c$ memory cells and a projection to
# $n_r$ numbers:
#
# $$n_c n_c 4 + n_i n_c 4 + n_c n_o + n_c 3 \quad\text{with peepholes,}\qquad
# n_c n_r 4 + n_i n_c 4 + n_r n_o + n_c n_r + n_c 3 \quad\text{with a projection too.}$$
#
# Here the inputs are one-hot, so $n_i n_c 4$ is the largest part, and no projection touches it: it saves less than in
# the paper, whose inputs are forty numbers. We always project to half of the hidden units.


# %%
def size(config, vocab_size):
    """Return how many numbers a model's parameters are, without making it."""
    stack = Stack(config.cell, num_projections=config.num_projections)
    return sum(int(numpy.prod(shape)) for shape in stack.param_shapes(vocab_size, config.num_hiddens))


def with_hiddens(cell, num_hiddens):
    """Return the model of a cell, compiled from scratch; a projected one halves the hidden units."""
    num_projections = num_hiddens // 2 if d2lrnn.CELLS[cell].projected else None
    return ModelConfig("fast", cell, num_hiddens, num_projections=num_projections)


def sizes(lesson):
    """Print parameters at equal hidden units, and hidden units at equal parameters; return the latter's models."""
    common.section("2. Equal hidden units, equal size")
    vocab_size, n, models = lesson.corpus.vocab_size, lesson.model.num_hiddens, {}
    whole = size(with_hiddens("lstm", n), vocab_size)
    print(f"{'':24}{f'{n} hidden units':>18}      at most {whole:,} parameters")
    print(f"{'cell':24}{'parameters':>18}{'hidden units':>18}{'parameters':>14}")
    for cell in CELLS:
        m = next(m for m in range(2 * n, 2, -1) if size(with_hiddens(cell, m), vocab_size) <= whole)
        models[cell] = with_hiddens(cell, m)
        counts = size(with_hiddens(cell, n), vocab_size), size(models[cell], vocab_size)
        print(f"{cell:24}{counts[0]:18,}{m:18}{counts[1]:14,}")
    return models


# %% [markdown]
# ## On Gluon
#
# `gluon.rnn` has no peepholes, and its `projection_size` cannot be trained on the CPU. `UnrolledLayer` is a Gluon layer
# for every cell: it takes the compiled step through all time steps, and becomes part of the model's graph. `rnn_layer`
# and `kind="gluon"` choose it where Gluon has nothing. By it the book's GRU, too, has a form on Gluon (lesson `gru.py`
# has both forms): `UnrolledLayer("gru", num_hiddens)`.


# %%
def same_numbers(lesson):
    """Compare logits and states of each cell from scratch, compiled and on Gluon, with the same parameters."""
    common.section("3. From scratch, compiled and on Gluon")
    X, _ = common.first_batch(lesson)
    print(f"{'difference, relative':34}{'logits':>10}{'H':>10}{'C':>10}")
    for cell in CELLS[1:]:
        config, found = with_hiddens(cell, lesson.model.num_hiddens), {}
        models = {kind: build_model(replace(config, kind=kind), lesson.corpus.vocab_size, lesson.ctx) for kind in KINDS}
        for param in models["scratch"].params:
            param *= 5  # so that every gate is at work
        for kind, model in models.items():
            d2lrnn.copy_parameters(models["scratch"], model)
            logits, state = model(X, model.begin_state(X.shape[0]))
            found[kind] = [logits, *state]
        for kind in KINDS[1:]:
            gaps = [common.difference(a, b) / float(abs(a).max()) for a, b in zip(found["scratch"], found[kind])]
            print(f"{f'{cell}, {kind}':34}" + "".join(f"{gap:10.0e}" for gap in gaps))


# %% [markdown]
# ## Training at equal size
#
# All have as many parameters as the plain LSTM, and see the same batches. Adam takes the steps, which learns this text
# in a quarter of the book's epochs. The first weights are the book's, N(0, 0.01²): small. From step to step a projected
# state meets two such matrices, where the plain one meets one, so it begins much fainter. The last model therefore
# begins with $\mathbf{W}_{mr}$ from N(0, 1/n), which neither enlarges nor shrinks. (`--held-out 0.1` adds unseen text.)


# %%
def training(lesson, configs):
    """Train them at equal size and show them side by side."""
    common.section("4. Training at equal size")
    models, wide = {}, "lstm_projected, W_mr wide"
    for name, config in {**configs, wide: configs["lstm_projected"]}.items():
        d2lrnn.set_seed(lesson.training.seed)
        models[name] = build_model(config, lesson.corpus.vocab_size, lesson.ctx)
    W_mr = named_parameters(models[wide])["W_mr"]
    W_mr *= len(W_mr) ** -0.5 / 0.01
    common.train_and_show(models, lesson, "lstm_relatives", "The LSTM's relatives at equal size")


# %% [markdown]
# ## Relu, and a state that begins by keeping all
#
# Why does the simple RNN forget? Each step multiplies by $\mathbf{W}_{hh}$, which begins near 0. Le, Jaitly and Hinton
# begin with the identity, and take relu, which does not squash: an RNN that, before it has learnt anything, keeps its
# state, and its gradient, for ever. That is the cell `rnn_relu`.
#
# A task that needs nothing else: of eight letters one is shown, then nothing, and at each step the answer is that
# letter. Guessing has a perplexity of 8. Which counts, the identity or the relu?


# %%
def first_letters(lesson):
    """Return a function that makes the batches of an epoch: one of eight letters, then nothing; the answers."""
    batch_size, num_steps = lesson.training.batch_size, lesson.training.num_steps

    def batches():
        for _ in range(50):
            letters = numpy.random.randint(0, 8, (batch_size, 1))
            X = numpy.hstack([letters, numpy.full((batch_size, num_steps - 1), 8)])
            Y = numpy.repeat(letters, num_steps, axis=1)
            yield np.array(X, dtype="int32", ctx=lesson.ctx), np.array(Y, dtype="int32", ctx=lesson.ctx)

    return batches


def identity(lesson):
    """Train RNNs with tanh and with relu, from both beginnings, to remember a letter; print their perplexities."""
    common.section(f"5. Remember a letter for {lesson.training.num_steps} steps")
    config = TrainConfig(3, optimizer="adam", lr=1e-3, theta=0.1, batches="random", verbose=False)
    print(f"{'perplexity in epoch':24}" + "".join(f"{epoch:12}" for epoch in range(1, config.num_epochs + 1)))
    for cell in ("rnn", "rnn_relu"):
        for start in ("N(0, 0.01²)", "the identity"):
            d2lrnn.set_seed(lesson.training.seed)
            model = build_model(ModelConfig("fast", cell, 32), 9, lesson.ctx)
            W_hh = named_parameters(model)["W_hh"]
            W_hh[:] = np.eye(32) if start == "the identity" else np.random.normal(scale=0.01, size=W_hh.shape)
            history = common.carry_out(d2lrnn.train, model, first_letters(lesson), config)
            name = f"{'relu' if cell == 'rnn_relu' else 'tanh'}, from {start}"
            print(f"{name:24}" + "".join(f"{format_perplexity(p):>12}" for p in history.perplexity))


# %% [markdown]
# The identity is what remembers, and with it relu, which does not squash, learns faster. But nothing bounds its state:
# once $\mathbf{W}_{hh}$ has grown beyond 1 in some direction, each step enlarges it (exercise 5; `--seed 2`).

# %% [markdown]
# ## Exercises
#
# 1. Make the projection narrower: a quarter, an eighth of the hidden units. What does that buy, and when does it cost?
# 2. Is it fair that one model alone begins wider? Give the plain LSTM larger first weights, too (`init_scale=0.1`).
# 3. With `--corpus ptb` there are 10,000 inputs. Which share of the parameters can a projection save, by the formula?
#    And with an embedding (`python -m d2lrnn train --cell lstm_projected --num-projections 64 --embed-size 128`)?
# 4. What do the peepholes learn? Print `w_ci`, `w_cf` and `w_co` after training (`d2lrnn.read_parameters`).
# 5. Train the letters for 10 epochs in place of 3. What happens to relu from the identity? Print the largest of
#    `numpy.linalg.eigvals` of its `W_hh` after each epoch. And show other letters in place of nothing: who learns?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=ModelConfig(cell="lstm"),
        training=TrainConfig(num_epochs=40, optimizer="adam", lr=5e-3, theta=1.0, pred_period=10),
        fixed=["cell", "num_layers"],
    )
    common.opening("Relatives of the LSTM", lesson)
    shapes(lesson)
    configs = sizes(lesson)
    same_numbers(lesson)
    training(lesson, configs)
    identity(lesson)


# %%
if __name__ == "__main__":
    main()
