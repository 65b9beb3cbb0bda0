"""How good a model is: the loss of a batch, and the perplexity on a text."""

from d2lrnn.evaluation.adaptive import evaluate_adaptively as evaluate_adaptively
from d2lrnn.evaluation.adaptive import mean_squared_gradients as mean_squared_gradients
from d2lrnn.evaluation.adaptive import token_losses_adaptively as token_losses_adaptively
from d2lrnn.evaluation.classes import class_probabilities as class_probabilities
from d2lrnn.evaluation.classes import likeliest as likeliest
from d2lrnn.evaluation.lines import frame_of_lines as frame_of_lines
from d2lrnn.evaluation.lines import log_probs_of_lines as log_probs_of_lines
from d2lrnn.evaluation.losses import bits_per_character as bits_per_character
from d2lrnn.evaluation.losses import check_finite as check_finite
from d2lrnn.evaluation.losses import cross_entropy as cross_entropy
from d2lrnn.evaluation.losses import format_perplexity as format_perplexity
from d2lrnn.evaluation.losses import perplexity as perplexity
from d2lrnn.evaluation.losses import token_losses as token_losses
from d2lrnn.evaluation.scores import accuracy as accuracy
from d2lrnn.evaluation.scores import confusion_matrix as confusion_matrix
from d2lrnn.evaluation.texts import evaluate as evaluate
from d2lrnn.evaluation.texts import evaluate_lines as evaluate_lines
