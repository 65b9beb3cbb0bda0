"""Where the corpora are told to lie, and which font writes their characters."""

import os
import sys

import pytest
from matplotlib import font_manager
from typefaces import font_file, forget_fonts, only_usual_fonts

from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.files import PACKAGE
from d2lrnn.diagnosis import corpora as module
from d2lrnn.diagnosis.corpora import CHINESE, corpora, font
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding, place
from d2lrnn.plotting import fonts

SHIPPED = Finding(OK, "corpora", f"sample, sample_couplets: in {place(PACKAGE.parent / 'data')}")
DOWNLOADED = "would be downloaded when first used"


def test_what_is_in_no_folder_would_be_downloaded(offline):
    downloaded = ", ".join(name for name in CORPORA if not name.startswith("sample"))
    assert [*corpora()] == [SHIPPED, Finding(OK, "corpora", f"{downloaded}: {DOWNLOADED}")]
    assert not offline.exists()


def test_what_is_found_is_told_with_its_folder(offline, tmp_path, monkeypatch):
    for folder, name in (("given", "jaychou_lyrics.txt"), ("named", "ptb/ptb.train.txt")):
        (tmp_path / folder / name).parent.mkdir(parents=True)
        (tmp_path / folder / name).write_text("a text of the user's own")
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path / "named"))
    found = {finding.found for finding in corpora(tmp_path / "given")}
    assert found == {
        SHIPPED.found,
        f"jaychou: in {place(tmp_path / 'given')}",
        f"ptb: in {place(tmp_path / 'named' / 'ptb')}",
        f"timemachine, couplets: {DOWNLOADED}",
    }


def test_the_real_corpora_are_verified(real_data):
    found = [finding.found for finding in corpora(real_data)]
    assert f"jaychou, ptb, timemachine, couplets: in {place(real_data)}, verified by checksum" in found


def test_what_is_damaged_or_not_there_is_broken(offline, tmp_path, monkeypatch):
    (tmp_path / "timemachine.txt").write_text("another edition")
    shipped, downloaded, broken = corpora(tmp_path)
    assert (shipped, downloaded.found) == (SHIPPED, f"jaychou, ptb, couplets: {DOWNLOADED}")
    assert broken.state == BROKEN and broken.found.startswith(
        f"timemachine: {tmp_path}/timemachine.txt has the SHA-256"
    )
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path / "nowhere"))
    (broken,) = corpora()
    assert broken.state == BROKEN and broken.found.startswith(
        f"{', '.join(CORPORA)}: D2LRNN_DATA names {tmp_path}/nowhere"
    )


# The font


@pytest.fixture
def no_fonts(monkeypatch):
    """There is no Chinese font."""
    with monkeypatch.context() as patch:
        only_usual_fonts(patch)
        yield
    forget_fonts()


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the package with the font needs Python 3.10")
def test_the_font_of_the_environment_is_told_without_matplotlib(monkeypatch):
    monkeypatch.setattr(module, "legible", lambda texts: pytest.fail("asked Matplotlib"))
    assert font() == Finding(OK, "font", "Chinese in pictures: NotoSansSC-Regular, or a font that is installed")


def test_without_any_font_the_remedy_is_told(no_fonts):
    for _ in range(2):
        finding = font()
        assert finding.state == NOTE and finding.found.startswith("no font with Chinese: ")
        assert "fonts-noto-cjk" in finding.remedy


def test_an_installed_font_is_told(no_fonts, tmp_path):
    font_manager.fontManager.addfont(font_file(tmp_path / "Alpha.ttf", "Alpha", CHINESE))
    fonts._add_new_fonts.cache_clear()
    assert font() == Finding(OK, "font", "Chinese in pictures: Alpha")


@pytest.mark.parametrize("before", [None, "/a/folder"])
def test_matplotlib_leaves_no_list_of_fonts(no_fonts, monkeypatch, before):
    seen = []
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    if before:
        monkeypatch.setenv("MPLCONFIGDIR", before)
    monkeypatch.setattr(
        module, "legible", lambda texts: seen.append(os.environ["MPLCONFIGDIR"]) or (texts, ["", "Alpha"])
    )
    assert font().found == "Chinese in pictures: Alpha"
    assert seen[0] != before and not os.path.exists(seen[0]) and os.environ.get("MPLCONFIGDIR") == before
