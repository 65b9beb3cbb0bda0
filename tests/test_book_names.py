"""What a reader of the book types, and the answer that d2lrnn gives."""

import copy
import inspect
import operator
import pickle
import re

import d2l.mxnet
import pytest

import d2lrnn
from d2lrnn.book_names import ANSWERS

BOOK = "d2lrnn has nothing called {}, a name of the book: write d2lrnn.{}"
PREDICT = (
    "predict(prefix, num_chars, model, corpus.vocab), with model = RNNModelScratch(vocab_size, num_hiddens, ctx, "
    "get_rnn_params, init_rnn_state, rnn)"
)


@pytest.mark.parametrize(
    ("name", "said"),
    [("predict_rnn", PREDICT), ("RNNLM", "RNNModel(rnn_layer('rnn', num_hiddens), vocab_size)")],
)
def test_a_name_of_the_book_says_what_it_is_called_here(name, said):
    with pytest.raises(AttributeError) as error:
        getattr(d2lrnn, name)
    assert str(error.value) == BOOK.format(name, said)
    with pytest.raises(ImportError) as error:
        exec(f"from d2lrnn import {name}")
    assert str(error.value) == BOOK.format(name, said)
    assert not hasattr(d2lrnn, name)


@pytest.mark.parametrize("name", ["predict_rnn", "train_and_predict_rnn", "train_ch8", "SeqDataLoader", "RNNScratch"])
def test_the_names_that_readers_know_are_among_them(name):
    assert name in ANSWERS


def test_other_names_are_errors_as_ever():
    with pytest.raises(AttributeError, match="^module 'd2lrnn' has no attribute 'pedict'$"):
        d2lrnn.pedict  # noqa: B018
    with pytest.raises(ImportError, match="^cannot import name 'pedict' from 'd2lrnn'"):
        exec("from d2lrnn import pedict")


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_code_that_d2lrnn_has(name):
    assert name not in d2lrnn.__all__
    said = ANSWERS[name]
    if "from d2l import" in said:
        assert hasattr(d2l.mxnet, name)
        return
    called = [name for name in re.findall(r"(?<![\w.])[A-Za-z][\w.]*(?=\()", said) if not name.startswith("corpus.")]
    assert called
    known = set()
    for call in called:
        known |= set(inspect.signature(operator.attrgetter(call)(d2lrnn)).parameters)
    assert set(re.findall(r"(\w+)=", said)) <= known


def test_the_books_arguments_of_the_time_machine_are_answered():
    said = (
        "load_data_time_machine({}) has the book's batch_size and num_steps: write corpus = load_data_time_machine(), "
        "then d2lrnn.data_iter_random(corpus.train, batch_size, num_steps), or data_iter_consecutive; "
        "the vocabulary is corpus.vocab"
    )
    for call, arguments in (
        (lambda load: load(32, 35), "32, 35"),
        (lambda load: load(32, 35, use_random_iter=True), "32, 35, use_random_iter=True"),
        (lambda load: load(batch_size=32, num_steps=35), "batch_size=32, num_steps=35"),
    ):
        with pytest.raises(d2lrnn.D2lrnnError) as error:
            call(d2lrnn.load_data_time_machine)
        assert str(error.value) == said.format(arguments)


def test_a_corpus_is_what_the_book_returns():
    corpus_indices, char_to_idx, idx_to_char, vocab_size = d2lrnn.load_data_lyrics_sample(1000)
    assert len(corpus_indices) == 1000 and vocab_size == len(char_to_idx) == len(idx_to_char)
    text = "".join(idx_to_char[i] for i in corpus_indices)
    assert text == d2lrnn.load_corpus("sample", max_tokens=1000).vocab.decode(corpus_indices)
    assert [char_to_idx[char] for char in text] == list(corpus_indices)
    assert d2lrnn.data_iter_random(corpus_indices, 2, 5).num_batches == 99


def test_the_books_lyrics(real_data):
    corpus_indices, char_to_idx, idx_to_char, vocab_size = d2lrnn.load_data_jay_lyrics()
    assert (len(corpus_indices), vocab_size) == (10_000, 1027)
    assert "".join(idx_to_char[i] for i in corpus_indices[:6]) == "想要有直升机"


@pytest.mark.parametrize("sampler", [d2lrnn.data_iter_random, d2lrnn.data_iter_consecutive])
def test_a_corpus_in_place_of_its_ids(sampler, tiny_corpus):
    with pytest.raises(d2lrnn.D2lrnnError, match="^corpus_indices is a Corpus: expected the ids .* corpus.train$"):
        sampler(tiny_corpus, 2, 5)


def test_a_vocabulary_says_what_the_books_is_called():
    vocab = d2lrnn.Vocab("abc")
    with pytest.raises(d2lrnn.D2lrnnError, match=r"^vocab\['a'\] is not .* vocab.encode\(tokens\) has"):
        vocab["a"]
    with pytest.raises(AttributeError, match=r"^a Vocab has no to_tokens, a name of the book: vocab.decode\(ids\)"):
        vocab.to_tokens(0)
    with pytest.raises(AttributeError, match="^a Vocab has no foo$"):
        vocab.foo  # noqa: B018
    with pytest.raises(TypeError, match="not iterable"):
        list(vocab)
    assert copy.deepcopy(vocab) == pickle.loads(pickle.dumps(vocab)) == vocab
