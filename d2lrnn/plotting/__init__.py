"""Pictures of training runs and of what models do.  Matplotlib is imported when the first one is drawn."""

from d2lrnn.plotting.attention import plot_attention as plot_attention
from d2lrnn.plotting.classes import plot_confusion as plot_confusion
from d2lrnn.plotting.classes import plot_misread as plot_misread
from d2lrnn.plotting.figures import COLOURS as COLOURS
from d2lrnn.plotting.figures import GREY as GREY
from d2lrnn.plotting.figures import draw_curves as draw_curves
from d2lrnn.plotting.figures import new_figure as new_figure
from d2lrnn.plotting.figures import save_figure as save_figure
from d2lrnn.plotting.figures import show_figure as show_figure
from d2lrnn.plotting.fonts import packaged_font as packaged_font
from d2lrnn.plotting.forecasts import ForecastPicture as ForecastPicture
from d2lrnn.plotting.forecasts import plot_forecast as plot_forecast
from d2lrnn.plotting.inspection import EmbeddingMap as EmbeddingMap
from d2lrnn.plotting.inspection import embedding_map as embedding_map
from d2lrnn.plotting.inspection import gate_activations as gate_activations
from d2lrnn.plotting.inspection import next_token_probabilities as next_token_probabilities
from d2lrnn.plotting.inspection import token_vectors as token_vectors
from d2lrnn.plotting.pictures import plot_comparison as plot_comparison
from d2lrnn.plotting.pictures import plot_embedding as plot_embedding
from d2lrnn.plotting.pictures import plot_gates as plot_gates
from d2lrnn.plotting.pictures import plot_history as plot_history
from d2lrnn.plotting.pictures import plot_next as plot_next
from d2lrnn.plotting.words import analogy as analogy
from d2lrnn.plotting.words import nearest_words as nearest_words
