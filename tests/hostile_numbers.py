"""Call every public function that takes a number with numbers beyond reason; print what is not refused in a line.

tests/test_ranges.py runs this program in a process of its own, whose memory is bounded.
"""

import dataclasses
import math
import resource
import sys

LIMIT = 6 << 30  # bytes of address space; importing MXNet takes a good half of it
resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))

import numpy  # noqa: E402

import d2lrnn  # noqa: E402
from d2lrnn import D2lrnnError, Dropout, ModelConfig, Sampling, TrainConfig  # noqa: E402
from d2lrnn._runtime import mx  # noqa: E402
from d2lrnn.config import Cache, Dynamic  # noqa: E402
from d2lrnn.evaluation.adaptive import evaluate_adaptively  # noqa: E402

VALUES = (0, -1, 1.5, True, "3", None, math.nan, math.inf, -math.inf, 10**9, 2**31 - 1, 2**31, 2**32, 2**63, 10**30)
VALUES += (10**400, 5e-324, 1e-40, 1e39, [3], numpy.int64(2**40), numpy.array([10**9]))

TEXT = "the rain in spain stays mainly in the plain\n" * 3
VOCAB = d2lrnn.Vocab(TEXT)
IDS = VOCAB.encode(TEXT)
SIZE, END = len(VOCAB), VOCAB.token_to_idx["\n"]
CORPUS = d2lrnn.Corpus("rain", VOCAB, IDS)
MODELS = {kind: d2lrnn.build_model(ModelConfig(kind, "gru", 3), SIZE) for kind in ("scratch", "fast", "gluon")}
GLUON = MODELS["gluon"]
STEPS = TrainConfig(num_epochs=1, batch_size=2, num_steps=5, verbose=False)


def configurations():
    """Return a call for each field of each configuration."""
    calls = {}
    for kind in (ModelConfig, Dropout, TrainConfig, Sampling, Cache, Dynamic):
        for field in dataclasses.fields(kind):
            calls[f"{kind.__name__}.{field.name}"] = lambda value, kind=kind, name=field.name: kind(**{name: value})
    for kind in (ModelConfig, TrainConfig):
        for name in kind().flat:
            calls[f"{kind.__name__}.from_dict {name}"] = lambda value, kind=kind, name=name: kind.from_dict(
                {name: value}
            )
    return calls


def training(**settings):
    """Train for an epoch of two batches."""
    model = d2lrnn.build_model(ModelConfig("gluon", "gru", 3), SIZE)
    config = dataclasses.replace(STEPS, **settings)
    return d2lrnn.train(model, lambda: list(d2lrnn.data_iter_random(IDS, 2, 5))[:2], config)


