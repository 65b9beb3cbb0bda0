# %% [markdown]
# # Encoder and decoder
#
# (d2l-zh v1, sections 10.9 and 10.12; d2l 1.0, sections 10.6 to 10.8; Cho et al. 2014, arXiv 1406.1078; Sutskever,
# Vinyals and Le 2014, arXiv 1409.3215)
#
# A translation has its own length and its own order of words, so no network can write one token of it for each token
# that it reads. Two networks can. The encoder reads the whole sentence and writes nothing. What it leaves is its state.
# The decoder is a language model of the other language, and it begins with this state in place of zeros. This lesson
# writes both by hand, trains them, lets them translate and scores the translations. Then one encoder gets two decoders,
# and the lesson looks at what a single state cannot hold.
#
# The pairs are the 120 that ship with the project. A small model learns most of them by heart, which shows that all
# parts work, and no more. Real translating begins with thousands of pairs:
# `--data cmn --num-hiddens 128 --num-epochs 6 --batch-size 64 --lr 0.004` takes minutes.

# %%
import importlib.util
import math
from collections import Counter
from dataclasses import replace

import common
import numpy
from mxnet import autograd, gluon, init, np, npx

import d2lrnn
from d2lrnn.data import (
    PairBatching,
    PairForm,
    data_iter_pairs,
    encode_sentence,
    load_pairs,
    text_of_ids,
    tokens_of,
)
from d2lrnn.evaluation import bleu
from d2lrnn.models import Decoder, Encoder, Translator, rnn_layer
from d2lrnn.plotting import COLOURS, draw_curves, new_figure

lesson = common.begin(
    corpus=None,
    data=("sample_pairs", "cmn"),
    model=d2lrnn.ModelConfig(cell="gru", num_hiddens=96, init_scale=0.3, head="translation", num_outputs=1),
    training=d2lrnn.TrainConfig(
        num_epochs=40,
        batch_size=16,
        batches="random",
        optimizer="adam",
        lr=0.02,
        lr_schedule="one-cycle",
        theta=5.0,
        pred_period=10,
        seed=1,
    ),
    fixed=["num_steps", "use_random_iter", "pred_len", "num_projections"],
    quick={"num_hiddens": 64, "num_epochs": 20, "batch_size": 16, "lr": 0.02, "theta": 5.0, "pred_period": 10},
)

# %% [markdown]
# ## The pairs
#
# The lesson `machine_translation_data.py` explains how rows of text become ids and minibatches. A minibatch has the
# sources `X`, the targets `Y_in` behind `<bos>`, the targets `Y_out` before `<eos>`, and weights, which are 0 where a
# target is padded. The sources of a minibatch are equally long here, so none is padded. With `--quick` at most 200
# pairs are read.

# %%
corpus = common.lesson_pairs(lesson, quick=200)
source, target = corpus.source, corpus.target
print(
    f"{corpus.name}: {len(corpus.train):,} pairs for training, {len(corpus.valid):,} and {len(corpus.test):,} held out"
)
print(f"tokens: {len(source):,} of the source, {len(target):,} of the target")
batching = PairBatching(lesson.training.batch_size)
X, counted, Y_in, Y_out, weights = next(data_iter_pairs(corpus.train, batching, lesson.ctx))
print(f"X {X.shape}, the first: {' '.join(source.idx_to_token[i] for i in X[0].tolist())}")
print(f"Y_in {Y_in.shape}: {' '.join(target.idx_to_token[i] for i in Y_in[0].tolist())}")
print(f"Y_out {Y_out.shape}: {' '.join(target.idx_to_token[i] for i in Y_out[0].tolist())}")

