"""What the lessons share: their beginning, their prose in a terminal, and the training of models side by side."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))  # the checkout's d2lrnn, installed or not

from common.pairs import lesson_pairs as lesson_pairs  # noqa: E402
from common.pictures import save_figure as save_figure  # noqa: E402
from common.pictures import show_picture as show_picture  # noqa: E402
from common.pictures import show_source as show_source  # noqa: E402
from common.settings import BOOK_GATED as BOOK_GATED  # noqa: E402
from common.settings import BOOK_RNN as BOOK_RNN  # noqa: E402
from common.settings import QUICK as QUICK  # noqa: E402
from common.settings import Lesson as Lesson  # noqa: E402
from common.settings import begin as begin  # noqa: E402
from common.training import checked as checked  # noqa: E402
from common.training import compare as compare  # noqa: E402
from common.training import describe as describe  # noqa: E402
from common.training import difference as difference  # noqa: E402
from common.training import first_batch as first_batch  # noqa: E402
from common.training import new_twins as new_twins  # noqa: E402
from common.training import train_each as train_each  # noqa: E402
from common.training import write_from as write_from  # noqa: E402
