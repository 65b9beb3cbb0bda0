# %% [markdown]
# # Recurrent neural networks
#
# (d2l-zh v1, section 6.2; d2l 1.0, section 9.4)
#
# An $n$-gram model predicts a token from the $n - 1$ tokens before it. To look further back, it needs a larger $n$, and
# the number of contexts that it has to know grows exponentially with $n$. A recurrent network looks back in another
# way: it reads one token at a time and keeps what it has read in a *hidden state* of fixed size. This lesson goes
# from a network without a state to one with a state, shows on ten characters what the state is good for, and measures
# how quickly a new network forgets.

# %%
import math

import common
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(model=d2lrnn.ModelConfig(cell="rnn"), fixed=["cell", "num_layers"], quick={"max_tokens": 2000})

# %% [markdown]
# ## A network without a hidden state
#
# A multilayer perceptron with one hidden layer takes a minibatch of $n$ examples with $d$ numbers each,
# $\mathbf{X} \in \mathbb{R}^{n \times d}$. Its hidden layer has $h$ units and an activation function $\phi$, its output
# layer has $q$ outputs:
#
# $$\mathbf{H} = \phi(\mathbf{X} \mathbf{W}_{xh} + \mathbf{b}_h), \qquad
# \mathbf{O} = \mathbf{H} \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# The bias has one row, which is added to each row of the product. Our examples are the characters of a short text, as
# one-hot vectors: "spring has come, autumn has gone". The outputs are to tell the next character, so there is one for
# each character of the vocabulary.

# %%
text = "春天来了，秋天走了。"
vocab = d2lrnn.Vocab(text)
ids = vocab.encode(text)
num_inputs = num_outputs = len(vocab)
num_hiddens = 16
W_xh = np.random.normal(0, 0.1, (num_inputs, num_hiddens))
W_hh = np.random.normal(0, 0.1, (num_hiddens, num_hiddens))
b_h = np.zeros(num_hiddens)
W_hq = np.random.normal(0, 0.1, (num_hiddens, num_outputs))
b_q = np.zeros(num_outputs)

X = npx.one_hot(np.array(ids, dtype="int32"), num_inputs)
H = np.tanh(np.dot(X, W_xh) + b_h)
O = np.dot(H, W_hq) + b_q
print(f"X {X.shape}, H {H.shape}, O {O.shape}")
print(f"the outputs for {text[1]} after {text[0]} and after {text[5]} differ by {common.difference(O[1], O[6]):g}")

# %% [markdown]
# The character 天 stands in the text twice, once after 春 and once after 秋. The network gives the same outputs for
# both, since it sees nothing but the character itself. It cannot know that 来 follows the first and 走 the second.
#
# ## A network with a hidden state
#
# Now the characters come one after the other, as inputs $\mathbf{X}_t$ of the time steps $t = 1, 2, \ldots$ The
# hidden layer reads the input of its step and, through a matrix of its own, the hidden layer of the step before:
#
# $$\mathbf{H}_t = \phi(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{b}_h), \qquad
# \mathbf{O}_t = \mathbf{H}_t \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# $\mathbf{H}_t$ is called the *hidden state*, since it tells what the network has read so far. The equation uses the
# state of the step before, so the computation is *recurrent*. In this chapter $\phi$ is tanh, and the first state
# $\mathbf{H}_0$ is zero.
#
# ![A recurrent network at three time steps: each state is computed from an input and the state before](img/rnn.svg)

# %%
H = np.zeros((1, num_hiddens))
outputs = []
for t in range(len(text)):
    H = np.tanh(np.dot(X[t : t + 1], W_xh) + np.dot(H, W_hh) + b_h)
    outputs.append(np.dot(H, W_hq) + b_q)
print(f"{len(outputs)} outputs {outputs[0].shape}, H {H.shape}")
gap = common.difference(outputs[1], outputs[6])
print(f"the outputs for {text[1]} after {text[0]} and after {text[5]} differ by {gap:.2f}")

# %% [markdown]
# Now the outputs differ: two pasts give two states. `d2lrnn.rnn` is this loop. Its inputs are one matrix for each step.

# %%
params = [W_xh, W_hh, b_h, W_hq, b_q]
inputs = [X[t : t + 1] for t in range(len(text))]
expected, (expected_H,) = d2lrnn.rnn(inputs, (np.zeros((1, num_hiddens)),), params)
print(f"this is d2lrnn.rnn: H differs by {common.difference(H, expected_H):.0e}", end=", ")
print(f"the outputs by {common.difference(np.stack(outputs), np.stack(expected)):.0e}")