# %% [markdown]
# ## The state as the meaning of the sentence
#
# Let $f$ be the step of a cell, such as the GRU, which Cho et al. proposed in the paper on encoder and decoder. The
# encoder reads $\mathbf{X}_1, \dots, \mathbf{X}_T$ from a state of zeros:
#
# $$\mathbf{H}_t = f(\mathbf{X}_t, \mathbf{H}_{t-1}), \qquad \mathbf{C} = \mathbf{H}_T.$$
#
# It has no output layer. The decoder has a step $g$ with parameters of its own. Its first state is $\mathbf{C}$. At
# each step it reads the token before, and gives logits of the next one:
#
# $$\mathbf{S}_0 = \mathbf{C}, \qquad \mathbf{S}_t = g(\mathbf{Y}_{t-1}, \mathbf{S}_{t-1}), \qquad
# \mathbf{O}_t = \mathbf{S}_t \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# All that the decoder knows of the source is $\mathbf{C}$, an array of (batch_size, num_hiddens) numbers. So
# $\mathbf{C}$ has to hold what the sentence means. (Cho et al. let the decoder see $\mathbf{C}$ at each step too.)
#
# In training the decoder reads the right tokens, those of `Y_in`, whatever it would have written itself. This is
# *teacher forcing*. Then all steps are known beforehand, and an early mistake does not spoil the rest.


# %%
def encode(X, params):
    """Read sources; return the state after their last token."""
    state = tuple(np.zeros((len(X), num_hiddens), ctx=X.ctx) for _ in range(cell.num_states))
    for X_t in d2lrnn.to_onehot(X, len(source)):
        _, state = cell.step(X_t, state, params)
    return state


def decode(Y_in, state, params, W_hq, b_q):
    """Read targets from a first state; return the logits of each next token."""
    outputs = []
    for Y_t in d2lrnn.to_onehot(Y_in, len(target)):
        S, state = cell.step(Y_t, state, params)
        outputs.append(S)
    return np.dot(np.concatenate(outputs), W_hq) + b_q, state  # (target steps * batch_size, vocab_size)


num_hiddens = lesson.model.num_hiddens
config = replace(lesson.model, num_layers=1, num_outputs=len(target))
twins = d2lrnn.make_twins(config, len(source), lesson.ctx)
scratch, cell = twins["scratch"], d2lrnn.CELLS[twins["scratch"].stack.cell]
named = scratch.parameters()
of_encoder, of_decoder = (
    [param for name, param in named.items() if name.startswith(f"{part}.") and not name.endswith("q")]
    for part in ("encoder", "decoder")
)
W_hq, b_q = named["decoder.W_hq"], named["decoder.b_q"]
print(f"{scratch.stack.cell}: {' '.join(name for name in named if name.startswith('encoder'))}")
with autograd.record():
    state = encode(X, of_encoder)
    logits, _ = decode(Y_in, state, of_decoder, W_hq, b_q)
    log_p = npx.pick(npx.log_softmax(logits), Y_out.T.reshape(-1))
    loss = -(weights.T.reshape(-1) * log_p).sum() / weights.sum()
loss.backward()
gradients = [param.grad.copy() for param in scratch.params]
print(f"C {state[0].shape}, logits {logits.shape}")
print(f"the loss is {float(loss):.4f}; guessing at random has {math.log(len(target)):.4f}")

# %% [markdown]
# `TranslatorScratch` computes the same logits, digit for digit, and adds up its gradients in another order. Its twin on
# Gluon is the same up to rounding. The gradients of the encoder have come back through $\mathbf{C}$ alone.

# %%
objective = d2lrnn.NextTargetToken(len(target))
for name, model in twins.items():
    gaps = [common.difference(mine, its) for mine, its in zip(state, model.encode(X))]
    its_logits, _ = model(X, model.begin_state(len(X)), counted, Y_in)
    with autograd.record():
        outcome = objective.loss(model, (X, counted, Y_in, Y_out, weights), None)
    outcome.loss.backward()
    its_gradients = d2lrnn.read_parameters(model, gradients=True)
    gradient_gap = max(abs(mine.asnumpy() - its_gradients[key]).max() for key, mine in zip(named, gradients))
    print(f"{name:8} C differs by {max(gaps):.1g}, the logits by {common.difference(logits, its_logits):.1g}", end=", ")
    print(f"the loss by {common.difference(loss, outcome.loss):.1g}, the gradients by {gradient_gap:.1g}")

