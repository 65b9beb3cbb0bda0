"""What a corpus tells of its text: where its lines are in their file, and that its words are whole lines."""

from d2lrnn import load_corpus
from d2lrnn.cli import main as cli

SMALL = "--num-hiddens 4 --batch-size 2 --num-steps 5 --pred-len 2 --num-epochs 1".split()


def test_a_line_that_is_too_long_is_named_as_in_its_file(tmp_path, capsys, offline):
    path = tmp_path / "poems.txt"
    path.write_bytes("甲乙\r\n\r\n\r\n丙丁\r\n\r\n甲乙丙丁\r\n乙\r\n".encode())
    train = ["train", "--corpus", str(path), "--out", str(tmp_path / "r"), "--batch-size", "1", "--num-steps", "4"]
    assert cli.main([*train, "--num-lines", "1"]) == 1
    assert "poems.txt, line 6: found 5 tokens, line ends included, but num_steps is 4" in capsys.readouterr().err
    assert cli.main([*train, "--num-lines", "2"]) == 1
    assert "poems.txt, lines 6 to 7: found 7 tokens" in capsys.readouterr().err


def test_words_without_spaces_between_them_are_remarked_on(tmp_path, capsys, offline):
    path = tmp_path / "song.txt"
    path.write_text("雨下整夜我的爱溢出就像雨水\n窗台的蝴蝶像诗里纷飞的美丽章节\n" * 9, encoding="utf-8")
    train = ["train", "--corpus", str(path), "--level", "word", "--out", str(tmp_path / "r"), *SMALL]
    assert cli.main(train) == 0
    said = "caution  the words of song.txt have 14 characters on average: words are what white space parts"
    assert capsys.readouterr().out.startswith(said)
    path.write_text("雨 下 整夜 我 的 爱 溢出 就像 雨水\n" * 9, encoding="utf-8")
    assert load_corpus(path, level="word").remark == ""
    path.write_text("incomprehensibilities internationalisation\n" * 9, encoding="utf-8")
    assert load_corpus(path, level="word").remark == load_corpus(path).remark == ""
