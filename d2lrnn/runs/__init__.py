"""What a training leaves: a folder with the best model, the position, the log and the picture."""

from d2lrnn.runs.checkpoint import BEST as BEST
from d2lrnn.runs.checkpoint import LAST as LAST
from d2lrnn.runs.checkpoint import PICTURE as PICTURE
from d2lrnn.runs.checkpoint import Checkpoint as Checkpoint
from d2lrnn.runs.checkpoint import CheckpointError as CheckpointError
from d2lrnn.runs.checkpoint import load_checkpoint as load_checkpoint
from d2lrnn.runs.checkpoint import save_checkpoint as save_checkpoint
from d2lrnn.runs.classifier import ClassifierRun as ClassifierRun
from d2lrnn.runs.folder import RunFolder as RunFolder
from d2lrnn.runs.forecaster import ForecasterRun as ForecasterRun
from d2lrnn.runs.log import LOG as LOG
from d2lrnn.runs.log import RunError as RunError
from d2lrnn.runs.log import read_history as read_history
from d2lrnn.runs.log import read_log as read_log
from d2lrnn.runs.origin import check_origin as check_origin
from d2lrnn.runs.origin import origin_of as origin_of
from d2lrnn.runs.origin import reload_corpus as reload_corpus
from d2lrnn.runs.trained import TrainedRun as TrainedRun
from d2lrnn.runs.trained import load_run as load_run
from d2lrnn.runs.trained import name_of as name_of
from d2lrnn.runs.translator import TranslatorRun as TranslatorRun
