"""The files of a run's folder, beside its log (:data:`d2lrnn.runs.log.LOG`)."""

BEST, LAST, PICTURE = "model.d2lrnn", "last.d2lrnn", "loss.png"