def models():
    """Return calls that make models, their parameters and their states, or give them inputs."""
    rnn_layer, stack, layers = d2lrnn.rnn_layer, d2lrnn.Stack("lstm"), d2lrnn.Layers("lstm")
    calls = {f"get_{cell}_params": getattr(d2lrnn, f"get_{cell}_params") for cell in ("rnn", "gru", "lstm")}
    calls["get_gru_reset_after_params"] = d2lrnn.get_gru_reset_after_params
    sized = {**calls, "Stack.get_params": stack.get_params, "Layers.get_params": layers.get_params}
    sized["Layers.param_shapes"] = layers.param_shapes
    states = {f"init_{cell}_state": getattr(d2lrnn, f"init_{cell}_state") for cell in ("rnn", "gru", "lstm")}
    states |= {"Stack.init_state": stack.init_state, "Layers.init_state": layers.init_state}
    calls = {}
    for name, call in {**sized, **states}.items():
        calls[f"{name} first"] = lambda value, call=call: call(value, 3)
        calls[f"{name} second"] = lambda value, call=call: call(3, value)
    for kind, model in MODELS.items():
        calls[f"{kind}.begin_state"] = model.begin_state
        calls[f"build_model {kind}"] = lambda value, kind=kind: d2lrnn.build_model(ModelConfig(kind, "gru", 3), value)
        for name in ("num_hiddens", "num_layers", "embed_size", "num_outputs", "num_projections", "init_scale"):
            calls[f"build_model {kind} {name}"] = lambda value, kind=kind, name=name: d2lrnn.build_model(
                ModelConfig(**{"kind": kind, "num_hiddens": 3, name: value}), SIZE
            )
        calls[f"{kind} reads ids"] = lambda value, model=model: model(ids(value), model.begin_state(1))
    make, init = d2lrnn.get_gru_params, d2lrnn.init_gru_state
    return {
        **calls,
        "RNNModelScratch vocab_size": lambda value: d2lrnn.RNNModelScratch(value, 3, None, make, init, d2lrnn.gru),
        "RNNModelScratch num_hiddens": lambda value: d2lrnn.RNNModelScratch(9, value, None, make, init, d2lrnn.gru),
        "FastRNNModel vocab_size": lambda value: d2lrnn.FastRNNModel(value, 3, None, stack),
        "FastRNNModel num_hiddens": lambda value: d2lrnn.FastRNNModel(9, value, None, stack),
        "Stack num_layers": lambda value: d2lrnn.Stack("gru", value),
        "Stack num_outputs": lambda value: d2lrnn.Stack("gru", num_outputs=value).get_params(3, 3),
        "Stack num_projections": lambda value: d2lrnn.Stack("lstm_projected", num_projections=value).get_params(3, 3),
        "Layers num_layers": lambda value: d2lrnn.Layers("gru", value),
        "rnn_layer num_hiddens": lambda value: rnn_layer("lstm", value, 3).initialize(),
        "rnn_layer input_size": lambda value: rnn_layer("lstm", 3, value).initialize(),
        "rnn_layer num_projections": lambda value: rnn_layer("lstm_projected", 3, 3, False, value).initialize(),
        "UnrolledLayer num_hiddens": lambda value: d2lrnn.UnrolledLayer("gru", value, 3).initialize(),
        "UnrolledLayer input_size": lambda value: d2lrnn.UnrolledLayer("gru", 3, value).initialize(),
        "UnrolledLayer.begin_state": d2lrnn.UnrolledLayer("gru", 3, 3).begin_state,
        "RecurrentStack num_hiddens": lambda value: d2lrnn.RecurrentStack("gru", value, 2, input_size=3).initialize(),
        "RecurrentStack num_layers": lambda value: d2lrnn.RecurrentStack("gru", 3, value, input_size=3).initialize(),
        "RecurrentStack dropout": lambda value: d2lrnn.RecurrentStack("gru", 3, dropout=value, input_size=3),
        "RecurrentStack.begin_state": d2lrnn.RecurrentStack("gru", 3, 2, input_size=3).begin_state,
        "RNNModel vocab_size": lambda value: d2lrnn.RNNModel(rnn_layer("gru", 3), value).initialize(),
        "RNNModel embed_size": lambda value: d2lrnn.RNNModel(rnn_layer("gru", 3), 9, value).initialize(),
        "RNNModel dropout": lambda value: d2lrnn.RNNModel(rnn_layer("gru", 3), 9, 3, value).initialize(),
        "RNNModel num_outputs": lambda value: d2lrnn.RNNModel(rnn_layer("gru", 3), 9, num_outputs=value).initialize(),
        "Encoder vocab_size": lambda value: d2lrnn.Encoder(rnn_layer("gru", 3), value).initialize(),
        "Encoder embed_size": lambda value: d2lrnn.Encoder(rnn_layer("gru", 3), 9, value).initialize(),
        "to_onehot size": lambda value: d2lrnn.to_onehot(ids(1), value),
        "to_onehot ids": lambda value: d2lrnn.to_onehot(ids(value), SIZE),
        "Cell num_states": lambda value: d2lrnn.Cell(max, max, "h", num_states=value),
        "Cell num_biases": lambda value: d2lrnn.Cell(max, max, "h", num_biases=value),
        "make_twins": lambda value: d2lrnn.make_twins(ModelConfig(num_hiddens=3), value),
    }


def ids(value):
    """Return an array (1, 1) of ids; what MXNet cannot make an array of is no matter of d2lrnn's."""
    try:
        return mx.np.array([[value]], dtype="int32" if isinstance(value, int) else None)
    except Exception as error:
        raise D2lrnnError("no array") from error