# %% [markdown]
# ## Training
#
# The model that is trained has embeddings in place of one-hot vectors. `Translation` says what the batches are and what
# is measured: the perplexity of the next token of the target. Every few epochs it translates the first sentences of the
# validation.

# %%
config = replace(lesson.model, num_outputs=len(target), embed_size=num_hiddens)
d2lrnn.set_seed(lesson.training.seed)
model = d2lrnn.build_model(config, len(source), lesson.ctx)
task = d2lrnn.Translation(model, corpus, lesson.training, d2lrnn.TranslationConfig())
history = common.checked(task.train())

# %%
figure, (panel,) = new_figure(f"Encoder and decoder on {corpus.name}", size=(6, 3.6))
draw_curves(panel, {"training": history.trained, "validation": history.valid}, ("epoch", "perplexity"), log=True)
common.save_figure(figure, lesson.picture("encoder_decoder"))
print(f"perplexity {history.trained[-1]:.2f} in training, {history.valid[-1]:.2f} in validation")

# %% [markdown]
# On the shipped pairs the training perplexity comes near 1: with the right tokens before it, hardly a token is left to
# be guessed. That of the validation does not follow, since a hundred sentences do not teach a language.
#
# ## Greedy decoding
#
# A translation is written as any language model writes: token by token, from the decoder's own words. It begins with
# `<bos>`, takes the likeliest token at each step, and ends with `<eos>`. `<pad>`, `<bos>` and `<unk>` are never taken.


# %%
def translate(sentence, max_tokens=40):
    """Return a translation of a sentence."""
    X = np.array(encode_sentence(sentence, source)[None], dtype="int32", ctx=lesson.ctx)
    memory, ids = model.encode(X), [target.token_to_idx["<bos>"]]
    while len(ids) <= max_tokens:
        logits, _, memory = model.decode(np.array([ids[-1:]], dtype="int32", ctx=lesson.ctx), memory)
        scores = logits[0].asnumpy()
        scores[[target.token_to_idx[token] for token in ("<pad>", "<bos>", "<unk>")]] = -math.inf
        ids.append(int(scores.argmax()))
        if ids[-1] == target.token_to_idx["<eos>"]:
            break
    return text_of_ids(ids, target)


def right(texts, sentences):
    """Return how many translations are among those that the pairs have."""
    return sum(text in sentence.references for text, sentence in zip(texts, sentences))


greedy = d2lrnn.Decoding(beam_width=1)
sentences = {"training": corpus.train.sentences(), "held out": corpus.valid.sentences() + corpus.test.sentences()}
texts = {
    name: [found.text for found in d2lrnn.translate(model, [one.ids for one in some], target, greedy)]
    for name, some in sentences.items()
}
for name, some in sentences.items():
    print(name)
    for sentence, text in list(zip(some, texts[name]))[:: math.ceil(len(some) / 6)]:
        mine = translate(sentence.text)
        print(f"  {sentence.text}  {mine}", end="")
        print("" if mine in sentence.references else f"  (right: {' or '.join(sentence.references[:2])})", end="")
        print("" if mine == text else f"  d2lrnn.translate has {text}")
    print(f"  right: {right(texts[name], some)} of {len(some)}")

# %% [markdown]
# `d2lrnn.translate` has the same translations, of all sentences of a length at once. Most translations of the training
# are right, and those of other sentences show what such a model has learnt: it writes in the other language, often with
# a word or two that belong there, and another sentence than the one that was asked for.
#
# ## BLEU
#
# *Right* is too strict a measure, for there are many good translations. BLEU (Papineni et al. 2002) counts which
# $n$-grams of a translation stand in one of the references, each at most as often as there. $p_n$ is their share among
# all $n$-grams of the translations. With $c$ tokens in the translations, and $r$ in the references that are nearest to
# them in length,
#
# $$\mathrm{BLEU} = \min(1, \exp(1 - r / c)) \, (p_1 p_2 p_3 p_4)^{1/4}.$$
#
# The first factor punishes translations that are too short. The counts are those of the whole test, not of a sentence.


