"""The job of `make run`, whole: what a newcomer sees first must read like the lyrics it has learnt."""

from pictures import assert_drawn

import d2lrnn
from d2lrnn.cli import main as cli
from d2lrnn.runs.log import read_history
from d2lrnn.runs.trained import load_run


def test_the_shipped_job_writes_what_reads_like_its_corpus(tmp_path, capsys):
    assert cli.main(["train", "--corpus", "sample", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    history, corpus = read_history(tmp_path), d2lrnn.load_corpus("sample")
    assert len(history.perplexity) == 100 and history.perplexity[-1] < 1.2
    title = f"run {tmp_path.name}, corpus sample"
    assert_drawn(tmp_path / "loss.png", d2lrnn.plot_history, {tmp_path.name: history}, title=title)
    checkpoint = load_run(tmp_path)
    texts = d2lrnn.predict_batch(["分开", "不分开"], 50, checkpoint.build_model(), checkpoint.vocab)
    assert all(f" - {text}\n" in printed for text in texts)
    copied = [d2lrnn.novelty(text, corpus, 4).copied_ngrams for text in texts]
    assert sum(copied) / len(copied) > 0.6, copied  # of what the model knows by heart, most is word for word
