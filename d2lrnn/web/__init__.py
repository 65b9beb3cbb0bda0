"""The page on which a trained model writes: what the page may ask for, the writing, the server."""

from d2lrnn.web.player import Player as Player
from d2lrnn.web.request import WritingRequest as WritingRequest