# %% [markdown]
# ## One product in place of two
#
# The sum of the two products is one product. Put $\mathbf{X}_t$ and $\mathbf{H}_{t-1}$ side by side, and the two
# weights one below the other:
#
# $$\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} =
# [\mathbf{X}_t, \mathbf{H}_{t-1}] \, [\mathbf{W}_{xh}; \mathbf{W}_{hh}].$$
#
# So the hidden layer of a recurrent network is a fully connected layer. It reads the input of the step with the last
# state beside it, as the diagram shows. A check with 3 rows, 5 inputs and 4 hidden units:

# %%
A, W_xa = np.random.normal(0, 1, (3, 5)), np.random.normal(0, 1, (5, 4))
B, W_ha = np.random.normal(0, 1, (3, 4)), np.random.normal(0, 1, (4, 4))
two = np.dot(A, W_xa) + np.dot(B, W_ha)
one = np.dot(np.concatenate([A, B], axis=1), np.concatenate([W_xa, W_ha], axis=0))
print(f"{A.shape} and {B.shape} side by side: {(3, 5 + 4)}; {W_xa.shape} above {W_ha.shape}: {(5 + 4, 4)}")
print(f"the two products added up:\n{two}")
print(f"the one product:\n{one}")
print(f"largest difference {common.difference(one, two):.0e}, the rounding of float32")

# %% [markdown]
# ## The number of parameters does not grow with the number of steps
#
# All steps use the same parameters, so a text may have any length. Compare three ways to predict the next token from
# the last $n$: a table with a row for each context of $n$ tokens, a perceptron that reads $n$ one-hot vectors side by
# side, and a recurrent network. The sizes are those of this lesson's corpus and of the option `--num-hiddens`.

# %%
vocab_size, h = lesson.corpus.vocab_size, lesson.model.num_hiddens
print(f"{vocab_size:,} tokens, {h} hidden units")
print(f"{'n':>4} {'rows of a table':>16} {'perceptron':>12} {'recurrent network':>18}")
for n in (1, 2, 5, 35):
    perceptron = n * vocab_size * h + h + h * vocab_size + vocab_size
    recurrent = sum(param.size for param in d2lrnn.get_rnn_params(vocab_size, h))
    print(f"{n:4} {float(vocab_size**n):16.3g} {perceptron:12,} {recurrent:18,}")

# %% [markdown]
# ## A language model of characters
#
# Now the network becomes a language model. At each step it reads a character, and its label is the next character of
# the text. The softmax of the outputs gives each character of the vocabulary a probability. The loss of a step is the
# cross-entropy, $-\log$ of the probability of the label. The diagram shows the first four steps of our text.
#
# ![At each step a character is read, and the next character is the label](img/rnn_characters.svg)
#
# The output of step 3 depends on all that was read up to there: 春, 天 and 来. Its label is 了. The loss of the text is
# the mean over the steps, and its exponential is the *perplexity*. A new network gives all characters about the same
# probability, so its perplexity is about the number of characters.

# %%
Y = np.array(ids[1:], dtype="int32")
probabilities = npx.softmax(np.concatenate(outputs[:-1], axis=0), axis=1)
right = npx.pick(probabilities, Y)
for t, p in enumerate(right.tolist()):
    print(f"step {t + 1}: read {text[t]!r}, label {text[t + 1]!r}, probability {p:.3f}, loss {-math.log(p):.3f}")
loss = float(-np.log(right).mean())
print(f"mean loss {loss:.4f}, perplexity {math.exp(loss):.3f}, of {len(vocab)} characters")
expected = float(d2lrnn.cross_entropy(np.concatenate(outputs[:-1], axis=0), Y.reshape(1, -1)))
print(f"d2lrnn.cross_entropy: {expected:.4f}, d2lrnn.perplexity: {d2lrnn.perplexity(expected, 1):.3f}")

# %% [markdown]
# ## What the state is good for
#
# Two networks learn the ten characters, by gradient descent with the whole text as one minibatch: one with a state, and
# one whose state is set to zero before each step. Without a state, the network can at best know what follows each
# character, and how often. After 天 comes 来 once and 走 once. The network gives the two the probabilities $p$ and $q$,
# both times the same, and $p + q \leq 1$. So $p q \leq 1/4$. The same holds for the two characters after 了. The
# product of all nine probabilities is therefore at most $1/16$, and the perplexity cannot fall below
# $16^{1/9} = 2^{4/9}$.


