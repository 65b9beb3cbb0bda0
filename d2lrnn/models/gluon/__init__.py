"""The models on Gluon: fused and unrolled layers, an encoder of ids, and a language model made of these."""

from d2lrnn.models.gluon.attention import Attention as Attention
from d2lrnn.models.gluon.encoder import Encoder as Encoder
from d2lrnn.models.gluon.fused import FusedLayerError as FusedLayerError
from d2lrnn.models.gluon.graphs import StepGraphs as StepGraphs
from d2lrnn.models.gluon.heads import SequenceModel as SequenceModel
from d2lrnn.models.gluon.heads import WithHead as WithHead
from d2lrnn.models.gluon.layers import RecurrentStack as RecurrentStack
from d2lrnn.models.gluon.layers import rnn_layer as rnn_layer
from d2lrnn.models.gluon.model import RNNModel as RNNModel
from d2lrnn.models.gluon.translator import Decoder as Decoder
from d2lrnn.models.gluon.translator import Translator as Translator
from d2lrnn.models.gluon.unrolled import UnrolledLayer as UnrolledLayer
