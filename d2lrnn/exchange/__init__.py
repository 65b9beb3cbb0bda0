"""A model in other frameworks' formats: what a trained model is, in NumPy, and the files that others read."""

from d2lrnn.exchange.answers import Answers as Answers
from d2lrnn.exchange.answers import ExchangeError as ExchangeError
from d2lrnn.exchange.contents import Contents as Contents
from d2lrnn.exchange.contents import contents_of as contents_of
from d2lrnn.exchange.exports import export_onnx as export_onnx
from d2lrnn.exchange.exports import export_safetensors as export_safetensors
from d2lrnn.exchange.exports import import_safetensors as import_safetensors
from d2lrnn.exchange.onnx_file import Exported as Exported
from d2lrnn.exchange.onnx_file import write_onnx as write_onnx
from d2lrnn.exchange.run_folder import checkpoint_of as checkpoint_of
from d2lrnn.exchange.run_folder import save_run as save_run
from d2lrnn.exchange.safetensors_file import read_safetensors as read_safetensors
from d2lrnn.exchange.safetensors_file import write_safetensors as write_safetensors
