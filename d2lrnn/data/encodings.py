"""Tell the encoding or the format of a file that is not UTF-8 text by its bytes, and say what to do about it."""

from __future__ import annotations

import codecs
import re
import shlex
import zlib
from pathlib import Path

SAMPLE = 2**16  # bytes that are judged

# Formats other than text: the bytes that a file begins with, the format's name, the command that makes a text of it.
_FORMATS = (
    (b"PK\x03\x04", "a zip archive (as are .docx, .odt and .epub)", "unzip {}"),
    (b"BZh", "a bzip2 archive", "bunzip2 < {} > new.txt"),
    (b"\xfd7zXZ\0", "an xz archive", "unxz < {} > new.txt"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unzstd < {} > new.txt"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "7z x {}"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x {}"),
    (b"%PDF-", "a PDF document", "pdftotext {}"),
    (b"{\\rtf", "an RTF document", "unrtf --text {} > new.txt"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office", "libreoffice --convert-to txt:Text {}"),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)", ""),
    (b"\xff\xd8\xff", "a picture (JPEG)", ""),
    (b"GIF87a", "a picture (GIF)", ""),
    (b"GIF89a", "a picture (GIF)", ""),
    (b"II*\0", "a picture (TIFF)", ""),
    (b"MM\0*", "a picture (TIFF)", ""),
    (b"ID3", "a sound file (MP3)", ""),
    (b"OggS", "a sound file (Ogg)", ""),
    (b"\x7fELF", "a program", ""),
    (b"SQLite format 3\0", "a database (SQLite)", ""),
    (b"d2lrnn checkpoint ", "a model that d2lrnn wrote", ""),
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Encodings without a mark, by Python's name: what to call them, and iconv's name.
_EIGHT_BIT = {
    "gb18030": ("GB18030 or GBK (Chinese)", "GB18030"),
    "big5": ("Big5 (Chinese)", "BIG5"),
    "cp932": ("Shift JIS (Japanese)", "CP932"),
    "euc_jp": ("EUC-JP (Japanese)", "EUC-JP"),
    "cp949": ("EUC-KR (Korean)", "CP949"),
    "cp1252": ("Windows-1252 or Latin-1 (western European)", "WINDOWS-1252"),
    "cp1251": ("Windows-1251 (Cyrillic)", "WINDOWS-1251"),
    "koi8_r": ("KOI8-R (Cyrillic)", "KOI8-R"),
}
_SIXTEEN_BIT = {"utf_16_le": ("UTF-16", "UTF-16LE"), "utf_16_be": ("UTF-16", "UTF-16BE")}

# The characters that Chinese texts have most of, simplified and traditional: they tell short texts apart.
_COMMON_CHINESE = (
    "的一是不了在人有我他这這中大来來上国國个個到说說们們为為子和你地出道也时時年得就那要下以生会會自着著去之过過家学學对對可她里裡"
    "后後小么麼心多天而能好都然没沒日于於起还還发發成事只作当當想看文无無开開手十用主行方又如前所本见見经經头頭面公同三已老从從动動"
    "两兩长長知样樣现現分将將外但身些与與高意进進把法此实實回二爱愛风風雨花月夜春山水云雲雪梦夢听聽再"
)


def other_format(head: bytes, name: str) -> str | None:
    """Return which format other than text a file begins with, and what to do; None: it may be a text.

    Args:
        head: the file's first bytes, 512 or more if it has so many.
        name: the file's, for the command.
    """
    for magic, what, command in _FORMATS:
        if head.startswith(magic) and (magic != b"BZh" or head[4:10] == b"1AY&SY"):
            return _advice(what, command.format(_quoted(name)))
    if head.startswith(b"\x1f\x8b"):
        return _advice(*_gzip(head, name))
    if head[257:262] == b"ustar":
        return _advice("a tar archive", f"tar -xf {_quoted(name)}")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _conversion(encoding, encoding, name)
    return None


def seeming_encoding(sample: bytes, name: str) -> str:
    """Return which encoding a text that is not UTF-8 seems to have, and what to do.

    Args:
        sample: about 64 KiB of the text, from the beginning of a line on.
        name: the file's, for the command.
    """
    sample = _whole_lines(sample[:SAMPLE])
    found = None if b"\0" in sample else _best(sample, list(_EIGHT_BIT))
    if found:
        return _conversion(*_EIGHT_BIT[found], name)
    found = _by_nul(sample) or _best(sample, list(_SIXTEEN_BIT))
    if found:
        return _conversion(*_SIXTEEN_BIT[found], name)
    return "it is no text in an encoding that d2lrnn knows: expected UTF-8 text"


def with_nul(sample: bytes, name: str) -> str:
    """Return what a file of UTF-8 with the character NUL in it seems to be, and what to do.

    Args:
        sample: about 64 KiB of the file, beginning at an even place.
        name: the file's, for the command.
    """
    found = _by_nul(sample)
    if found:
        return _conversion(*_SIXTEEN_BIT[found], name)
    return f"expected text; if it is one, drop them with `tr -d '\\000' < {_quoted(name)} > new.txt`"


def damage(sample: bytes, name: str) -> str | None:
    """Return what to do about a text of which only some bytes are not UTF-8; None: most of them are not.

    Args:
        sample: about 64 KiB of the text, with the first such byte.
        name: the file's, for the command.
    """
    shown = sample.decode("utf-8", errors="replace").rstrip("\ufffd")
    wrong, others = shown.count("\ufffd"), sum(character > "\x7f" for character in shown)
    if others - wrong <= 4 * wrong:
        return None
    command = f"iconv -c -f UTF-8 -t UTF-8 < {_quoted(name)} > new.txt"
    return f"the rest is: mend this place, or drop such bytes with `{command}`"


def _quoted(name: str) -> str:
    """Return a file as a word of a shell command; a text that is no file has to be written to one first."""
    if not Path(name).is_file():
        return "old.txt"
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def _advice(what: str, command: str) -> str:
    return f"it is {what}: expected UTF-8 text" + (f"; get the text by `{command}`" if command else "")


def _conversion(what: str, encoding: str, name: str) -> str:
    return f"it seems to be {what}: convert it with `iconv -f {encoding} -t UTF-8 < {_quoted(name)} > new.txt`"


def _gzip(head: bytes, name: str) -> tuple[str, str]:
    try:
        begin = zlib.decompressobj(wbits=31).decompress(head, 512)
    except zlib.error:
        begin = b""
    name = _quoted(name)
    if begin[257:262] == b"ustar":
        return "a gzipped tar archive", f"tar -xzf {name}"
    return "a gzip archive", f"gunzip < {name} > new.txt"


def _whole_lines(sample: bytes) -> bytes:
    """Return a sample without a last line that it may cut within a character; of one line, an even number of bytes."""
    if len(sample) < SAMPLE:
        return sample
    end = sample.rfind(b"\n")
    return sample[: end + 1] if end > 0 and b"\0" not in sample else sample[: len(sample) // 2 * 2]


def _by_nul(sample: bytes) -> str | None:
    """Return which UTF-16 a text of mostly Latin letters is in, by the NUL in each; None: it is no such text."""
    first, second = sample[::2].count(0), sample[1::2].count(0)
    if first + second < len(sample) / 10 or 4 * min(first, second) > max(first, second):
        return None
    return "utf_16_be" if first > second else "utf_16_le"


def _best(sample: bytes, encodings: list[str]) -> str | None:
    """Return the one of several encodings in which a sample reads most like a text; None: it does in none of them."""
    from charset_normalizer import from_bytes  # here, since hardly a run needs it

    matches = [match.encoding for match in from_bytes(sample, cp_isolation=encodings)]
    texts = {encoding: _decoded(sample, encoding) for encoding in encodings}
    japanese = [name for name in ("euc_jp", "cp932") if _share("[\u3041-\u30fa]", texts.get(name, "")) > 0.1]
    if japanese:  # there are hiragana and katakana; other texts, read as Japanese, have none
        return japanese[0]
    if {"big5", "gb18030"} <= set(matches):
        likelier = max(("gb18030", "big5"), key=lambda name: sum(texts[name].count(c) for c in _COMMON_CHINESE))
        matches.insert(min(map(matches.index, ("gb18030", "big5"))), likelier)
    for found in matches:
        text = texts[found]
        if found in ("cp932", "euc_jp") or re.search("[\0-\x08\x0e-\x1f]", text):
            continue
        if found in ("cp1251", "koi8_r") and _share("[A-Za-z]", text, "\\w") > 0.5:
            return "cp1252"  # Cyrillic texts have few Latin letters; western ones have few others
        return found
    return None


def _decoded(sample: bytes, encoding: str) -> str:
    """Return the text of a sample that may end within a character; an empty text where it cannot be decoded."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return ""


def _share(pattern: str, text: str, of: str = "[^\0-\x7f]") -> float:
    return len(re.findall(pattern, text)) / max(len(re.findall(of, text)), 1)