# %%
def bleu_by_hand(translations, references):
    """Return BLEU from 0 to 1, and the four precisions."""
    matches, totals, c, r = numpy.zeros(4), numpy.zeros(4), 0, 0
    for translation, several in zip(translations, references):
        words = tokens_of(translation, target.level)
        others = [tokens_of(reference, target.level) for reference in several]
        c += len(words)
        r += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for n in range(1, 5):
            mine, *theirs = (Counter(zip(*(tokens[i:] for i in range(n)))) for tokens in (words, *others))
            most = Counter()
            for counts in theirs:
                most |= counts
            matches[n - 1] += sum((mine & most).values())
            totals[n - 1] += sum(mine.values())
    p = matches / numpy.maximum(totals, 1)
    return min(1.0, math.exp(1 - r / max(c, 1))) * p.prod() ** 0.25, p


example = ["画家画一只红鸟。"], [["画家画一只白鸟。"]]
score, p = bleu_by_hand(*example)
print(f"{example[0][0]} for {example[1][0][0]}: precisions {' '.join(f'{share:.3f}' for share in p)}, BLEU {score:.4f}")
has_sacrebleu = importlib.util.find_spec("sacrebleu") is not None
if has_sacrebleu:
    print(f"this is sacrebleu's: difference {abs(bleu(*example, 'zh').value / 100 - score):.0e}")
scores = {}
for name, some in sentences.items():
    references = [sentence.references for sentence in some]
    scores[name], p = bleu_by_hand(texts[name], references)
    print(f"{name}: precisions {' '.join(f'{share:.3f}' for share in p)}, BLEU {scores[name]:.4f}", end="")
    print(f"; sacrebleu {bleu(texts[name], references, 'zh').value / 100:.4f}" if has_sacrebleu else "")

# %% [markdown]
# `d2lrnn evaluate` uses sacrebleu. It says how it splits a text, and puts a small number in place of a precision of
# zero. Papers give BLEU times 100. Two values can be compared only if the texts were split alike.
#
# ## The family in TensorFlow's names
#
# `tf.contrib.legacy_seq2seq` has a function for each form. Here they are settings of one model: with one-hot vectors or
# with embeddings, and with one set of weights for both languages or with two. One set, `share=True`, needs one
# vocabulary, so both sides are read in words here; a Chinese character is a word then. With `share` the decoder goes on
# with the very layer that has read the source.

# %%
one_vocab = load_pairs("sample_pairs", form=PairForm(levels=("word", "word"), one_vocab=True))
family = {
    "basic_rnn_seq2seq": {},
    "tied_rnn_seq2seq": {"share": True},
    "embedding_rnn_seq2seq": {"embed_size": 16},
    "embedding_tied_rnn_seq2seq": {"share": True, "embed_size": 16},
}
sizes = {}
print(f"one vocabulary of {len(one_vocab.source)} tokens")
for name, settings in family.items():
    config = replace(lesson.model, num_outputs=len(one_vocab.target), **settings)
    member = d2lrnn.build_model(config, len(one_vocab.source), lesson.ctx)
    sizes[name] = sum(math.prod(param.shape) for param in member.parameters().values())
    one_set = member.decoder.encoder is member.encoder
    said = ", ".join(f"{setting}={value}" for setting, value in settings.items()) or "the default"
    print(f"{name:27} {said:28} {sizes[name]:8,} numbers{', one set for both' if one_set else ''}")