# %%
def learn(keep, num_updates=100, lr=1.0):
    """Train a new network; keep is 1 for a network with a state, 0 for one without; return losses and probabilities."""
    d2lrnn.set_seed(0)
    shapes = ((num_inputs, num_hiddens), (num_hiddens, num_hiddens), (num_hiddens,), (num_hiddens, num_outputs))
    params = [np.random.normal(0, 0.1, shape) for shape in (*shapes, (num_outputs,))]
    for param in params:
        param.attach_grad()
    W_xh, W_hh, b_h, W_hq, b_q = params
    perplexities = []
    for _ in range(num_updates):
        with autograd.record():
            H, states = np.zeros((1, num_hiddens)), []
            for t in range(len(Y)):
                H = np.tanh(np.dot(X[t : t + 1], W_xh) + keep * np.dot(H, W_hh) + b_h)
                states.append(H)
            O = np.dot(np.concatenate(states, axis=0), W_hq) + b_q
            loss = d2lrnn.cross_entropy(O, Y.reshape(1, -1))
        loss.backward()
        d2lrnn.sgd(params, lr, 1)
        perplexities.append(math.exp(float(loss)))
    return perplexities, npx.pick(npx.softmax(O, axis=1), Y)


without, p_without = learn(keep=0)
with_state, p_with = learn(keep=1)
for t, (p, q) in enumerate(zip(p_without.tolist(), p_with.tolist())):
    print(f"read {text[t]!r}, label {text[t + 1]!r}: probability {p:.2f} without a state, {q:.2f} with a state")
print(f"perplexity {without[-1]:.3f} without a state, where the bound is {2 ** (4 / 9):.3f}", end="; ")
print(f"{with_state[-1]:.3f} with a state")

# %%
figure, (panel,) = new_figure("Ten characters learnt with and without a state", size=(6.5, 3.6))
curves = {"without a state": without, "with a state": with_state, "the bound without a state": [2 ** (4 / 9)] * 100}
draw_curves(panel, curves, ("update", "perplexity"), log=True)
common.save_figure(figure, lesson.picture("with_and_without_a_state"))

# %% [markdown]
# Without a state, the probabilities after 天 and 了 stop at a half. With a state, all rise towards 1: when the network
# reads 天, its state still tells whether 春 or 秋 came before.
#
# ## The whole past in one state
#
# By the chain rule of probability, a language model needs the probability of each token given all tokens before it,
# $P(x_t \mid x_1, \ldots, x_{t-1})$. The state is computed from the input and the last state, the last state from its
# own input and the state before it, and so on. So $\mathbf{H}_{t-1}$ is a function of the whole past, and the network
# takes
#
# $$P(x_t \mid x_1, \ldots, x_{t-1}) \approx P(x_t \mid \mathbf{H}_{t-1}).$$
#
# A single hidden unit can hold a past of any length, if its number has enough digits. Take $\phi$ as the identity,
# $W_{xh} = 1$ and $W_{hh} = 1/10$, and read the digits of $e = 2.71828\ldots$ one by one. Each step moves the digits
# of the state by one place and writes the new digit before the point. The state is the past, the latest digit first.

# %%
digits = [2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2, 3, 5, 3]
for name, number in (("of 64 bits", float), ("of 32 bits", np.float32)):
    state = number(0)
    for i, digit in enumerate(digits, 1):
        state = number(digit + state / 10)
        if i in (6, 20):
            print(f"a state {name} after {i:2} digits: {state:.{i - 1}f}")
print(f"the {len(digits)} digits, the latest first:   {digits[-1]}.{''.join(map(str, digits[-2::-1]))}")

# %% [markdown]
# With 6 digits the state holds all of them. With 20 digits the first ones are lost in the rounding, sooner with 32 bits
# than with 64. So a state can represent the whole past in principle. In practice it holds what its precision allows,
# and what training has taught the network to write there and to read again.
#
# ## How quickly a new network forgets
#
# To see how long a trace of the first token lasts, let a network read the beginning of the corpus twice, the second
# time with another first token, and take the distance between the two states at each step. With the book's small
# weights, drawn from $N(0, 0.01^2)$, each step multiplies the distance by about $0.01 \sqrt{h}$. With a standard
# deviation of $1 / \sqrt{h}$ for $\mathbf{W}_{hh}$ that factor is about 1.

