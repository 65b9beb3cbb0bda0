# %% [markdown]
# # Classifying sequences
#
# (beyond the book; Géron 2017, *Hands-On Machine Learning with Scikit-Learn and TensorFlow*, chapter 14; d2l-zh v1,
# sections 3.4 and 10.7; LeCun, Cortes and Burges 1998)
#
# A language model answers at every step: with the next token. Many questions are about a whole sequence. Which word was
# said? Is a review good or bad? Which digit was written? The sequence goes in, and one class comes out. This lesson
# reads a handwritten digit as a sequence of 28 rows of 28 pixels. It writes by hand three ways to make one vector of
# all the outputs, and the loss of a class. It shows why a network may read a digit from both ends, trains three
# networks, holds them against two answers that need no network, and looks at the digits that were misread.
#
# The digits are the 10,000 that MNIST has for the test, and are downloaded. If there is no network, the lesson says
# where to put the files. With `--quick`, or with `--data drawn`, the lesson draws digits itself and needs no file.

# %%
import math
from dataclasses import replace

import common
import numpy
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    corpus=None,
    data=("digits", "mnist", "drawn"),
    model=d2lrnn.ModelConfig(cell="gru", num_hiddens=96, init_scale=0.2, head="state", num_outputs=10, input_size=28),
    training=d2lrnn.TrainConfig(
        num_epochs=8,
        batch_size=50,
        batches="random",
        optimizer="adam",
        lr=8e-3,
        lr_schedule="one-cycle",
        theta=1.0,
        pred_period=4,
        seed=1,
    ),
    fixed=["num_steps", "use_random_iter", "pred_len", "num_projections"],
    quick={"data": "drawn", "num_hiddens": 32, "num_epochs": 6, "batch_size": 20, "lr": 0.02, "pred_period": 3},
)

# %% [markdown]
# ## A digit as a sequence
#
# An image has no time, but it has an order: its rows, from the first to the last. A row of 28 pixels is what a network
# reads in one step, where a language model reads a one-hot vector. So a minibatch `X` has the shape (batch_size,
# num_steps, input_size), and there is one label for each sequence.


# %%
def draw_digits(count, draw):
    """Return digits of a seven-segment display, at any place and not all of a size, and their labels."""
    labels = (numpy.arange(count) % 10).astype(numpy.uint8)
    pixels = numpy.zeros((count, 28, 28), numpy.uint8)
    lit = "1110111 0010010 1011101 1011011 0111010 1101011 1101111 1010010 1111111 1111011".split()
    downs, rights = (0, 0, 0, 1, 1, 1, 2), (0, 0, 1, 0, 0, 1, 0)  # of the segments, in units of a segment's length
    for image, label in zip(pixels, labels):
        height, width = draw.integers(6, 9, 2)
        top, left = draw.integers(3, 9, 2)
        for i in range(7):
            if lit[label][i] == "1":
                y, x = top + downs[i] * height, left + rights[i] * width
                bar = (2, width + 2) if i in (0, 3, 6) else (height + 2, 2)
                image[y : y + bar[0], x : x + bar[1]] = draw.integers(60, 256, bar)
    return pixels, labels


sizes = (600, 200, 500) if lesson.quick else (7500, 1000, 1500)
if lesson.data == "drawn":
    draw = numpy.random.default_rng(lesson.training.seed)
    data = d2lrnn.Labelled("drawn", tuple("0123456789"), *(d2lrnn.Images(*draw_digits(n, draw)) for n in sizes))
else:
    data = d2lrnn.load_digits(lesson.data)
    if lesson.quick:  # a part of each
        parts = zip(sizes, (data.train, data.valid, data.test))
        parts = [d2lrnn.Images(part.pixels[:n], part.labels[:n]) for n, part in parts]
        data = d2lrnn.Labelled(data.name, data.classes, *parts)
print(f"{data.name}: {len(data.train):,} for training, {len(data.valid):,} for validation, {len(data.test):,} for test")
X, labels = next(data.train.batches(6, lesson.ctx))
batch_size, num_steps, input_size = X.shape
print(f"X {X.shape}, labels {labels.shape}; the first is a {labels[0]}, read from above:")
for t, row in enumerate(X[0].asnumpy()):
    print(f"  step {t + 1:2}  {''.join(' .:*#'[min(int(5 * pixel), 4)] for pixel in row).rstrip()}".rstrip())

