"""What can be set: models, training, writing, evaluation; imports neither NumPy nor MXNet."""

from d2lrnn.config.evaluation import Cache as Cache
from d2lrnn.config.evaluation import Dynamic as Dynamic
from d2lrnn.config.fields import CORPUS_NAMES as CORPUS_NAMES
from d2lrnn.config.fields import FORM_NAMES as FORM_NAMES
from d2lrnn.config.fields import LEVELS as LEVELS
from d2lrnn.config.fields import PAIR_BATCHES as PAIR_BATCHES
from d2lrnn.config.fields import PAIR_NAMES as PAIR_NAMES
from d2lrnn.config.fields import settings_in as settings_in
from d2lrnn.config.forecasting import ForecastConfig as ForecastConfig
from d2lrnn.config.generation import Decoding as Decoding
from d2lrnn.config.generation import Sampling as Sampling
from d2lrnn.config.model import KINDS as KINDS
from d2lrnn.config.model import Dropout as Dropout
from d2lrnn.config.model import ModelConfig as ModelConfig
from d2lrnn.config.presets import CONFIGS as CONFIGS
from d2lrnn.config.presets import NamedConfig as NamedConfig
from d2lrnn.config.training import TrainConfig as TrainConfig
from d2lrnn.config.translation import TranslationConfig as TranslationConfig
