"""What can be set, and how checkpoints and the command line give it."""

import dataclasses
import json

import pytest

from d2lrnn import CONFIGS, Dropout, ModelConfig, Stack, TrainConfig, UnrolledLayer, rnn_layer
from d2lrnn.config import Cache, Dynamic, Sampling, fields

# As the first checkpoints hold them: every setting side by side.
OLD_MODEL = {
    **{"kind": "gluon", "cell": "lstm", "num_hiddens": 650, "num_layers": 2, "bidirectional": False},
    **{"embed_size": 650, "tie_weights": True, "dropout": 0.3, "input_dropout": 0.45, "output_dropout": 0.45},
    **{"word_dropout": 0.1, "weight_dropout": 0.3, "locked_dropout": True, "init_scale": 0.05},
    **{"num_outputs": None, "num_projections": None},
}
OLD_TRAINING = {
    **{"num_epochs": 38, "batch_size": 20, "num_steps": 35, "optimizer": "sgd", "lr": 0.8, "theta": 9.0},
    **{"use_random_iter": False, "pred_period": 1, "pred_len": 20, "prefixes": [], "seed": 1, "verbose": True},
    **{"vary_steps": True, "num_lines": 0, "lr_schedule": "one-cycle", "constant_epochs": 1, "lr_decay": 1.0},
    **{"warm_up": 0.02, "weight_decay": 0.0, "sum_over_steps": True, "averaging": 0, "patience": 0},
    "pred_temperature": 0.0,
}


@pytest.mark.parametrize(
    ("cell", "num_projections", "complaint"),
    [
        ("lstm", 4, "num_projections is 4 for cell 'lstm': expected None, since it projects nothing"),
        ("lstm_projected", None, "num_projections is None for cell 'lstm_projected': expected a whole number"),
        ("lstm_peephole_projected", 0, "num_projections is 0: expected a whole number, at least 1"),
        ("lstm_projected", 2.0, "num_projections is 2.0: expected a whole number, at least 1"),
        ("lstm_projected", 8, "num_projections is 8: expected less than num_hiddens = 8"),
    ],
)
def test_projections_that_cannot_be(cell, num_projections, complaint):
    ways = [
        lambda: ModelConfig(cell=cell, num_hiddens=8, num_projections=num_projections),
        lambda: Stack(cell, num_projections=num_projections).get_params(5, 8),
        lambda: UnrolledLayer(cell, 8, num_projections=num_projections),
        lambda: rnn_layer(cell, 8, num_projections=num_projections),
    ]
    for way in ways:
        with pytest.raises(ValueError, match=f"^{complaint}"):
            way()


def test_an_embedding_tied_to_a_projection_has_its_width():
    options = {"cell": "lstm_projected", "num_hiddens": 8, "num_projections": 5, "tie_weights": True}
    assert ModelConfig(**options, embed_size=5).embed_size == 5
    with pytest.raises(ValueError, match="expected embed_size = num_projections = 5, .* embed_size is 8"):
        ModelConfig(**options, embed_size=8)


@pytest.mark.parametrize("kind", [ModelConfig, Dropout, TrainConfig, Cache, Dynamic, Sampling])
def test_an_option_reads_what_its_field_holds(kind):
    """``X | None`` is for Python 3.10: here it is read as text."""
    names = {"bool": bool, "int": int, "float": float, "str": str, "tuple[str, ...]": tuple}
    for field in dataclasses.fields(kind):
        if field.type != "Dropout":
            expected, _, none = field.type.partition(" | ")
            assert field.metadata["kind"] is names[expected], field.name
            assert field.metadata["none"] == (none == "None"), field.name


def test_a_setting_without_a_kind_is_refused():
    with pytest.raises(TypeError, match="'width' has the default None: expected a kind"):
        fields.setting(None, "width")


def test_a_table_has_a_row_for_each_name():
    assert list(fields.table_of(("b", "a"), {"a": 1, "b": 2}).items()) == [("b", 2), ("a", 1)]
    for rows in ({"a": 1}, {"a": 1, "b": 2, "c": 3}):
        with pytest.raises(KeyError, match="expected a row for each of the names b, a, no other"):
            fields.table_of(("b", "a"), rows)


# What checkpoints store


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_stored_of_a_configuration_brings_it_back(name):
    for config in (CONFIGS[name].model, dataclasses.replace(CONFIGS[name].training, prefixes=("春", "\n"))):
        stored = json.loads(json.dumps(dataclasses.asdict(config)))
        assert type(config).from_dict(stored) == config
        assert type(config).from_dict(json.loads(json.dumps(config.flat))) == config