# %% [markdown]
# ## What the output layer reads
#
# The recurrent layer is that of a language model. The rows below a digit are empty. Here they are treated as padding,
# so that the sequences differ in length, as sentences do. The mask $m_t$ is 1 for a row that counts and 0 for padding.
# With the step $f$ of any cell, a padded step leaves the state as it was, and its output is 0:
#
# $$\mathbf{H}_t = m_t f(\mathbf{X}_t, \mathbf{H}_{t-1}) + (1 - m_t) \mathbf{H}_{t-1}, \qquad
# \mathbf{O}_t = m_t \mathbf{H}_t.$$


# %%
def read(cell, X, counted, params, backward=False):
    """Let a cell read sequences; return the outputs of all steps, and the hidden state after the last step."""
    state = tuple(np.zeros((len(X), num_hiddens), ctx=X.ctx) for _ in range(cell.num_states))
    outputs, steps = [], range(X.shape[1])
    for t in reversed(steps) if backward else steps:
        m = counted[:, t : t + 1]  # (batch_size, 1)
        H, new_state = cell.step(X[:, t], state, params)
        state = tuple(m * new + (1 - m) * old for new, old in zip(new_state, state))
        outputs.append(m * H)
    return np.stack(outputs[::-1] if backward else outputs, axis=1), state[0]


num_hiddens, one_layer = lesson.model.num_hiddens, replace(lesson.model, num_layers=1)
has_ink = (X.asnumpy() > 0).any(axis=2)  # (batch_size, num_steps)
lengths = num_steps - has_ink[:, ::-1].argmax(axis=1)
counted = np.array(numpy.arange(num_steps) < lengths[:, None], dtype="float32", ctx=lesson.ctx)
twins = d2lrnn.make_twins(one_layer, None, lesson.ctx)
cell = d2lrnn.CELLS[twins["scratch"].stack.cell]
*params, W_hq, b_q = twins["scratch"].params
outputs, H = read(cell, X, counted, params)
print(f"a layer of the cell {twins['scratch'].stack.cell}")
print(f"rows that count: {' '.join(map(str, lengths))}; the mask {counted.shape}")
print(f"outputs {outputs.shape}, the last state {H.shape}")

# %% [markdown]
# There is an output for each step, and the answer needs one vector $\mathbf{h}$ for the sequence. Three choices are
# usual: the last hidden state, the last output that is no padding, and the mean of the outputs over time. With
# $n = \sum_t m_t$ steps that count,
#
# $$\mathbf{h}_{state} = \mathbf{H}_T, \qquad
# \mathbf{h}_{output} = \sum_t m_t (1 - m_{t+1}) \mathbf{O}_t, \qquad
# \mathbf{h}_{mean} = \frac{1}{n} \sum_t m_t \mathbf{O}_t.$$
#
# In the second formula, $m_t (1 - m_{t+1})$ is 1 at the last step that counts and 0 elsewhere; $m_{T+1}$ is 0. The
# output layer makes ten logits of the vector, one for each class:
#
# $$\mathbf{o} = \mathbf{h} \mathbf{W}_{hq} + \mathbf{b}_q.$$

# %%
m = np.expand_dims(counted, 2)  # (batch_size, num_steps, 1)
m_next = np.concatenate([m[:, 1:], 0 * m[:, :1]], axis=1)
h = {
    "state": H,
    "output": (m * (1 - m_next) * outputs).sum(axis=1),
    "mean": (m * outputs).sum(axis=1) / m.sum(axis=1),
}
for head, vector in h.items():
    logits = np.dot(vector, W_hq) + b_q
    print(f"{head:6}  h {vector.shape}, logits {logits.shape}; difference to d2lrnn's model", end="")
    for kind, model in d2lrnn.make_twins(replace(one_layer, head=head), None, lesson.ctx).items():
        d2lrnn.copy_parameters(twins["scratch"], model)
        answers, _ = model(X, model.begin_state(batch_size), counted)
        print(f", {kind} {common.difference(answers, logits):.1g}", end="")
    print()
ink = np.where(m > 0, X, np.random.uniform(size=X.shape, ctx=lesson.ctx))
for name, mask in (("with the mask", counted), ("without it", np.ones_like(counted))):
    changed, expected = (model(inputs, model.begin_state(batch_size), mask)[0] for inputs in (ink, X))
    print(f"ink in the padding, {name}: the logits change by {common.difference(changed, expected):.1g}")

