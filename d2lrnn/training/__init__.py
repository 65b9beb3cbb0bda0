"""Loss, gradient, clipping, update: the one loop, and the training of language models."""

from d2lrnn.training.classification import Classification as Classification
from d2lrnn.training.classification import SequenceClass as SequenceClass
from d2lrnn.training.classification import accuracy_on as accuracy_on
from d2lrnn.training.comparison import compare as compare
from d2lrnn.training.comparison import comparison_table as comparison_table
from d2lrnn.training.comparison import largest_difference as largest_difference
from d2lrnn.training.comparison import train_side_by_side as train_side_by_side
from d2lrnn.training.divergence import TrainingDivergedError as TrainingDivergedError
from d2lrnn.training.gradients import grad_clipping as grad_clipping
from d2lrnn.training.gradients import gradient_norm as gradient_norm
from d2lrnn.training.history import History as History
from d2lrnn.training.history import Position as Position
from d2lrnn.training.language_model import train as train
from d2lrnn.training.language_model import train_and_predict as train_and_predict
from d2lrnn.training.loop import Training as Training
from d2lrnn.training.objective import NextToken as NextToken
from d2lrnn.training.objective import Objective as Objective
from d2lrnn.training.objective import Outcome as Outcome
from d2lrnn.training.optimisers import Average as Average
from d2lrnn.training.optimisers import learning_rate as learning_rate
from d2lrnn.training.optimisers import make_update as make_update
from d2lrnn.training.optimisers import sgd as sgd
from d2lrnn.training.progress import in_notebook as in_notebook
from d2lrnn.training.seeds import set_seed as set_seed
from d2lrnn.training.snapshot import Snapshot as Snapshot
