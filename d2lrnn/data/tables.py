"""Tables in CSV files: rows with their numbers, columns by their names."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator

from d2lrnn.checks import shown
from d2lrnn.data.texts import CorpusError, Readable, read_text


class TableError(CorpusError):
    """A file is no such table as it should be; the message names the row, of which the first is the header's."""


class Table:
    """A CSV file in UTF-8, whose first row names its columns and whose cells have commas between.

    Blank rows are left out.  Rows are counted as a spreadsheet counts them: the header is row 1.

    Args:
        source: the file, or a stream of bytes.

    Attributes:
        what: what to call the table in errors.
        header: the names of its columns, without spaces around them.

    Raises:
        CorpusError: for a file that cannot be read, or is no UTF-8 text.
        TableError: for a table without a cell; for a first row that is no row of CSV, or has other signs between its
            cells.
    """

    def __init__(self, source: Readable) -> None:
        text, self.what = read_text(source)
        self._rows = _rows(text.removeprefix("\ufeff"), self.what)
        first = next(self._rows, None)
        if first is None:
            raise TableError(f"{self.what} has blank rows alone: expected the names of the columns in the first row")
        self.header = [name.strip() for name in first[1]]
        for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
            if len(self.header) == 1 and sign in self.header[0]:
                raise TableError(f"{self.what} has {name} between its cells: expected commas, and points in numbers")

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return self.what.rpartition("/")[2]

    def place(self, name: str) -> int:
        """Return where a column stands in each row.

        Raises:
            TableError: if there is no such column, or more than one.
        """
        places = [i for i, found in enumerate(self.header) if found == name.strip()]
        if len(places) > 1:
            raise TableError(f"{self.what} has {len(places)} columns of the name {shown(name)}: expected one")
        if not places:
            near = difflib.get_close_matches(name.lower(), [found.lower() for found in self.header], 1)
            meant = next((f"; is {shown(found)} meant?" for found in self.header if [found.lower()] == near), "")
            listed = shown(", ".join(self.header)).strip("'")
            raise TableError(f"{self.what} has no column {shown(name)}: expected one of {listed}{meant}")
        return places[0]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows after the header, with their numbers; they can be read once.

        Raises:
            TableError: for a row that is no row of CSV, or has not a cell for each column.
        """
        for number, cells in self._rows:
            if len(cells) != len(self.header):
                raise TableError(
                    f"{self.what}, row {number} has {len(cells)} of {len(self.header)} cells: expected one for each "
                    "column of row 1"
                )
            yield number, cells


def _rows(text: str, what: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their numbers."""
    reader, number = csv.reader(io.StringIO(text), strict=True), 0  # which ends lines at line feeds alone
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "a quotation mark is not closed" if "unexpected end" in str(error) else str(error)
            raise TableError(f"{what}, row {number + 1} is no row of CSV: {reason}") from None
        number += 1
        if any(cell.strip() for cell in cells):
            yield number, cells