# %% [markdown]
# The last state of the model from scratch is the one above, digit for digit. The mean is rounded differently, since the
# module divides the mask by $n$ before it adds. Gluon's layers compute with products of another size, and round
# differently too. The mask does its work: whatever stands in the padding changes no answer.
#
# In this network the last state and the last output are the same, because the output of a step is its hidden state.
# They will differ below.
#
# ## The loss of a class
#
# The logits become probabilities by softmax. The loss is the cross-entropy: the mean of $-\log(\hat{y})$ for the class
# $y_i$ that is right, over the $B$ sequences of the minibatch. It is the loss of a language model, with one label for
# the sequence in place of one for each step:
#
# $$\hat{y}_{ik} = \frac{\exp(o_{ik})}{\sum_j \exp(o_{ij})}, \qquad
# L = -\frac{1}{B} \sum_{i=1}^{B} \log(\hat{y}_{i y_i}), \qquad
# \frac{\partial L}{\partial o_{ik}} = \frac{\hat{y}_{ik} - [k = y_i]}{B}.$$

# %%
logits.attach_grad()
with autograd.record():
    y_hat = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)  # (batch_size, 10)
    loss = -np.log(npx.pick(y_hat, labels)).mean()
loss.backward()
gradient = (y_hat - npx.one_hot(labels, 10)) / batch_size
outcome = d2lrnn.SequenceClass().loss(model, (X, labels, counted), None)
print(f"the loss is {float(loss):.4f}; ten classes that are equally likely have {numpy.log(10):.4f}")
print(f"this is d2lrnn.SequenceClass: difference {common.difference(loss, outcome.loss):.1g}")
print(f"the gradient of the logits: difference {common.difference(gradient, logits.grad):.1g} to the formula")
print(f"right answers before training: {int(outcome.score)} of {batch_size}")

# %% [markdown]
# ## From both ends
#
# In the lesson `bi_rnn.py` a network that reads from both ends could not write: at each step it had seen the token that
# it was to guess. Here nothing of the kind can happen. The label is not in the image, and the whole image is there
# before the answer is asked for. So a second direction is allowed. The last state then has two halves. Each is the
# state of a direction after its own last step, which for the backward one is the first row:
#
# $$\mathbf{h}_{state} = [\overrightarrow{\mathbf{H}}_T, \overleftarrow{\mathbf{H}}_1].$$
#
# The last output is $[\overrightarrow{\mathbf{O}}_n, \overleftarrow{\mathbf{O}}_n]$. Its backward half has read the
# last row alone. That is why last state and last output have to be told apart.

