"""The recurrent-network chapter of *Dive into Deep Learning* on MXNet and Gluon; importing it switches np mode on."""

import importlib as _importlib
import sys as _sys
from types import ModuleType as _ModuleType
from typing import Any as _Any

from d2lrnn._launch import is_command_line as _is_command_line
from d2lrnn._launch import is_from_import as _is_from_import
from d2lrnn.book_names import answer as _answer
from d2lrnn.version import VERSION as __version__  # noqa: F401


def __getattr__(name: str) -> _Any:
    """Import all public names when the command line asks for the first of them; the comment below says why.

    For a name that only the book has, the error says what d2lrnn calls it.
    """
    if (name == "__all__" or not name.startswith("_")) and "_complete" not in globals():
        globals()["_complete"] = True
        _importlib.reload(_sys.modules[__name__])
        if name in globals():
            return globals()[name]
    answer = _answer(name)
    if answer is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Python replaces the AttributeError of a name in `from d2lrnn import ...` by a sentence of its own.
    raise (ImportError if _is_from_import() else AttributeError)(answer)


# `python -m d2lrnn` and the command `d2lrnn` import this file first.  The command line does not use these names: a
# command imports what it needs itself, so --help and a wrong option need not wait for MXNet.  But a reader's own file
# that the command line imports (--import) may ask for a public name.  Then __getattr__ runs this file again, and the
# condition holds.  The groups stand in the order of the road from a text to a picture; pyproject.toml keeps isort away
# from them.
if not _is_command_line() or "_complete" in globals():
    _complete = True

    # the ground: MXNet, devices, errors
    from d2lrnn.errors import D2lrnnError as D2lrnnError
    from d2lrnn.device import DeviceError as DeviceError
    from d2lrnn.errors import FileError as FileError
    from d2lrnn._runtime import UnsupportedPlatformError as UnsupportedPlatformError
    from d2lrnn.device import as_ctx as as_ctx
    from d2lrnn.device import try_all_gpus as try_all_gpus
    from d2lrnn.device import try_gpu as try_gpu

    # one step of a cell
    from d2lrnn.cells import CELLS as CELLS
    from d2lrnn.cells import Cell as Cell
    from d2lrnn.cells import add_cell as add_cell

    # what can be set
    from d2lrnn.config import CONFIGS as CONFIGS
    from d2lrnn.config import CORPUS_NAMES as CORPUS_NAMES
    from d2lrnn.config import Cache as Cache
    from d2lrnn.config import Decoding as Decoding
    from d2lrnn.config import Dropout as Dropout
    from d2lrnn.config import ForecastConfig as ForecastConfig
    from d2lrnn.config import Dynamic as Dynamic
    from d2lrnn.config import ModelConfig as ModelConfig
    from d2lrnn.config import Sampling as Sampling
    from d2lrnn.config import TrainConfig as TrainConfig
    from d2lrnn.config import TranslationConfig as TranslationConfig

    # text, ids, minibatches
    from d2lrnn.data import Corpus as Corpus
    from d2lrnn.data import CorpusError as CorpusError
    from d2lrnn.data import CorpusNotFoundError as CorpusNotFoundError
    from d2lrnn.data import CorpusTooShortError as CorpusTooShortError
    from d2lrnn.data import Images as Images
    from d2lrnn.data import Labelled as Labelled
    from d2lrnn.data import UnknownTokenError as UnknownTokenError
    from d2lrnn.data import Vocab as Vocab
    from d2lrnn.data import counted_steps as counted_steps
    from d2lrnn.data import data_iter_consecutive as data_iter_consecutive
    from d2lrnn.data import data_iter_lines as data_iter_lines
    from d2lrnn.data import data_iter_random as data_iter_random
    from d2lrnn.data import data_iter_varied as data_iter_varied
    from d2lrnn.data import load_corpus as load_corpus
    from d2lrnn.data import load_data_couplets as load_data_couplets
    from d2lrnn.data import load_data_jay_lyrics as load_data_jay_lyrics
    from d2lrnn.data import load_data_lyrics_sample as load_data_lyrics_sample
    from d2lrnn.data import load_data_ptb as load_data_ptb
    from d2lrnn.data import load_data_time_machine as load_data_time_machine
    from d2lrnn.data import load_digits as load_digits
    from d2lrnn.data import load_ids as load_ids
    from d2lrnn.data import load_text as load_text
    from d2lrnn.data import read_digit as read_digit
    from d2lrnn.data import Texts as Texts
    from d2lrnn.data import divide_texts as divide_texts
    from d2lrnn.data import read_labelled_rows as read_labelled_rows
    from d2lrnn.data import VectorsError as VectorsError
    from d2lrnn.data import WordVectors as WordVectors
    from d2lrnn.data import read_vectors as read_vectors
    from d2lrnn.data import GeneratedSeries as GeneratedSeries
    from d2lrnn.data import RecordedSeries as RecordedSeries
    from d2lrnn.data import Scaling as Scaling
    from d2lrnn.data import Series as Series
    from d2lrnn.data import data_iter_series as data_iter_series
    from d2lrnn.data import generated_series as generated_series
    from d2lrnn.data import inputs_and_targets as inputs_and_targets
    from d2lrnn.data import read_series as read_series

    # from ids to outputs
    from d2lrnn.models import Encoder as Encoder
    from d2lrnn.models import FastRNNModel as FastRNNModel
    from d2lrnn.models import FusedLayerError as FusedLayerError
    from d2lrnn.models import LanguageModel as LanguageModel
    from d2lrnn.models import Layers as Layers
    from d2lrnn.models import LooksAheadError as LooksAheadError
    from d2lrnn.models import RecurrentStack as RecurrentStack
    from d2lrnn.models import RNNModel as RNNModel
    from d2lrnn.models import RNNModelScratch as RNNModelScratch
    from d2lrnn.models import Stack as Stack
    from d2lrnn.models import StepGraphs as StepGraphs
    from d2lrnn.models import UnrolledLayer as UnrolledLayer
    from d2lrnn.models import WithHead as WithHead
    from d2lrnn.models import build_model as build_model
    from d2lrnn.models import copy_parameters as copy_parameters
    from d2lrnn.models import get_gru_params as get_gru_params
    from d2lrnn.models import get_gru_reset_after_params as get_gru_reset_after_params
    from d2lrnn.models import get_lstm_params as get_lstm_params
    from d2lrnn.models import get_rnn_params as get_rnn_params
    from d2lrnn.models import gru as gru
    from d2lrnn.models import gru_reset_after as gru_reset_after
    from d2lrnn.models import init_gru_state as init_gru_state
    from d2lrnn.models import init_lstm_state as init_lstm_state
    from d2lrnn.models import init_rnn_state as init_rnn_state
    from d2lrnn.models import lstm as lstm
    from d2lrnn.models import make_twins as make_twins
    from d2lrnn.models import named_parameters as named_parameters
    from d2lrnn.models import read_parameters as read_parameters
    from d2lrnn.models import rnn as rnn
    from d2lrnn.models import rnn_layer as rnn_layer
    from d2lrnn.models import to_onehot as to_onehot
    from d2lrnn.models import dense_at_each_step as dense_at_each_step
    from d2lrnn.models import dense_over_all_steps as dense_over_all_steps

    # how good a model is
    from d2lrnn.evaluation import accuracy as accuracy
    from d2lrnn.evaluation import bits_per_character as bits_per_character
    from d2lrnn.evaluation import class_probabilities as class_probabilities
    from d2lrnn.evaluation import confusion_matrix as confusion_matrix
    from d2lrnn.evaluation import cross_entropy as cross_entropy
    from d2lrnn.evaluation import evaluate as evaluate
    from d2lrnn.evaluation import evaluate_adaptively as evaluate_adaptively
    from d2lrnn.evaluation import evaluate_lines as evaluate_lines
    from d2lrnn.evaluation import mean_squared_gradients as mean_squared_gradients
    from d2lrnn.evaluation import perplexity as perplexity
    from d2lrnn.evaluation import token_losses_adaptively as token_losses_adaptively
    from d2lrnn.evaluation import LinearAutoregression as LinearAutoregression
    from d2lrnn.evaluation import naive as naive
    from d2lrnn.evaluation import seasonal_naive as seasonal_naive
    from d2lrnn.evaluation import scores_of as scores_of

    # from a model to text
    from d2lrnn.generation import FORMS as FORMS
    from d2lrnn.generation import CopyIndex as CopyIndex
    from d2lrnn.generation import Form as Form
    from d2lrnn.generation import Novelty as Novelty
    from d2lrnn.generation import Sample as Sample
    from d2lrnn.generation import Translated as Translated
    from d2lrnn.generation import Written as Written
    from d2lrnn.generation import acrostic as acrostic
    from d2lrnn.generation import compose as compose
    from d2lrnn.generation import distinct as distinct
    from d2lrnn.generation import generate as generate
    from d2lrnn.generation import marked as marked
    from d2lrnn.generation import novelty as novelty
    from d2lrnn.generation import predict as predict
    from d2lrnn.generation import predict_batch as predict_batch
    from d2lrnn.generation import stream as stream
    from d2lrnn.generation import stream_acrostic as stream_acrostic
    from d2lrnn.generation import stream_composed as stream_composed
    from d2lrnn.generation import translate as translate
    from d2lrnn.generation import translate_texts as translate_texts
    from d2lrnn.generation import usual_form as usual_form
    from d2lrnn.generation import usual_lengths as usual_lengths
    from d2lrnn.generation import rollout as rollout
    from d2lrnn.generation import sample_paths as sample_paths

    # loss, gradient, clip, update
    from d2lrnn.training import Classification as Classification
    from d2lrnn.training import History as History
    from d2lrnn.training import NextToken as NextToken
    from d2lrnn.training import Objective as Objective
    from d2lrnn.training import Outcome as Outcome
    from d2lrnn.training import SequenceClass as SequenceClass
    from d2lrnn.training import Training as Training
    from d2lrnn.training import TrainingDivergedError as TrainingDivergedError
    from d2lrnn.training import compare as compare
    from d2lrnn.training import comparison_table as comparison_table
    from d2lrnn.training import grad_clipping as grad_clipping
    from d2lrnn.training import largest_difference as largest_difference
    from d2lrnn.training import set_seed as set_seed
    from d2lrnn.training import sgd as sgd
    from d2lrnn.training import train as train
    from d2lrnn.training import train_and_predict as train_and_predict
    from d2lrnn.training import train_side_by_side as train_side_by_side
    from d2lrnn.training import Forecasting as Forecasting
    from d2lrnn.training import NextTargetToken as NextTargetToken
    from d2lrnn.training import Translation as Translation
    from d2lrnn.training import NextValues as NextValues
    from d2lrnn.training import forecast_table as forecast_table

    # what a training leaves
    from d2lrnn.runs import Checkpoint as Checkpoint
    from d2lrnn.runs import CheckpointError as CheckpointError
    from d2lrnn.runs import load_checkpoint as load_checkpoint
    from d2lrnn.runs import save_checkpoint as save_checkpoint

    # a model in other frameworks' formats
    from d2lrnn.exchange import Answers as Answers
    from d2lrnn.exchange import Contents as Contents
    from d2lrnn.exchange import ExchangeError as ExchangeError
    from d2lrnn.exchange import Exported as Exported
    from d2lrnn.exchange import contents_of as contents_of
    from d2lrnn.exchange import export_onnx as export_onnx
    from d2lrnn.exchange import export_safetensors as export_safetensors
    from d2lrnn.exchange import import_safetensors as import_safetensors
    from d2lrnn.exchange import read_safetensors as read_safetensors

    # pictures
    from d2lrnn.plotting import EmbeddingMap as EmbeddingMap
    from d2lrnn.plotting import analogy as analogy
    from d2lrnn.plotting import plot_attention as plot_attention
    from d2lrnn.plotting import embedding_map as embedding_map
    from d2lrnn.plotting import gate_activations as gate_activations
    from d2lrnn.plotting import nearest_words as nearest_words
    from d2lrnn.plotting import next_token_probabilities as next_token_probabilities
    from d2lrnn.plotting import plot_comparison as plot_comparison
    from d2lrnn.plotting import plot_confusion as plot_confusion
    from d2lrnn.plotting import plot_embedding as plot_embedding
    from d2lrnn.plotting import plot_gates as plot_gates
    from d2lrnn.plotting import plot_history as plot_history
    from d2lrnn.plotting import plot_misread as plot_misread
    from d2lrnn.plotting import plot_next as plot_next
    from d2lrnn.plotting import token_vectors as token_vectors
    from d2lrnn.plotting import ForecastPicture as ForecastPicture
    from d2lrnn.plotting import plot_forecast as plot_forecast

    __all__ = [
        _name for _name, _value in globals().items() if not (_name.startswith("_") or isinstance(_value, _ModuleType))
    ]
