"""Speed and memory of this module beside its peers, measured in turns: cases, workers, the sitting, the report."""
