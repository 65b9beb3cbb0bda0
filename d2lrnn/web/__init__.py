"""The page on which a trained model writes: what it may ask, what it is told, its server."""

from d2lrnn.web.player import Player as Player
from d2lrnn.web.request import WritingRequest as WritingRequest