def texts():
    """Return calls that cut, measure and write texts, and draw them."""
    lines = d2lrnn.data_iter_lines
    samplers = (d2lrnn.data_iter_random, d2lrnn.data_iter_consecutive, d2lrnn.data_iter_varied)
    loaders = (d2lrnn.load_data_lyrics_sample, d2lrnn.load_data_couplets)
    writers = {"generate": d2lrnn.generate, "stream": lambda *given: list(d2lrnn.stream(*given))}
    writers["predict_batch"] = d2lrnn.predict_batch
    gates = {"z": numpy.full((2, 3), 0.5)}
    loss = lambda value: d2lrnn.cross_entropy(mx.np.zeros((1, SIZE)), ids(value))  # noqa: E731
    form = d2lrnn.FORMS["couplet"]
    return {
        **{f"{call.__name__} batch_size": lambda value, call=call: list(call(IDS, value, 5)) for call in samplers},
        **{f"{call.__name__} num_steps": lambda value, call=call: list(call(IDS, 2, value)) for call in samplers},
        **{f"{call.__name__} ids": lambda value, call=call: call([value] * 9, 2, 2) for call in samplers},
        **{f"{call.__name__} max": call for call in loaders},
        "data_iter_lines batch_size": lambda value: list(lines(IDS, value, END)),
        "data_iter_lines end": lambda value: list(lines(IDS, 1, value)),
        "data_iter_lines num_lines": lambda value: list(lines(IDS, 1, END, value)),
        "data_iter_lines max_steps": lambda value: list(lines(IDS, 1, END, 1, value)),
        "counted_steps lengths": lambda value: d2lrnn.counted_steps([value]),
        "counted_steps num_steps": lambda value: d2lrnn.counted_steps([1], value),
        "load_corpus max_tokens": lambda value: d2lrnn.load_corpus("sample", max_tokens=value),
        "load_corpus held_out": lambda value: d2lrnn.load_corpus("sample", held_out=value),
        "load_text max_tokens": lambda value: d2lrnn.load_text(__file__, max_tokens=value),
        "load_ids max_tokens": lambda value: d2lrnn.load_ids(__file__, d2lrnn.load_text(__file__).vocab, False, value),
        "Corpus.hold_out": CORPUS.hold_out,
        "Corpus train": lambda value: d2lrnn.Corpus("one", VOCAB, [value]),
        "Vocab": d2lrnn.Vocab,
        "Vocab level": lambda value: d2lrnn.Vocab("abc", value),
        "Vocab.from_list": lambda value: d2lrnn.Vocab.from_list([value]),
        "Vocab.encode": lambda value: VOCAB.encode([value]),
        "Vocab.decode": lambda value: VOCAB.decode([value]),
        "cross_entropy": loss,
        "evaluate batch_size": lambda value: d2lrnn.evaluate(GLUON, IDS, value),
        "evaluate num_steps": lambda value: d2lrnn.evaluate(GLUON, IDS, 1, value),
        "evaluate ids": lambda value: d2lrnn.evaluate(GLUON, [value, value]),
        "evaluate_lines end": lambda value: d2lrnn.evaluate_lines(GLUON, IDS, value),
        "evaluate_lines num_lines": lambda value: d2lrnn.evaluate_lines(GLUON, IDS, END, value),
        "evaluate_lines batch_size": lambda value: d2lrnn.evaluate_lines(GLUON, IDS, END, 1, value),
        "evaluate_adaptively num_steps": lambda value: evaluate_adaptively(GLUON, IDS, num_steps=value),
        "evaluate_adaptively window": lambda value: evaluate_adaptively(GLUON, IDS, Cache(window=value)),
        "evaluate_adaptively theta": lambda value: evaluate_adaptively(GLUON, IDS, Cache(theta=value)),
        **{
            f"evaluate_adaptively {name}": lambda value, name=name: evaluate_adaptively(
                GLUON, IDS[:40], None, Dynamic(**{name: value}), IDS
            )
            for name in ("lr", "decay", "num_steps", "eps", "gradient_tokens")
        },
        "perplexity loss_sum": lambda value: d2lrnn.perplexity(value, 1),
        "perplexity num_tokens": lambda value: d2lrnn.perplexity(1.0, value),
        "bits_per_character": lambda value: d2lrnn.bits_per_character(value, "char"),
        "predict": lambda value: d2lrnn.predict("the", value, GLUON, VOCAB),
        **{f"{name} num_preds": lambda v, call=call: call(["the"], v, GLUON, VOCAB) for name, call in writers.items()},
        **{f"{name} prefixes": lambda v, call=call: call(v, 2, GLUON, VOCAB) for name, call in writers.items()},
        **{
            f"generate {name}": lambda v, name=name: d2lrnn.generate(["the"], 2, GLUON, VOCAB, Sampling(**{name: v}))
            for name in ("temperature", "top_k", "top_p", "repetition_penalty", "beam_width", "seed")
        },
        "generate length_penalty": lambda value: d2lrnn.generate(
            ["the"], 2, GLUON, VOCAB, Sampling(beam_width=2, length_penalty=value, stop="a")
        ),
        "Form lengths": lambda value: d2lrnn.Form((value,), ("\n",)),
        "Form without tuples": lambda value: d2lrnn.Form(value, ("\n",)),
        "Form ends": lambda value: d2lrnn.Form((3,), (value,)),
        "Form.of_lines": form.of_lines,
        "usual_form": lambda value: d2lrnn.usual_form(VOCAB, value),
        "novelty n": lambda value: d2lrnn.novelty("rain", TEXT, value),
        "novelty min_length": lambda value: d2lrnn.novelty("rain", TEXT, 2, value),
        "distinct": lambda value: d2lrnn.distinct(["rain"], value),
        "marked": lambda value: d2lrnn.marked("rain", [(value, 3)], "char"),
        "next_token_probabilities": lambda value: d2lrnn.next_token_probabilities("the", GLUON, VOCAB, value),
        "gate_activations layer": lambda value: d2lrnn.gate_activations("the", GLUON, VOCAB, value),
        "embedding_map count": lambda value: d2lrnn.embedding_map(GLUON, VOCAB, value),
        "plot_gates num_units": lambda value: d2lrnn.plot_gates(gates, "ab", num_units=value),
        "plot_next": lambda value: d2lrnn.plot_next([("a", value)]),
    }


