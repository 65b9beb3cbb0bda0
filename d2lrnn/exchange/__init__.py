"""A model in other frameworks' formats: what a trained model is, in NumPy, and the files that others read."""

from d2lrnn.exchange.contents import Contents as Contents
from d2lrnn.exchange.contents import ExchangeError as ExchangeError
from d2lrnn.exchange.contents import contents_of as contents_of