# %% [markdown]
# TensorFlow's argument `feed_previous=True` made the decoder read its own words, as `translate` does. Its
# `embedding_attention_seq2seq` is a model with `attention`, which the next lesson is about.
#
# ## One encoder, two decoders
#
# `one2many_rnn_seq2seq` translated into several languages at once. The state of the encoder is an array, and any number
# of decoders can begin with it. Here the encoder that was trained gets a second decoder, which is to write the English
# sentence again, word by word. The losses are added, so the encoder learns to leave what both decoders need. The parts
# are those of the module, and a few lines train them: for each pair the second target is `X` itself.


# %%
def read_twice(X):
    """Return Y_in and Y_out of a target that is the source."""
    edge = np.ones_like(X[:, :1])
    bos, eos = (source.token_to_idx[token] * edge for token in ("<bos>", "<eos>"))
    return np.concatenate([bos, X], axis=1), np.concatenate([X, eos], axis=1)


again = Decoder(Encoder(rnn_layer(lesson.model.cell, num_hiddens, num_hiddens), len(source), num_hiddens), len(source))
again.initialize(init.Uniform(lesson.model.init_scale), ctx=lesson.ctx)
into = {"Chinese": model, "English": Translator(model.encoder, again)}
params = list(dict.fromkeys(param for one in into.values() for param in one.parameters().values()))
print(f"{sum(len(one.parameters()) for one in into.values())} parameters, of which {len(params)} are different")
trainer = gluon.Trainer(params, "adam", {"learning_rate": lesson.training.lr / 2})
for epoch in range(1, lesson.training.num_epochs // 2 + 1):
    for X, _, Y_in, Y_out, weights in data_iter_pairs(corpus.train, batching, lesson.ctx, training=True):
        Z_in, Z_out = read_twice(X)
        with autograd.record():
            memory = model.encode(X)
            loss_zh = d2lrnn.cross_entropy(model.decode(Y_in, memory)[0], Y_out, weights)
            loss_en = d2lrnn.cross_entropy(again(Z_in, memory)[0], Z_out)
            loss = loss_zh + loss_en
        loss.backward()
        d2lrnn.grad_clipping(params, lesson.training.theta)
        trainer.step(1)
    if epoch == 1 or epoch % 5 == 0:
        print(f"epoch {epoch:2}  loss of the last minibatch: {float(loss_zh):.3f} + {float(loss_en):.3f}")

# %%
written = {
    name: {
        part: d2lrnn.translate(one, [sentence.ids for sentence in some], vocab, greedy)
        for part, some in sentences.items()
    }
    for (name, one), vocab in zip(into.items(), (target, source))
}
for part, some in sentences.items():
    print(part)
    for i in range(0, len(some), math.ceil(len(some) / 4)):
        print(f"  {some[i].text}  {written['Chinese'][part][i].text}  {written['English'][part][i].text}")

# %% [markdown]
# One reading is enough for both. Of the shipped pairs, most that were trained on come back in both languages.
#
# ## What a state cannot hold
#
# The second decoder says what the state holds, in words that can be counted. The state has as many numbers for a
# sentence of twelve words as for one of five. Below is the share of words that come back at the right place, by the
# place. The sign at the end of the sentence does not count.

# %%
by_place = {}
for part, some in sentences.items():
    rows = []
    for sentence, found in zip(some, written["English"][part]):
        words = tokens_of(sentence.text, source.level)[:-1]
        rows.append([i < len(found.tokens) and found.tokens[i] == word for i, word in enumerate(words)])
    columns = [[row[i] for row in rows if len(row) > i] for i in range(8)]
    by_place[part] = [float(numpy.mean(column)) for column in columns if len(column) >= 5]
    print(f"{part:9}" + "".join(f"{share:6.0%}" for share in by_place[part]))
figure, (panel,) = new_figure("Words that come back", size=(6, 3.4))
for i, (part, shares) in enumerate(by_place.items()):
    panel.bar(numpy.arange(1, len(shares) + 1) + (i - 0.5) * 0.4, shares, 0.4, color=COLOURS[i], label=part)
panel.set_axisbelow(True)
panel.set_xlabel("place in the sentence")
panel.set_ylabel("share of right words")
panel.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
common.save_figure(figure, lesson.picture("encoder_decoder_places"))

# %% [markdown]
# In sentences that the model has not been trained on, the first word mostly comes back. Of the words behind it far
# fewer do. A hundred sentences do not teach an encoder what to keep, but more sentences are only half of the remedy.
# Each word that is written is a step further from the encoder, and one wrong word leads to the next. So a translator
# from a state alone does worst with long sentences. Below are the BLEU of sentences that were held out, by their
# length. On the shipped pairs there are too few of them to say much.

# %%
for least, most in ((1, 6), (7, 9), (10, 1000)):
    group = [i for i, sentence in enumerate(sentences["held out"]) if least <= len(sentence.ids) <= most]
    references = [sentences["held out"][i].references for i in group]
    score, _ = bleu_by_hand([texts["held out"][i] for i in group], references)
    print(f"{f'{least} to {most}' if most < 1000 else f'{least} or more'} tokens: BLEU {score:.3f} of {len(group)}")

# %% [markdown]
# With the command at the top of the lesson, which has seed 1, 2,000 sentences are held out, and their BLEU falls with
# the length: 0.118 up to 6 tokens, 0.084 for 7 to 9, and 0.037 for 10 or more. The lesson `attention.py` lets the
# decoder look back at all outputs of the encoder.
#
# ## Summary
#
# * The encoder reads a source and leaves its state. The decoder is a language model of the target that begins with this
#   state.
# * In training the decoder reads the right tokens. In a translation it reads what it has written.
# * BLEU counts the $n$-grams that a translation shares with references, and punishes translations that are too short.
# * Encoder and decoder are parts. They can share their weights, and one encoder can have several decoders.
# * A state of fixed size holds less and less of a sentence, the longer it is.
#
# ## Exercises
#
# `corpus`, `model`, `twins`, `encode`, `decode`, `translate`, `into`, `sentences` and `lesson` are at hand for all of
# them.
#
# 1. Let the decoder begin from zeros in place of $\mathbf{C}$. What does it write?
#
# <details><summary>Solution 1</summary>
#
# Multiply each array of `memory` by 0 in `translate`. The translation is then the same for every sentence: the one
# that a language model of the target finds likeliest, if it knows of no source.
#
# </details>
#
# 2. Cho et al. let the decoder see $\mathbf{C}$ at each step. What changes in `decode`, and why could it help?
#
# <details><summary>Solution 2</summary>
#
# The cell reads `np.concatenate([Y_t, C], axis=1)`, so its weights of the inputs have num_hiddens rows more. The state
# need not carry the sentence through all steps then, since each step reads it anew.
#
# </details>
#
# 3. Read the sources from their end, as Sutskever, Vinyals and Le did: give `d2lrnn.Translation` the plan
#    `d2lrnn.TranslationConfig(reverse_source=True)`, and `d2lrnn.translate` the argument `reverse_source=True`. Is it
#    better?
#
# <details><summary>Solution 3</summary>
#
# The training goes a little closer: with `--quick` and the seeds 1 to 3 its perplexity ends at 1.054, 1.058 and 1.050
# in place of 1.078, 1.062 and 1.064, and 88, 88 and 89 of the 92 sentences are right in place of 86, 88 and 89. The
# BLEU of the sentences that were held out is 0.279, 0.195 and 0.206 in place of 0.200, 0.192 and 0.250. So little data
# do not tell whether it is better.
#
# </details>
#
# 4. Train `embedding_tied_rnn_seq2seq` on `one_vocab`, and the same model with two sets of weights. Which learns more?
#
# <details><summary>Solution 4</summary>
#
# Build `replace(lesson.model, num_outputs=len(one_vocab.target), embed_size=64, share=True)`. It has 41,214 numbers in
# place of 74,238, and with `--quick` and the seeds 1 to 3 it translates 88, 87 and 88 of the 92 sentences of the
# training rightly. With two sets 87, 89 and 86 are right. So one layer can read one language and write another.
#
# </details>