# %%
both = replace(one_layer, bidirectional=True, kind="scratch", cell=twins["scratch"].stack.cell)
scratch = d2lrnn.build_model(both, None, lesson.ctx)
*params, W_hq, b_q = scratch.params
forward_params, backward_params = params[: len(params) // 2], params[len(params) // 2 :]
_, H_f = read(cell, X, counted, forward_params)
outputs_b, H_b = read(cell, X, counted, backward_params, backward=True)
logits = np.dot(np.concatenate([H_f, H_b], axis=1), W_hq) + b_q
answers, _ = scratch(X, scratch.begin_state(batch_size), counted)
print(f"h {(batch_size, H_f.shape[1] + H_b.shape[1])}; this is the model from scratch", end=": ")
print(f"difference {common.difference(answers, logits):.1g}")
other_top = np.concatenate([1 - X[:, :10], X[:, 10:]], axis=1)
other_outputs, other_H = read(cell, other_top, counted, backward_params, backward=True)
gap = np.abs(((other_outputs - outputs_b) * m * (1 - m_next)).sum(axis=1)).max()
print(f"other pixels in rows 1 to 10 change the last backward state by {common.difference(H_b, other_H):.2g}", end=", ")
print(f"the last backward output by {float(gap):g}")

# %% [markdown]
# Which rows does the answer depend on? The gradient of the loss with respect to row $t$ of the input says it. Below is
# the share of each row in the sum of the norms $\|\partial L / \partial \mathbf{X}_t\|$, for networks that have learnt
# nothing yet.

# %%
networks = {
    "one direction, last state": {"head": "state"},
    "both, last output": {"head": "output", "bidirectional": True},
    "both, last state": {"head": "state", "bidirectional": True},
    "both, mean": {"head": "mean", "bidirectional": True},
}
shares = {}
print(f"{'rows':26}" + "".join(f"{f'{i + 1}-{i + 7}':>9}" for i in range(0, 28, 7)))
for name, change in networks.items():
    model = d2lrnn.build_model(replace(one_layer, **change), None, lesson.ctx)
    X.attach_grad()
    with autograd.record():
        answers, _ = model(X, model.begin_state(batch_size))
        loss = d2lrnn.cross_entropy(answers, labels.reshape(-1, 1))
    loss.backward()
    norms = np.sqrt((X.grad**2).sum(axis=2)).mean(axis=0).asnumpy()
    shares[name] = norms / norms.sum()
    print(f"{name:26}" + "".join(f"{part.sum():9.4f}" for part in numpy.split(shares[name], 4)))
figure, (panel,) = new_figure("What the answer depends on before training", size=(6.5, 4.2))
draw_curves(panel, shares, ("row", "share of the gradient"), log=True)
common.save_figure(figure, lesson.picture("sequence_classification_rows"))

# %% [markdown]
# One direction forgets: the upper rows of a digit hardly count for its last state. With both directions and the last
# states, the first and the last rows count most. With the mean, all rows count about alike. Training can teach a
# network with gates to remember what it needs. It has less to learn where nothing is far away.
#
# ## Two answers that need no network
#
# An accuracy has to be held against another. Whoever always says the commonest digit is right in about one of ten
# cases. Softmax regression (d2l-zh v1, section 3.4) knows no order: it multiplies all $28 \times 28$ pixels by one
# matrix, $\mathbf{o} = \mathrm{vec}(\mathbf{X}) \mathbf{W} + \mathbf{b}$. The training asks few things of a model:
# the methods that the class below has, and the number of its outputs. So the module's one loop trains this model too.


# %%
class SoftmaxRegression:
    """All pixels times one matrix."""

    num_outputs = 10

    def __init__(self, num_inputs, ctx):
        self.W, self.b = np.zeros((num_inputs, 10), ctx=ctx), np.zeros(10, ctx=ctx)
        for param in (self.W, self.b):
            param.attach_grad()

    def begin_state(self, batch_size, ctx=None):
        """Return a state, which nothing reads."""
        return (np.zeros((batch_size, 1), ctx=self.b.ctx),)

    def parameters(self):
        """Return the parameters by name."""
        return {"W": self.W, "b": self.b}

    def __call__(self, X, state):
        """Return the logits (batch_size, 10), and the state as it was."""
        return np.dot(X.reshape(len(X), -1), self.W) + self.b, state


def train(model, **settings):
    """Train a model to tell the classes apart; return its history."""
    task = d2lrnn.Classification(model, data, replace(lesson.training, **settings))
    return common.checked(task.train())


commonest = numpy.bincount(data.train.labels).argmax()
print(f"the commonest digit, {commonest}: accuracy {(data.valid.labels == commonest).mean():.4f} in validation")
models = {"softmax regression": SoftmaxRegression(num_steps * input_size, lesson.ctx)}
d2lrnn.set_seed(lesson.training.seed)
histories = {"softmax regression": train(models["softmax regression"], lr=2e-3, verbose=False)}
print(f"softmax regression: accuracy {histories['softmax regression'].valid[-1]:.4f} in validation")

# %% [markdown]
# ## Training
#
# Three networks see the same digits in the same order. `Classification` says what the batches are, what the loss is and
# what is measured: the accuracy, the share of the digits whose class is predicted rightly. The loop is the one that
# trains language models.

# %%
print(f"{lesson.training.num_epochs} epochs, batches of {lesson.training.batch_size} digits")
for name in ("one direction, last state", "both, last state", "both, mean"):
    print(f"training {name}")
    d2lrnn.set_seed(lesson.training.seed)
    models[name] = d2lrnn.build_model(replace(lesson.model, **networks[name]), None, lesson.ctx)
    histories[name] = train(models[name])

# %%
print(f"{'accuracy':26}{'parameters':>12}{'training':>10}{'validation':>12}")
for name, history in histories.items():
    size = sum(math.prod(param.shape) for param in d2lrnn.named_parameters(models[name]).values())
    print(f"{name:26}{size:12,}{history.trained[-1]:10.4f}{history.valid[-1]:12.4f}")
figure, (panel,) = new_figure("Accuracy; dashed: in training", size=(6.5, 4.2))
curves = {name: history.valid for name, history in histories.items()}
draw_curves(panel, curves, ("epoch", "accuracy"), dashed={name: h.trained for name, h in histories.items()})
common.save_figure(figure, lesson.picture("sequence_classification"))

# %% [markdown]
# Softmax regression has to learn anew at each place of the image what a stroke is. A recurrent network reads each row
# with the same parameters, and a digit that stands lower only comes later. So the networks are ahead on digits that are
# drawn at any place, and, after a full training, on handwritten ones. In a short training the network that reads the
# mean from both ends is far ahead of the first one. It has twice the parameters, too; the first exercise looks at that.
# How fast the last states of both ends learn depends on the seed.
#
# ## An answer after each row
#
# The first network reads from above, so its state after each row could answer already. The head `"steps"` gives an
# answer at every step. The parameters are those of the trained network; only the choice of $\mathbf{h}$ differs. Below
# is a digit of the test that is read rightly and surely in the end. On the way its answer has changed at least three
# times.

# %%
every_row = d2lrnn.build_model(replace(lesson.model, head="steps"), None, lesson.ctx)
d2lrnn.copy_parameters(models["one direction, last state"], every_row)
X, labels = next(data.test.batches(200, lesson.ctx))
answers, _ = every_row(X, every_row.begin_state(len(X)))  # (number of digits, num_steps, 10)
probabilities = npx.softmax(answers).asnumpy()
guesses, labels = probabilities.argmax(axis=2), labels.asnumpy()
changes = (guesses[:, 1:] != guesses[:, :-1]).sum(axis=1)
surest = probabilities[:, -1].max(axis=1) * (guesses[:, -1] == labels) * (changes >= 3)
chosen = int(surest.argmax())
print(f"a {labels[chosen]}; after each row it is taken for a {' '.join(map(str, guesses[chosen]))}")
figure, (image, panel) = new_figure(f"A {labels[chosen]}, row by row", 2, (8, 3.8))
image.imshow(1 - X[chosen].asnumpy(), cmap="gray", vmin=0, vmax=1, extent=(0, 28, 28, 0))
image.set_ylabel("row")
image.grid(visible=False)
likely = sorted(set(guesses[chosen]), key=lambda k: -probabilities[chosen, :, k].sum())[:4]
curves = {f"a {k}": probabilities[chosen, :, k] for k in likely}
draw_curves(panel, curves, ("rows that were read", "probability"))
common.save_figure(figure, lesson.picture("sequence_classification_reading"))

# %% [markdown]
# ## What is misread
#
# The network that is best in validation reads the digits of the test, which have had no part in any choice. The
# confusion matrix counts in row $i$ and column $j$ how many digits $i$ were taken for $j$. What is right stands on its
# diagonal. With other digits the accuracy $a$ would be another one. Its standard error for $N$ digits is
# $\sqrt{a (1 - a) / N}$. Two accuracies that differ by less than about twice that much may be equally good.

# %%
best = max(histories, key=lambda name: histories[name].valid[-1])
probabilities = d2lrnn.class_probabilities(models[best], data.test.batches(100, lesson.ctx))
predicted, labels = probabilities.argmax(axis=1), data.test.labels
matrix = numpy.zeros((10, 10), dtype=int)
numpy.add.at(matrix, (labels, predicted), 1)
print(
    f"this is d2lrnn.confusion_matrix: difference {abs(matrix - d2lrnn.confusion_matrix(predicted, labels, 10)).max()}"
)
print(f"{len(labels):,} digits of the test, {matrix.sum() - matrix.trace()} misread by {best}")
for name, model in models.items():
    found = d2lrnn.class_probabilities(model, data.test.batches(100, lesson.ctx)).argmax(axis=1)
    right = d2lrnn.accuracy(found, labels)
    print(f"{name:26} accuracy {right:.4f} in the test, +- {math.sqrt(right * (1 - right) / len(labels)):.4f}")
path = lesson.picture("sequence_classification_confusion")
d2lrnn.plot_confusion(matrix, data.classes, path, f"{best}, test")
common.show_picture(path)

# %% [markdown]
# Here are the twelve digits to whose right class the network gives the least probability, the worst first.

# %%
of_the_right = probabilities[numpy.arange(len(labels)), labels]
worst = of_the_right.argsort(kind="stable")[:12]
captions = [f"{labels[i]} read as {predicted[i]}, {probabilities[i].max():.2f}" for i in worst]
print("; ".join(captions))
path = lesson.picture("sequence_classification_misread")
d2lrnn.plot_misread(data.test.pixels[worst], captions, path, "The least likely right answers")
common.show_picture(path)

# %% [markdown]
# The number behind a caption is the probability of the answer. On handwritten digits the networks come close to one
# another after a full training, and some of these digits would be misread by a person too. A wrong answer can have a
# probability near 1: the number says how sure the network is, not how often such answers are right.
#
# ## Summary
#
# * A classifier of sequences is a recurrent network whose output layer reads one vector: the last state, the last
#   output that is no padding, or the mean of the outputs over time. A mask keeps padding out of all three.
# * Its loss is the cross-entropy of one class for a sequence.
# * Reading from both ends is right where the whole sequence is there before the answer is asked for. The last state
#   then joins the last step of one direction and the first row of the other; the last output does not.
# * An accuracy says little by itself. It is held against the commonest class and against a model that knows no order.
#
# ## Exercises
#
# `data`, `models`, `train`, `networks`, `read`, `X` and `lesson` are at hand for all of them.
#
# 1. The networks that read from both ends have more parameters. Give the first one as many. What is left of the
#    difference?
#
# <details><summary>Solution 1</summary>
#
# With `--quick`, 51 hidden units make 12,913 parameters: `train(d2lrnn.build_model(replace(lesson.model,
# num_hiddens=51), None, lesson.ctx))`. With the seeds 1 to 3 the accuracy in the test is 0.876, 0.838 and 0.956, where
# 32 units reach 0.728, 0.722 and 0.774, and the mean from both ends 0.910, 0.918 and 0.940. So most of the difference
# comes from the size here.
#
# </details>
#
# 2. Let a network read columns in place of rows. Is that worse?
#
# <details><summary>Solution 2</summary>
#
# Swap the axes of the pixels: `d2lrnn.Images(data.train.pixels.swapaxes(1, 2), data.train.labels)`, and likewise for
# validation and test. On the drawn digits it is better. With `--quick` and the seeds 1 to 3, the mean from both ends
# has an accuracy of 0.984, 0.980 and 0.986 in the test, in place of 0.910, 0.918 and 0.940. The digits are narrower
# than they are high, so there are fewer steps from the first ink to the last.
#
# </details>
#
# 3. What would the mean be if the padding were counted, $\frac{1}{T} \sum_t \mathbf{O}_t$ in place of
#    $\frac{1}{n} \sum_t m_t \mathbf{O}_t$? Why would that be wrong?
#
# <details><summary>Solution 3</summary>
#
# The outputs are 0 at padding, so the sum is the same, and the mean is $n / T$ times the right one. The vector of a
# short sequence would be nearer to 0. Its answer would depend on how long the other sequences of the minibatch are,
# since the longest of them decides on $T$.
#
# </details>
#
# 4. How many rows of the image are needed? Let `models["both, last state"]` read the first $k$ rows of the test alone.
#
# <details><summary>Solution 4</summary>
#
# Make `X` of `data.test.pixels / 255`, and give the model `X[:, :k]`. With `--quick` and seed 1 the accuracy is 0.976
# for all 28 rows, 0.904 for 24, 0.664 for 20 and 0.462 for 16. The drawn digits end between the rows 17 and 26. The
# network was never trained on parts of digits, so it does not make the best of what it has read.
#
# </details>
#
# 5. The image can also be read pixel by pixel, as 784 steps of one number. How long is the way from the first pixel to
#    the last state, and which networks are made for it?
#
# <details><summary>Solution 5</summary>
#
# The way has 784 steps in place of 28, and most of them read background. A plain recurrent network forgets the
# first pixels long before the end. Le, Jaitly and Hinton (arXiv 1504.00941) took this very task for their network with
# relu that begins with the identity; the lesson `lstm_relatives.py` builds it.
#
# </details>