def steps():
    """Return calls that train."""
    params = d2lrnn.get_gru_params(3, 2)
    names = ("lr", "theta", "weight_decay", "lr_decay", "warm_up", "seed", "pred_temperature")
    objective = d2lrnn.NextToken(SIZE)
    return {
        **{f"train {name}": lambda value, name=name: training(**{name: value}) for name in names},
        "train lr of adam": lambda value: training(lr=value, optimizer="adam"),
        "batches_for": lambda value: d2lrnn.train_and_predict(
            d2lrnn.build_model(ModelConfig(num_hiddens=2), SIZE), CORPUS, dataclasses.replace(STEPS, batch_size=value)
        ),
        "set_seed": d2lrnn.set_seed,
        "sgd lr": lambda value: d2lrnn.sgd(params, value, 1),
        "sgd batch_size": lambda value: d2lrnn.sgd(params, 0.1, value),
        "grad_clipping": lambda value: d2lrnn.grad_clipping(params, value),
        "NextToken": d2lrnn.NextToken,
        "Training segment": lambda value: d2lrnn.Training(GLUON, STEPS, objective, value),
        "Training line_period": lambda value: d2lrnn.Training(GLUON, STEPS, objective, 1, value),
        "try_gpu": d2lrnn.try_gpu,
        "as_ctx": d2lrnn.as_ctx,
        "as_ctx gpu": lambda value: d2lrnn.as_ctx(f"gpu:{value}"),
        "as_ctx cpu": lambda value: d2lrnn.as_ctx(f"cpu:{value}"),
    }


def main():
    """Call everything with every value, and print what ends in anything but a result or a line."""
    wanted = sys.argv[1:]
    calls = {**configurations(), **models(), **texts(), **steps()}
    for name, call in calls.items():
        if wanted and not any(text in name for text in wanted):
            continue
        for value in VALUES:
            try:
                call(value)
                mx.npx.waitall()
            except D2lrnnError as error:
                if "\n" in str(error) or len(str(error)) > 400:
                    print(f"{name}: {error}")
            except Exception as error:
                print(f"{name}: {type(value).__name__} {str(value)[:20]}: {type(error).__name__}: {str(error)[:100]!r}")
    print(f"{len(calls)} calls")


if __name__ == "__main__":
    main()
