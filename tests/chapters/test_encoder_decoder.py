import importlib.util
import math
import re

import numpy
import pytest
from lessons import number_after, section

import d2lrnn
from d2lrnn.data import PairForm, load_pairs, tokens_of

PICTURES = ["encoder_decoder", "encoder_decoder_places"]


@pytest.mark.parametrize("data", ["sample_pairs", "cmn"], ids=["sample", "cmn"])
def test_lesson(run, data, request):
    if data == "cmn":
        request.getfixturevalue("real_data")
    args = ["--data", "cmn", "--num-epochs", "4"] if data == "cmn" else []
    text, names = run("encoder_decoder", *args, pictures=PICTURES)
    corpus, sentences = names["corpus"], names["sentences"]
    assert f"data {data}; on cpu(0)\n" in text
    assert len(corpus.train) + len(corpus.valid) + len(corpus.test) <= 200

    # By hand: what d2lrnn's model from scratch computes, and Gluon's up to rounding; the gradients too.
    by_hand = section(text, "The state as the meaning of the sentence")
    gaps = {
        name: [float(gap) for gap in found]
        for name, *found in re.findall(
            r"^(\w+) +C differs by (\S+), the logits by (\S+), the loss by (\S+), the gradients by (\S+)$",
            by_hand,
            re.M,
        )
    }
    assert list(gaps) == ["scratch", "gluon"]
    assert gaps["scratch"][:3] == [0, 0, 0] and max(gaps["scratch"] + gaps["gluon"]) < 1e-5
    loss = number_after(by_hand, "the loss is")
    assert loss == pytest.approx(math.log(len(corpus.target)), rel=0.25)
    assert all(abs(gradient).max() > 0 for gradient in names["gradients"][: len(names["of_encoder"])])

    # Training, and greedy decoding by hand: the module's.
    history = names["history"]
    assert history.trained[-1] < 0.5 * history.trained[0]
    decoded, greedy = section(text, "Greedy decoding"), names["texts"]
    assert "  d2lrnn.translate has" not in decoded and decoded.count("\n  right: ") == 2
    assert len(re.findall(r"^  \S.*  \S", decoded, re.M)) >= 10

    # BLEU by hand and by sacrebleu; the example by counting.
    scores = section(text, "BLEU")
    assert number_after(scores, "BLEU") == pytest.approx((7 / 8 * 5 / 7 * 3 / 6 * 2 / 5) ** 0.25, abs=1e-4)
    if importlib.util.find_spec("sacrebleu"):
        assert number_after(scores, "this is sacrebleu's: difference") < 1e-9
        if data == "sample_pairs":
            found = re.findall(r"BLEU (\S+); sacrebleu (\S+)$", scores, re.M)
            assert len(found) == 2 and all(mine == its for mine, its in found)

    # The family: one set of weights is smaller, embeddings of 16 are smaller than one-hot vectors.
    sizes = names["sizes"]
    assert list(sizes) == [f"{name}_rnn_seq2seq" for name in ("basic", "tied", "embedding", "embedding_tied")]
    assert sizes["tied_rnn_seq2seq"] < sizes["basic_rnn_seq2seq"] > sizes["embedding_rnn_seq2seq"]
    family = section(text, "The family in TensorFlow's names")
    assert re.findall(r"^(\S+) .*, one set for both$", family, re.M) == [*sizes][1::2]

    # One to many: the encoder is counted once, and the parts are those of the module.
    one, other = names["into"].values()
    assert one.encoder is other.encoder and isinstance(other, d2lrnn.models.Translator)
    assert len(names["params"]) == len(one.parameters()) + len(other.decoder.parameters())
    for part, shares in names["by_place"].items():
        assert len(shares) >= 5 and section(text, "What a state cannot hold").count(f"{part} ") >= 1
    if data == "sample_pairs":
        right = {part: names["right"](found, sentences[part]) / len(found) for part, found in greedy.items()}
        assert history.trained[-1] < 1.3 and history.valid[-1] > 2 * history.trained[-1]
        assert right["training"] > 0.75 and right["held out"] < 0.25
        assert names["scores"]["training"] > 0.9 > 2 * names["scores"]["held out"]
        for vocab, found in zip((corpus.target, corpus.source), names["written"].values()):
            wanted = [one.references if vocab is corpus.target else [one.text.lower()] for one in sentences["training"]]
            assert numpy.mean([it.text in texts for it, texts in zip(found["training"], wanted)]) > 0.6
        assert numpy.mean(names["by_place"]["training"]) > 0.85
        places = names["by_place"]
        assert places["held out"][0] > 0.75 and numpy.mean(places["held out"][2:6]) < 0.6 * places["held out"][0]
        check_first_solution(names)
    shares = [
        found.tokens[:1] == tuple(tokens_of(sentence.text, "word"))[:1]
        for sentence, found in zip(sentences["held out"], names["written"]["English"]["held out"])
    ]
    assert names["by_place"]["held out"][0] == pytest.approx(numpy.mean(shares))


def check_first_solution(names):
    """From a state of zeros, the decoder writes the same whatever the source is."""
    encode, written = names["model"].encode, set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names["model"], "encode", lambda X: tuple(0 * array for array in encode(X)))
        for sentence in names["sentences"]["training"][:3]:
            written.add(names["translate"](sentence.text))
    assert len(written) == 1


def test_the_sizes_of_the_last_solution():
    vocab = load_pairs("sample_pairs", form=PairForm(levels=("word", "word"), one_vocab=True)).target
    sizes = []
    for share in (True, False):
        config = d2lrnn.ModelConfig(
            cell="gru", num_hiddens=64, embed_size=64, head="translation", num_outputs=len(vocab), share=share
        )
        model = d2lrnn.build_model(config, len(vocab))
        sizes.append(sum(math.prod(param.shape) for param in model.parameters().values()))
    assert sizes == [41_214, 74_238]
