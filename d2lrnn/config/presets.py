"""The configurations that have a name: ``python -m d2lrnn train --config NAME``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.config.translation import TranslationConfig

LANGUAGE_MODEL = "language_model"  # what a run is about, if nothing else is said
CLASSIFICATION = "classification"
FORECASTING = "forecasting"
TRANSLATION = "translation"
# What a run can be about; each is a file in training/ and in cli/tasks/.
TASKS = (LANGUAGE_MODEL, CLASSIFICATION, FORECASTING, TRANSLATION)


@dataclass(frozen=True)
class NamedConfig:
    """A model, its training, and the corpus, or other data, that they are meant for."""

    corpus: str
    model: ModelConfig
    training: TrainConfig
    summary: str
    max_tokens: int | None = None  # tokens to keep of the corpus; None: load_corpus decides
    held_out: float = 0.0  # share of a corpus without splits that is held out for test, as much for validation
    task: str = LANGUAGE_MODEL  # one of TASKS
    shift: int = 0  # pixels by which images are moved at random in training
    forecast: ForecastConfig = ForecastConfig()  # what is forecast of a series
    translation: TranslationConfig = TranslationConfig()  # what is learnt of sentence pairs


def _tutorial(units: int, dropout: float, init_scale: float, **training: Any) -> tuple[ModelConfig, TrainConfig]:
    """Return one of the TensorFlow PTB tutorial's configurations, which are those of Zaremba et al. (arXiv 1409.2329).

    There is one difference: Gluon's LSTM has two biases a gate, which begin within ``init_scale`` as all parameters do.
    """
    model = ModelConfig(
        num_hiddens=units, num_layers=2, embed_size=units, dropout=Dropout.of(dropout), init_scale=init_scale
    )
    fixed: dict[str, Any] = {
        "batch_size": 20,
        "lr": 1.0,
        "lr_schedule": "decay",
        "sum_over_steps": True,
        "pred_period": 1,
    }
    return model, TrainConfig(**fixed, pred_len=20, seed=1, **training)


def _translator() -> tuple[ModelConfig, TrainConfig]:
    """Return the model and the training of the translators of cmn."""
    model = ModelConfig(
        num_hiddens=256,
        bidirectional=True,
        embed_size=256,
        dropout=Dropout.of(0.4),
        init_scale=0.08,
        head="translation",
        num_outputs=1,  # the size of the target's vocabulary takes its place
        attention="general",
    )
    training = TrainConfig(
        num_epochs=15,
        batch_size=64,
        num_steps=50,
        batches="random",
        optimizer="adam",
        lr=2e-3,
        lr_schedule="one-cycle",
        theta=1.0,
        pred_period=1,
        seed=1,
    )
    return model, training


CONFIGS = {
    "lyrics": NamedConfig(
        "sample",
        ModelConfig(embed_size=128),
        TrainConfig(num_epochs=100, optimizer="adam", lr=5e-3, theta=1.0, pred_period=20),
        "the lyrics by heart in about a minute on two cores",
    ),
    "songs": NamedConfig(
        "jaychou",
        ModelConfig(
            num_hiddens=256,
            embed_size=256,
            tie_weights=True,
            dropout=Dropout(0.6, 0.6, 0.6, words=0.2, weights=0.5, locked=True),
            init_scale=0.1,
        ),
        TrainConfig(
            num_epochs=40,
            batch_size=16,
            optimizer="adam",
            lr=4e-3,
            lr_schedule="one-cycle",
            weight_decay=0.1,
            theta=1.0,
            patience=8,
            pred_period=5,
            pred_temperature=0.8,
            seed=1,
        ),
        "recommended for lyrics: all of the book's, not by heart; a part held out says when to stop",
        max_tokens=63_282,
        held_out=0.1,
    ),
    "poetry": NamedConfig(
        "couplets",
        ModelConfig(embed_size=128, num_hiddens=128, num_layers=2, dropout=Dropout.of(0.5)),
        TrainConfig(
            num_epochs=20,
            batch_size=64,
            batches="lines",
            num_steps=100,
            optimizer="adam",
            lr=1e-3,
            theta=5.0,
            patience=3,
            pred_period=1,
            pred_len=40,
            pred_temperature=0.8,
            seed=1,
        ),
        "as Keras examples do it: poems padded, two layers of 128, Adam",
        held_out=0.05,
    ),
    "poems": NamedConfig(
        "couplets",
        ModelConfig(
            num_hiddens=384,
            num_layers=2,
            embed_size=384,
            tie_weights=True,
            dropout=Dropout(0.25, 0.25, outputs=0.3, locked=True),
            init_scale=0.05,
        ),
        TrainConfig(
            num_epochs=11,
            batch_size=32,
            batches="lines",
            num_lines=4,
            num_steps=100,
            optimizer="adam",
            lr=3e-3,
            lr_schedule="one-cycle",
            weight_decay=0.05,
            theta=1.0,
            pred_period=1,
            pred_len=52,
            pred_temperature=0.8,
            seed=1,
        ),
        "four couplets at a time, which mostly are of one poem; half an hour, test perplexity 92",
        held_out=0.05,
    ),
    "small": NamedConfig(
        "ptb",
        *_tutorial(200, 0.0, 0.1, num_steps=20, constant_epochs=4, lr_decay=0.5, num_epochs=13, theta=5.0),
        "the TensorFlow PTB tutorial's; published test perplexity 114.5",
    ),
    "medium": NamedConfig(
        "ptb",
        *_tutorial(650, 0.5, 0.05, num_steps=35, constant_epochs=6, lr_decay=0.8, num_epochs=39, theta=5.0),
        "the TensorFlow PTB tutorial's; published test perplexity 82.7",
    ),
    "large": NamedConfig(
        "ptb",
        *_tutorial(1500, 0.65, 0.04, num_steps=35, constant_epochs=14, lr_decay=1 / 1.15, num_epochs=55, theta=10.0),
        "the TensorFlow PTB tutorial's; published test perplexity 78.4",
    ),
    "d2lrnn": NamedConfig(
        "ptb",
        ModelConfig(
            num_hiddens=650,
            num_layers=2,
            embed_size=650,
            tie_weights=True,
            dropout=Dropout(0.3, inputs=0.45, outputs=0.45, words=0.1, weights=0.3, locked=True),
            init_scale=0.05,
        ),
        TrainConfig(
            num_epochs=38,
            batch_size=20,
            num_steps=35,
            batches="varied",
            lr=0.8,
            lr_schedule="one-cycle",
            warm_up=0.02,
            theta=9.0,
            sum_over_steps=True,
            pred_period=1,
            pred_len=20,
            seed=1,
        ),
        "our own: test perplexity 70.7 after 3.1 hours on two cores",
    ),
    "digits": NamedConfig(
        "digits",
        ModelConfig(
            num_hiddens=128,
            num_layers=2,
            bidirectional=True,
            dropout=Dropout(0.3, outputs=0.3, locked=True),
            init_scale=0.1,
            head="mean",
            num_outputs=10,
            input_size=28,
        ),
        TrainConfig(
            num_epochs=20,
            batch_size=50,
            batches="random",
            optimizer="adam",
            lr=4e-3,
            lr_schedule="one-cycle",
            theta=1.0,
            pred_period=1,
            seed=1,
        ),
        "handwritten digits, row by row",
        task=CLASSIFICATION,
        shift=2,
    ),
    "texts": NamedConfig(
        "FILE.csv",
        ModelConfig(
            num_hiddens=128,
            bidirectional=True,
            embed_size=128,
            dropout=Dropout.of(0.5),
            init_scale=0.1,
            head="mean",
            num_outputs=2,
        ),
        TrainConfig(
            num_epochs=10,
            batch_size=32,
            num_steps=400,
            batches="random",
            optimizer="adam",
            lr=4e-3,
            lr_schedule="one-cycle",
            theta=1.0,
            pred_period=1,
            seed=1,
        ),
        "a classifier of the texts in its --text-column, by the --label-column",
        held_out=0.1,
        task=CLASSIFICATION,
    ),
    "series": NamedConfig(
        "wave",
        ModelConfig(num_hiddens=100, init_scale=0.1, head="steps", num_outputs=1, input_size=1),
        TrainConfig(
            num_epochs=60,
            batch_size=50,
            num_steps=20,
            batches="random",
            optimizer="adam",
            lr=0.01,
            lr_schedule="one-cycle",
            theta=1.0,
            pred_period=10,
            seed=1,
        ),
        "a forecaster of t sin(t) / 3 + 2 sin(5 t) with noise, or of the --column of a CSV file",
        held_out=0.1,
        task=FORECASTING,
        forecast=ForecastConfig(noise=0.5),
    ),
    "translate-en-zh": NamedConfig(
        "cmn",
        *_translator(),
        "a translator of English words into Chinese characters, with attention",
        task=TRANSLATION,
    ),
    "translate-zh-en": NamedConfig(
        "cmn",
        *_translator(),
        "a translator of Chinese characters into English words, with attention",
        task=TRANSLATION,
        translation=TranslationConfig(swap=True),
    ),
}
