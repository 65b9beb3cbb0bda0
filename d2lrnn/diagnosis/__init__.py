"""What this machine and this environment can do, and what to do about it: one finding after another.

Of this package's files, ``corpora`` and ``selftest`` alone import MXNet; the others can say why it cannot be imported.
"""

from d2lrnn.diagnosis.finding import BROKEN as BROKEN
from d2lrnn.diagnosis.finding import NOTE as NOTE
from d2lrnn.diagnosis.finding import OK as OK
from d2lrnn.diagnosis.finding import Finding as Finding
