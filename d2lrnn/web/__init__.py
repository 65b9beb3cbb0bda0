"""The pages on which a trained model writes or translates: what a page may ask for, who answers, the server."""

from d2lrnn.web.player import Player as Player
from d2lrnn.web.request import WritingRequest as WritingRequest
from d2lrnn.web.translating import TranslatingPlayer as TranslatingPlayer
from d2lrnn.web.translation_request import TranslationRequest as TranslationRequest