def test_settings_side_by_side_are_those_of_the_first_checkpoints():
    flat, new = CONFIGS["d2lrnn"].model.flat, {"input_size": None, "head": "tokens", "freeze_embedding": False}
    new |= {"attention": None, "share": False}
    assert flat == {**OLD_MODEL, **new} and list(flat) == [*OLD_MODEL, *new]
    flat = CONFIGS["d2lrnn"].training.flat
    assert {**flat, "prefixes": []} == OLD_TRAINING and list(flat) == list(OLD_TRAINING)
    assert ModelConfig.from_dict(OLD_MODEL) == CONFIGS["d2lrnn"].model
    assert TrainConfig.from_dict(OLD_TRAINING) == CONFIGS["d2lrnn"].training


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        ({}, Dropout()),
        ({"dropout": 0.5}, Dropout(0.5, 0.5, 0.5)),
        ({"dropout": 0.5, "input_dropout": None, "output_dropout": 0.25}, Dropout(0.5, 0.5, 0.25)),
        ({"dropout": 0.5, "input_dropout": 0, "locked_dropout": True}, Dropout(0.5, 0, 0.5, locked=True)),
        ({"word_dropout": 0.1, "weight_dropout": 0.2}, Dropout(words=0.1, weights=0.2)),
    ],
)
def test_six_settings_are_one_record(flat, expected):
    assert ModelConfig.from_dict({"embed_size": 8, **flat}) == ModelConfig(embed_size=8, dropout=expected)
    assert Dropout.of_flat(expected.flat) == expected


def test_a_rate_is_a_record():
    assert ModelConfig(dropout=0.5) == ModelConfig(dropout=Dropout.of(0.5))
    assert hash(ModelConfig(dropout=0.5)) == hash(ModelConfig(dropout=Dropout.of(0.5)))


@pytest.mark.parametrize(
    ("flat", "batches", "num_lines", "carries"),
    [
        ({}, "consecutive", 1, True),
        ({"use_random_iter": True}, "random", 1, False),
        ({"vary_steps": True}, "varied", 1, True),
        ({"num_lines": 1}, "lines", 1, False),
        ({"num_lines": 4, "vary_steps": False}, "lines", 4, False),
    ],
)
def test_three_settings_say_what_batches_are(flat, batches, num_lines, carries):
    config = TrainConfig.from_dict(flat)
    assert config == TrainConfig(batches=batches, num_lines=num_lines)
    assert config.carries_state is carries and config.lines_per_row == (num_lines if batches == "lines" else 0)
    assert TrainConfig.from_dict({**TrainConfig().flat, **flat}) == config


@pytest.mark.parametrize(
    ("kind", "values", "complaint"),
    [
        (TrainConfig, {"vary_steps": True, "use_random_iter": True}, "three ways to make batches: choose one"),
        (TrainConfig, {"vary_steps": True, "num_lines": 1}, "three ways to make batches: choose one"),
        (TrainConfig, {"num_lines": -1}, "num_lines is -1: expected a whole number, at least 0"),
        (TrainConfig, {"batches": "lines", "num_lines": 0}, "num_lines is 0: expected a whole number, at least 1"),
        (TrainConfig, {"batches": "random", "num_lines": 2}, "num_lines is 2 where batches are 'random'"),
        (TrainConfig, {"batches": "all"}, "unknown batches 'all': expected one of consecutive, random, varied, lines"),
        (TrainConfig, {"batches": "lines", "vary_steps": True}, "settings of a training have no setting vary_steps"),
        (TrainConfig, {"momentum": 0.9}, "settings of a training have no setting momentum: expected num_epochs, "),
        (TrainConfig, {"lr": "high"}, "lr is 'high': expected a number, above 0 and at most 1e[+]38"),
        (TrainConfig, {"prefixes": "春"}, "prefixes is '春', of type str: expected several texts, such as [(]'春',[)]"),
        (TrainConfig, [], "settings of a training are a list: expected a dictionary of settings"),
        (ModelConfig, None, "settings of a model are a NoneType: expected a dictionary"),
        (ModelConfig, {"heads": 8}, "settings of a model have no setting heads: expected kind, cell"),
        (
            ModelConfig,
            {"dropout": {"hidden": 0.5, "all": 1}},
            "settings of dropout have no setting all: expected hidden",
        ),
        (ModelConfig, {"dropout": {"hidden": 0.5}, "word_dropout": 0.5}, "no setting word_dropout"),
        (ModelConfig, {"dropout": "much"}, "dropout is 'much': expected a number, at least 0 and below 1"),
        (ModelConfig, {"cell": ["lstm"]}, r"unknown cell \['lstm'\]: expected one of rnn, "),
        (ModelConfig, {"cell": "mine"}, "the cell 'mine' is not known here: name the file that adds it, --import FILE"),
        (ModelConfig, {"dropout": 0.5, "input_dropout": 0.5}, "of the embedding: set embed_size"),
    ],
)
def test_anything_else_is_refused(kind, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        kind.from_dict(values)


def test_a_frozen_embedding_is_there_and_not_the_output_layer():
    assert ModelConfig(embed_size=4, freeze_embedding=True).freeze_embedding
    with pytest.raises(ValueError, match="^freeze_embedding is for a model with an embedding: set embed_size"):
        ModelConfig(freeze_embedding=True)
    with pytest.raises(ValueError, match="with tie_weights a frozen embedding would freeze the output layer too"):
        ModelConfig(embed_size=8, num_hiddens=8, tie_weights=True, freeze_embedding=True)
