# %% [markdown]
# # Attention
#
# (d2l-zh v1, section 10.11; d2l 1.0, sections 11.1 to 11.4; Bahdanau, Cho and Bengio 2015, arXiv 1409.0473; Luong, Pham
# and Manning 2015, arXiv 1508.04025)
#
# The encoder of a translator reads a sentence, and its last state is all that the decoder gets. A sentence of thirty
# words has to fit into as many numbers as one of three. With *attention* the decoder looks at all outputs of the
# encoder, at each step anew, and takes most from the place where its next token comes from. This lesson shows what the
# one state costs, computes attention by hand, trains a model with it beside one without, and draws where it looks.
#
# The lesson `encoder_decoder.py` builds the translator that attention is added to here. Most of this lesson is about a
# made-up task whose right answer is known: to write a row of letters from its end. The sentence pairs are the 120 that
# ship with the project; with `--data cmn` they are those of Tatoeba.

# %%
from dataclasses import replace

import common
import numpy
from mxnet import np, npx

import d2lrnn
from d2lrnn import Decoding, ModelConfig, TrainConfig
from d2lrnn.data import UNK, Pair, PairBatching, PairForm, corpus_of_pairs, data_iter_pairs, load_pairs
from d2lrnn.models import Attention, attend, attention_shapes, set_values
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    corpus=None,
    data=("sample_pairs", "cmn"),
    model=ModelConfig(
        cell="gru",
        num_hiddens=64,
        bidirectional=True,
        init_scale=0.3,
        head="translation",
        num_outputs=1,
        attention="general",
    ),
    training=TrainConfig(
        num_epochs=15,
        batch_size=64,
        batches="random",
        optimizer="adam",
        lr=0.01,
        lr_schedule="one-cycle",
        theta=1.0,
        pred_period=5,
    ),
    fixed=["cell", "num_layers", "num_projections", "num_steps", "use_random_iter", "pred_len"],
    quick={"num_hiddens": 32, "num_epochs": 12, "batch_size": 60, "lr": 0.03, "pred_period": 6},
)

# %% [markdown]
# ## The bottleneck of one state
#
# Each pair of the made-up task is a row of different letters, and the same row from its end: `abc` becomes `cba`. In
# every fourth row one letter is replaced by a Chinese character that comes nowhere else, as rare words do in real
# texts. Such a character is `<unk>` to the model; a later section is about it.
#
# The encoder reads from both ends, and a bridge makes the decoder's first state of its two last ones. There is no
# attention yet. After the training the model writes rows of the test, which it has not seen, and we count how many
# letters stand at their place, by the length of the row.

# %%
lengths = (4, 8, 12) if lesson.quick else (4, 8, 12, 16, 20)