# %%
num_steps = 30
row = lesson.corpus.train[:num_steps]
rows = np.array([row, row], dtype="int32", ctx=lesson.ctx)
rows[1, 0] = (rows[0, 0] + 1) % vocab_size  # another first token
traces = {}
for name, std in (("0.01, as in the book", 0.01), ("1 / sqrt(num_hiddens)", 1 / math.sqrt(h))):
    d2lrnn.set_seed(0)
    params = d2lrnn.get_rnn_params(vocab_size, h, lesson.ctx)
    params[1][:] *= std / 0.01  # W_hh
    state, distances = d2lrnn.init_rnn_state(2, h, lesson.ctx), []
    for x in d2lrnn.to_onehot(rows, vocab_size):
        _, state = d2lrnn.rnn([x], state, params)
        distances.append(float(np.sqrt(((state[0][0] - state[0][1]) ** 2).sum())))
    traces[name] = {t: d / distances[0] for t, d in enumerate(distances, 1) if d}
    left = ", ".join(f"{distances[t - 1] / distances[0]:.1e} at step {t}" for t in (2, 5, 10, 30))
    print(f"standard deviation of W_hh {name}:\n  of the distance at step 1 there is left {left}")

# %%
figure, (panel,) = new_figure(lesson.title("What is left of the first token in a new network"), size=(6.5, 3.6))
draw_curves(panel, traces, ("time step", "distance of the states (1 at step 1)"), log=True)
common.save_figure(figure, lesson.picture("trace_of_the_first_token"))

# %% [markdown]
# With the book's weights the trace shrinks at each step until it is lost in the rounding. With the larger weights it
# lasts. Training has to find weights with which the trace of what matters lasts. Gradients fade on their way back as
# traces do on their way forward: the lesson `bptt.py` shows how. The gates of `gru.py` and `lstm.py` are made to help.
#
# ## Summary
#
# * A network whose computation uses its own result of the step before is recurrent.
# * The hidden state is a function of all inputs so far.
# * The number of parameters does not grow with the number of time steps.
# * A language model of characters reads a character at each step, and the next character is its label.
# * Without a state the best prediction depends on the last character alone.
#
# ## Exercises
#
# `text`, `vocab`, `X`, `Y`, `learn` and `lesson` are at hand for all of them.
#
# 1. A recurrent network is to predict the next token of a text. How many outputs does it need?
#
# <details><summary>Solution 1</summary>
#
# One for each token of the vocabulary, since each of them may be the next one: `num_outputs = len(vocab)`.
#
# </details>
#
# 2. Why can a recurrent network express the probability of a token given all tokens before it?
#
# <details><summary>Solution 2</summary>
#
# $\mathbf{H}_{t-1}$ is computed from $\mathbf{X}_{t-1}$ and $\mathbf{H}_{t-2}$, and $\mathbf{H}_{t-2}$ from
# $\mathbf{X}_{t-2}$ and $\mathbf{H}_{t-3}$, and so on to the first token. No part of the past is cut
# off, as it is in an $n$-gram model. How much of it can be told apart is a matter of the size of the state, of its
# precision and of the weights.
#
# </details>
#
# 3. Let the network without a state read two characters at each step, side by side. How low can its perplexity be?
#
# <details><summary>Solution 3</summary>
#
# The pairs 春天 and 秋天 differ, and so do 来了 and 走了. So each pair has one successor, and the perplexity can fall
# to 1. The matrix $\mathbf{W}_{xh}$ has twice as many rows. Where only the third character back makes the difference,
# the network has to read three.
#
# </details>
#
# 4. Make the text harder: put more characters between 春 and 来, such as
#    `text = "春天一天一天来了，秋天一天一天走了。"`, and run the cells again. Does the network with a state learn it?
#
# <details><summary>Solution 4</summary>
#
# Yes: `learn(keep=1, num_updates=600)` ends at a perplexity of 1.002, after some jumps on the way down.
# The state has to carry 春 or 秋 over five steps, and to tell the third 天 from the first two. Without a state the
# perplexity stops at 1.48. The bound is another one than above, since 天 comes before 一, 来 and 走 here.
#
# </details>