def reversed_pairs(count):
    """Return rows of letters, each with the same row from its end; every fourth has a character of its own."""
    pairs = []
    for i in range(count):
        row = list("abcdefghijklmnopqrstuvwxyz")
        numpy.random.shuffle(row)
        row = row[: lengths[i // 4 % len(lengths)]]
        if i % 4 == 0:
            row[numpy.random.randint(len(row))] = chr(0x4E00 + i)
        pairs.append(Pair("".join(row), "".join(row[::-1])))
    return pairs


def train(config, data, **settings):
    """Build a translator and train it; return it and the history of its training."""
    d2lrnn.set_seed(lesson.training.seed)
    config = replace(config, num_outputs=len(data.target))
    model = d2lrnn.build_model(config, len(data.source), lesson.ctx)
    task = d2lrnn.Translation(model, data, replace(lesson.training, **settings), d2lrnn.TranslationConfig())
    return model, common.checked(task.train())


def right_by_length(model):
    """Return the share of the letters of unseen rows that the model writes at their place, by the length of the row."""
    found = d2lrnn.translate(model, [row.ids for row in unseen], toy.target, Decoding(beam_width=1))
    right = {length: [] for length in lengths}
    for row, written in zip(unseen, found):
        right[len(row.text)] += [a == b for a, b in zip(row.text[::-1], written.text.ljust(len(row.text)))]
    return {length: float(numpy.mean(values)) for length, values in right.items()}


count = 600 if lesson.quick else 4000
toy = corpus_of_pairs("reversed", reversed_pairs(count), PairForm(("char", "char"), held_out=count // 10))
unknown = toy.source.token_to_idx[UNK]
held_out = [row for split in (toy.valid, toy.test) for row in split.sentences()]
unseen = [row for row in held_out if unknown not in row.ids]
print(f"{len(toy.train):,} pairs, such as {toy.train.pairs[1].source} {toy.train.pairs[1].target}", end="; ")
print(f"{len(unseen):,} unseen rows of known letters")
models, histories, right = {}, {}, {}
models["without"], histories["without"] = train(replace(lesson.model, attention=None), toy)
right["without"] = right_by_length(models["without"])
print("letters at their place, by length: " + ", ".join(f"{n}: {share:.2f}" for n, share in right["without"].items()))

# %% [markdown]
# Short rows go better. The longer the row, the less of it comes out right: what the state cannot hold is lost, and the
# decoder has no other way to get it.
#
# ## Queries, keys and values
#
# A dictionary of Python is asked with a *query*. It compares the query with its *keys*, and answers with the *value*
# whose key is equal. Attention is a soft dictionary. It compares the query $\mathbf{q}$ with all keys $\mathbf{k}_i$.
# The *score* $a$ of a pair is a number, a softmax makes weights of the scores, and the answer is the weighted sum of
# all values:
#
# $$\alpha_i = \frac{\exp(a(\mathbf{q}, \mathbf{k}_i))}{\sum_j \exp(a(\mathbf{q}, \mathbf{k}_j))}, \qquad
# \mathbf{c} = \sum_i \alpha_i \mathbf{v}_i.$$
#
# Everything here has a gradient, so what is asked for and what answers to it can be learnt. Below, four keys are unit
# vectors, the score is the dot product, and the query is a multiple of the third key.

# %%
keys, values = np.eye(4), np.array([10.0, 20.0, 30.0, 40.0])
for strength in (0, 1, 3, 10):
    query = strength * keys[2]
    alpha = npx.softmax(np.dot(keys, query))
    print(f"{strength:2} x the third key: weights {' '.join(f'{a:.3f}' for a in alpha.tolist())}", end=", ")
    print(f"answer {float(np.dot(alpha, values)):.2f}")

# %% [markdown]
# A query that is like no key gets the mean of all values. The stronger it points to one key, the more the answer is the
# value of that key alone.
#
# In a translator the query is the output $\mathbf{h}$ of the decoder at the step that is being computed. The keys and
# the values are both the outputs $\mathbf{s}_1, \ldots, \mathbf{s}_T$ of the encoder. (Bahdanau, Cho and Bengio have
# the two letters the other way round.)
#
# ## Three scores
#
# How is a query compared with a key? The *dot product* needs no parameters, but vectors of one width. A matrix between
# the two, the *general* score, lets the widths differ, and lets the model learn what corresponds to what. The
# *additive* score is a small network with one hidden layer:
#
# $$a_{dot} = \mathbf{h}^\top \mathbf{s}, \qquad
# a_{general} = \mathbf{h}^\top \mathbf{W}_a \mathbf{s}, \qquad
# a_{additive} = \mathbf{w}_v^\top \tanh(\mathbf{W}_q \mathbf{h} + \mathbf{W}_k \mathbf{s}).$$
#
# In the code vectors are rows and stand at the left of the matrices, so the products are those of the equations,
# transposed. `H` has $\mathbf{h}$ for each row of the minibatch, and `S` has the outputs of the encoder for all source
# steps. The sizes are those of the model that will be trained; its parameters are new.

# %%


def dot_score(H, S):
    """Compare H (batch_size, n) with S (num_steps, batch_size, n); return scores (num_steps, batch_size)."""
    return (H * S).sum(axis=2)


def general_score(H, S, W_a):
    """Compare by the dot product after a matrix."""
    return (np.dot(H, W_a) * S).sum(axis=2)


def additive_score(H, S, W_q, W_k, w_v):
    """Compare by a network with one hidden layer."""
    return np.dot(np.tanh(np.dot(H, W_q) + np.dot(S, W_k)), w_v)


twins = d2lrnn.make_twins(replace(lesson.model, num_outputs=len(toy.target)), len(toy.source), lesson.ctx)
scratch, params = twins["scratch"], twins["scratch"].parameters()
n = lesson.model.num_hiddens
size = (lengths[-1], lengths[-1] + 1)
X, counted, Y_in, Y_out, weights = next(data_iter_pairs(toy.train, PairBatching(16, "buckets", (size,)), lesson.ctx))
first_state, S, mask = scratch.encode(X, counted)
decoder_params = [params[f"decoder.{name}"] for name in scratch.decoder.param_names]
outputs, _ = scratch.decoder(d2lrnn.to_onehot(Y_in, len(toy.target)), (first_state,), decoder_params)
H = outputs[0]
print(f"X {X.shape}, S {S.shape}, mask {mask.shape}; {len(outputs)} outputs of the decoder {H.shape}")
keys_of = {"dot": S[:, :, :n], "general": S, "additive": S}  # the dot product gets one direction alone
score_params, scores = {}, {}
for kind, score in (("dot", dot_score), ("general", general_score), ("additive", additive_score)):
    shapes = attention_shapes(kind, n, keys_of[kind].shape[2])
    score_params[kind] = [np.random.normal(0, 0.3, shape, ctx=lesson.ctx) for shape in shapes.values()]
    scores[kind] = score(H, keys_of[kind], *score_params[kind])
    described = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no parameters"
    print(f"{kind:8} {described}; scores {scores[kind].shape}")

# %% [markdown]
# ## A softmax that leaves padding out
#
# The minibatch has rows of several lengths, padded in front, and a weight for padding would be a weight for nothing. To
# set such weights to 0 after the softmax is wrong: the others would no longer add up to 1. So the scores of padding are
# made very small before it. A number as small as $-10^{30}$ makes exactly 0 of $\exp$.


# %%
def masked_softmax(scores, mask):
    """Return weights (num_steps, batch_size) that are 0 where the mask (num_steps, batch_size, 1) is 0."""
    return npx.softmax(scores + (mask[:, :, 0] - 1) * 1e30, axis=0)


alpha = masked_softmax(scores["general"], mask)
lengths_of = counted.sum(axis=1).astype(int).tolist()
row = int(numpy.argmin(lengths_of))  # the first of the shortest rows
print(f"row {row} has {lengths_of[row]} tokens: weights {' '.join(f'{a:.2f}' for a in alpha[:, row].tolist())}")
sums = alpha.sum(axis=0)
print(f"the largest weight of padding is {float((alpha * (1 - mask[:, :, 0])).max()):g}", end="; ")
print(f"the sums differ from 1 by {float(abs(sums - 1).max()):.0e} at most")
unmasked = npx.softmax(scores["general"], axis=0)
print(f"without the mask, padding has {float((unmasked * (1 - mask[:, :, 0]))[:, row].sum()):.2f} of row {row}")

# %% [markdown]
# With the mask, a padded sentence has the weights of the same sentence without padding, up to rounding:

# %%
alone_state, S_alone, mask_alone = scratch.encode(X[row : row + 1, -lengths_of[row] :])
alone, _ = scratch.decoder(d2lrnn.to_onehot(Y_in[row : row + 1], len(toy.target)), (alone_state,), decoder_params)
alpha_alone = masked_softmax(general_score(alone[0], S_alone, *score_params["general"]), mask_alone)
gap = common.difference(alpha_alone, alpha[-lengths_of[row] :, row])
print(f"weights of row {row} alone {alpha_alone.shape}: they differ by {gap:.0e}")

# %% [markdown]
# ## The context
#
# The context is the weighted sum $\mathbf{c} = \sum_i \alpha_i \mathbf{s}_i$. `d2lrnn.models.attend` computes weights
# and context from scratch, for one step of the decoder. The block `Attention` on Gluon computes those of all steps at
# once. For the dot product and the general score that takes two products of matrices for each row of the minibatch.
# Gluon stores matrices transposed.

# %%
for kind in scores:
    S_of_kind, own = keys_of[kind], score_params[kind]
    alpha = masked_softmax(scores[kind], mask)
    C = (np.expand_dims(alpha, 2) * S_of_kind).sum(axis=0)
    expected, expected_alpha = attend(kind, H, S_of_kind, mask, own)
    block = Attention(kind, n, S_of_kind.shape[2])
    block.initialize(ctx=lesson.ctx)
    for layer, values in zip({"general": ["query"], "additive": ["query", "key", "score"]}.get(kind, []), own):
        weight = getattr(block, layer).weight
        set_values(weight, values.T.reshape(weight.shape))
    contexts, all_weights = block(np.stack(outputs), S_of_kind, mask)
    print(f"{kind:8} C {C.shape}; this is d2lrnn.models.attend", end=": ")
    print(f"C differs by {common.difference(C, expected):g}, the weights by", end=" ")
    print(f"{common.difference(alpha, expected_alpha):g}", end="; ")
    print(f"Gluon: {common.difference(C, contexts[0]):.0e}, weights {common.difference(alpha.T, all_weights[0]):.0e}")
print(f"on Gluon: contexts {contexts.shape}, weights {all_weights.shape}, (target steps, batch_size, source steps)")

# %% [markdown]
# What is done with the context? Luong, Pham and Manning put it beside the output of the decoder, and a layer makes a
# new output of both. The logits are computed from the new one:
#
# $$\tilde{\mathbf{h}} = \tanh(\mathbf{W}_c [\mathbf{c}; \mathbf{h}]), \qquad
# \mathbf{o} = \mathbf{W}_{hq} \tilde{\mathbf{h}} + \mathbf{b}_q.$$
#
# The decoder's recurrent layers see nothing of the context. So in training they can run over the whole target first,
# and all steps look at once. In the model of Bahdanau, Cho and Bengio the context enters the recurrent layer, and each
# step has to wait for the one before. Below, the whole decoder by hand:

# %%
W_a, W_c, W_hq, b_q = (params[f"decoder.{name}"] for name in ("W_a", "W_c", "W_hq", "b_q"))
logits = []
for H in outputs:
    alpha = masked_softmax(general_score(H, S, W_a), mask)
    C = (np.expand_dims(alpha, 2) * S).sum(axis=0)
    H_tilde = np.tanh(np.dot(np.concatenate([C, H], axis=1), W_c))
    logits.append(np.dot(H_tilde, W_hq) + b_q)
logits = np.concatenate(logits)
expected = scratch.decode(Y_in, (first_state, S, mask))[0]
twin_logits, _ = twins["gluon"](X, twins["gluon"].begin_state(len(X)), counted, Y_in)
print(f"logits {logits.shape}; this is the model from scratch", end=": ")
print(f"difference {common.difference(logits, expected):g}", end=", ")
print(f"from its twin on Gluon {common.difference(logits, twin_logits):.0e}")

# %% [markdown]
# ## With attention beside without
#
# The model with attention learns from the same pairs as the first one, in the same order, for as many epochs. It has
# the general score.

# %%
models["with"], histories["with"] = train(lesson.model, toy)
right["with"] = right_by_length(models["with"])

# %%
print("attention  parameters  in validation" + "".join(f"{n:>7}" for n in lengths))
for name, model in models.items():
    size = sum(get.data().size for get in d2lrnn.named_parameters(model).values())
    shares = "".join(f"{share:7.2f}" for share in right[name].values())
    print(f"{name:9}  {size:10,}  {histories[name].valid[-1]:13.2f}{shares}")
figure, panels = new_figure("Rows written from their end", 2, (9, 3.8))
draw_curves(
    panels[0], {name: h.valid for name, h in histories.items()}, ("epoch", "perplexity in validation"), log=True
)
draw_curves(panels[1], right, ("letters of the row", "share at their place"))
panels[1].set_ylim(0, 1.05)
common.save_figure(figure, lesson.picture("attention"))

# %% [markdown]
# With attention the length matters much less. The state has to say where the decoder is. What stands there is looked
# up.
#
# ## Where it looks
#
# To write a row from its end, the decoder has to look at the last letter first, then at the one before, and so on. With
# the source along the top and the translation along the left, the right picture is the diagonal from above right to
# below left. Nobody has told the model so: the loss knows of the letters alone. The darker a field, the larger the
# weight.

# %%
looking = Decoding(beam_width=1, with_weights=True)
(found,) = d2lrnn.translate_texts(models["with"], ["thequickbrown"[: lengths[1]]], toy.source, toy.target, looking)
path = lesson.picture("attention_reversed")
d2lrnn.plot_attention(found, path, "A row of letters, written from its end")
common.show_picture(path)
looked = []
for one in d2lrnn.translate(models["with"], [row.ids for row in unseen], toy.target, looking):
    T = one.weights.shape[1]
    steps = numpy.arange(min(T, len(one.weights)))
    looked += [(one.weights[t].argmax() == T - 1 - t, one.weights[t, T - 1 - t], 1 / T) for t in steps]
share, weight, chance = numpy.mean(looked, axis=0)
print(f"{''.join(found.source)} becomes {found.text}")
print(f"{len(looked):,} letters: {share:.1%} look most at the letter that is to be written, whose weight is", end=" ")
print(f"{weight:.2f} on average; equal weights would be {chance:.2f}")

# %% [markdown]
# ## Words that the model does not know
#
# A model cannot write a word that its vocabulary lacks. It can write `<unk>`, since the training had some, and
# attention says which word of the source the `<unk>` stands for. `Decoding(copy_unknown=True)` puts that word there.
# The characters below come nowhere in the training.

# %%
copying = Decoding(beam_width=1, copy_unknown=True, with_weights=True)
texts = ["abc雨def", "x雪zyu风"]
for text in texts:
    plain, copied = (
        d2lrnn.translate_texts(models["with"], [text], toy.source, toy.target, decoding)[0]
        for decoding in (looking, copying)
    )
    print(f"{text} becomes {plain.text}, with copies {copied.text}; unknown: {' '.join(copied.unknown)}")
rare = [row.text for row in held_out if unknown in row.ids]
names = {"without copies": looking, "with copies": copying}
shares = {}
for name, decoding in names.items():
    found = d2lrnn.translate_texts(models["with"], rare, toy.source, toy.target, decoding)
    shares[name] = numpy.mean([one.text == text[::-1] for one, text in zip(found, rare)])
    print(f"{name}: {shares[name]:.0%} of {len(rare)} unseen rows with an unknown character are right")

# %% [markdown]
# ## Sentences
#
# Now the same model reads sentences and writes their translations: words come in, and characters go out. The training
# prints what it makes of sentences that it has not seen.

# %%
form = PairForm(held_out=10)
if lesson.data == "cmn":
    form = PairForm(max_tokens=4 if lesson.quick else 8, held_out=50)  # short sentences alone
data = load_pairs(lesson.data, form=form)
print(f"{len(data.train):,} pairs, {len(data.source):,} words, {len(data.target):,} characters")
translator, history = train(lesson.model, data, batch_size=16)
new = [sentence for split in (data.valid, data.test) for sentence in split.sentences()]
print(f"perplexity in training {history.trained[-1]:.2f}, in validation {history.valid[-1]:.2f}")

# %% [markdown]
# What does each character look at? Below is one of the unseen sentences that are translated as they should be (if there
# is any): the one where the looks jump back most often, since the languages order their words differently. Behind each
# character of the translation stands the word with the largest weight.

# %%
texts = [sentence.text for sentence in new]
greedy = d2lrnn.translate_texts(translator, texts, data.source, data.target, looking)
right_ones = [one for one, sentence in zip(greedy, new) if one.text in sentence.references]
candidates = right_ones or [one for one in greedy if one.tokens]
shown = max(candidates, key=lambda one: ((numpy.diff(one.weights.argmax(axis=1)) < 0).sum(), one.score))
print(" ".join(shown.source))
print(" ".join(f"{token}({shown.source[row.argmax()]})" for token, row in zip(shown.tokens, shown.weights)))
path = lesson.picture("attention_sentence")
d2lrnn.plot_attention(shown, path, "What each character looks at")
common.show_picture(path)

# %% [markdown]
# Of the shipped pairs most characters look at the word that they translate. Nobody has said which word belongs to which
# character. The weight can stand beside the right word, too: an output of an encoder that reads from both ends knows of
# its neighbours. So such a picture is a hint at what the model does, and no proof.
#
# ## Greedy search and beam search
#
# `Decoding` says how a translation is found. So far each step took the likeliest token. A beam of width 5 keeps the
# five likeliest beginnings, as the lesson `decoding_strategies.py` explains. With a length penalty of 0 the beam goes
# by the log-probability alone. Then it seldom finds a less likely translation than greedy search, and sometimes a
# likelier one.

# %%
beam = d2lrnn.translate_texts(translator, texts, data.source, data.target, Decoding(beam_width=5, length_penalty=0))
for name, found in (("greedy", greedy), ("beam of 5", beam)):
    exact = sum(one.text in sentence.references for one, sentence in zip(found, new))
    mean = numpy.mean([one.log_prob for one in found])
    print(f"{name:9}  log-probability {mean:7.3f} on average, {exact} of {len(new)} unseen sentences as they should be")
likelier = [(a, b) for a, b in zip(greedy, beam) if b.log_prob > a.log_prob + 1e-4]
print(f"the beam finds a likelier translation of {len(likelier)} sentences")
for a, b in sorted(likelier, key=lambda both: len(both[0].tokens))[:3]:
    print(f"  {' '.join(a.source)}  {a.text} {a.log_prob:.2f}, {b.text} {b.log_prob:.2f}")

# %% [markdown]
# A likelier translation need not be a better one: the probabilities are the model's, and the model may be wrong.
#
# ## What it costs
#
# Attention compares each step of the target with each step of the source. With $T$ steps of the source, $T'$ of the
# target and $B$ rows in a minibatch there are $T' T B$ scores. The dot product and the general score need no other
# large array. The additive score has a vector of $n$ numbers for each of the pairs, which the tanh and the gradient
# need: $T' T B n$ numbers. They are there at once where all steps are computed at once, and in training they have to be
# kept for the gradient in any case.

# %%
queries = np.dot(np.stack(outputs), score_params["additive"][0])  # (target steps, batch_size, n)
pairs = np.expand_dims(queries, 1) + np.dot(S, score_params["additive"][1])
print(f"in the minibatch above: scores {all_weights.shape}, {all_weights.size:,} numbers", end="; ")
print(f"within the tanh {pairs.shape}, {pairs.size:,}")
print("source  target  rows    n  MB of scores  MB within the tanh")
for T, T_target, B, n_units in ((12, 12, 64, 256), (25, 25, 64, 256), (50, 50, 64, 256), (100, 100, 64, 256)):
    megabytes = [4 * T * T_target * B * units / 1e6 for units in (1, n_units)]
    print("{:6}  {:6}  {:4}  {:3}  {:12.2f}  {:18.1f}".format(T, T_target, B, n_units, *megabytes))

# %% [markdown]
# Twice as long sentences need four times as much. For short sentences all three scores are cheap. For long ones the dot
# product and the general score are. Later models, such as the Transformer, use the dot product.
#
# ## Summary
#
# * Without attention one state has to hold the whole source. Long sources suffer most.
# * Attention compares a query with keys. A softmax of the scores weights the values. In a translator the query is the
#   output of the decoder, and keys and values are the outputs of the encoder.
# * The dot product, the general and the additive score differ in parameters and cost. Scores of padding are made so
#   small that the softmax gives them exactly 0.
# * The weights show where the model looks. They say which word an `<unk>` stands for, so the word can be copied.
# * The number of scores grows with the product of both lengths. The additive score needs $n$ times as much memory.
#
# ## Exercises
#
# `toy`, `models`, `train`, `right_by_length`, `lengths`, `looking`, `masked_softmax`, `data`, `translator`, `new` and
# `lesson` are at hand for all of them.
#
# 1. Give the model without attention three times as many hidden units, or let it learn for three times as many epochs.
#    How far does that help?
#
# <details><summary>Solution 1</summary>
#
# Not far. With `--quick` and the seeds 0 to 2, of rows of 12 letters 15, 14 and 16 percent stand at their place with
# 96 units, and 19, 16 and 15 percent after 36 epochs, in place of 11, 13 and 11. With attention it is 88, 86 and 81
# percent.
#
# </details>
#
# 2. Train a model of the made-up task with the additive score, `train(replace(lesson.model, attention="additive"),
#    toy)`, and one with the dot product, which needs `bidirectional=False` too. Do these find the diagonal?
#
# <details><summary>Solution 2</summary>
#
# The additive score finds it less sharply, and not always in this time. With `--quick` and the seeds 0 to 2, 87, 79
# and 61 percent of the letters look most at the right place, whose weight is 0.55, 0.49 and 0.41 on average. With the
# general score it is 97, 95 and 96 percent, with weights between 0.86 and 0.90. The dot product, with one direction,
# comes to 41, 41 and 48 percent.
#
# </details>
#
# 3. Let `models["with"]` write rows of lengths that the training did not have, shorter and longer ones.
#
# <details><summary>Solution 3</summary>
#
# Give rows of letters to `d2lrnn.translate_texts(models["with"], rows, toy.source, toy.target, looking)`. With
# `--quick` and the seeds 0 to 2, lengths between those of the training go nearly as well as these: of rows of 10
# letters 95, 87 and 89 percent stand at their place. Of rows of 14 letters it is 78, 62 and 66 percent, of 20 letters
# 39, 33 and 46. The reason may be the state: it has to say where the decoder is, and was never trained so far.
#
# </details>
#
# 4. Train a translator of the sentences without attention:
#    `train(replace(lesson.model, attention=None), data, batch_size=16)`.
#
# <details><summary>Solution 4</summary>
#
# With `--quick` and the seeds 0 to 2 the perplexity in validation is 4.45, 4.18 and 3.86, in place of 2.32, 2.15 and
# 2.14. None of the 20 unseen sentences is translated as it should be, in place of 5, 6 and 6.
#
# </details>
#
# 5. Let the numbers of $\mathbf{h}$ and $\mathbf{s}$ be independent, with mean 0 and variance 1. What is the variance
#    of their dot product? Why does the Transformer divide it by $\sqrt{n}$ (d2l 1.0, section 11.3)?
#
# <details><summary>Solution 5</summary>
#
# The dot product is a sum of $n$ products, each of variance 1, so its variance is $n$. For a large $n$ the scores are
# far apart, one weight is nearly 1, and the gradient of the softmax is nearly 0. Divided by $\sqrt{n}$, the scores have
# the variance 1 whatever $n$ is.
#
# </details>
#
# 6. Set the weights of padding to 0 after the softmax, and divide the others by their sum. Is that the masked softmax?
#
# <details><summary>Solution 6</summary>
#
# In exact numbers it is: both divide the same exponentials by their sum. In float32 it can fail. If the score of some
# padding is larger than all others by 200, each of the other exponentials is 0, and their sum too.
#
# </details>
