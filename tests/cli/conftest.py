"""What the tests of several commands share."""

import pytest

from d2lrnn.cli import main as cli


@pytest.fixture
def complaint(capsys):
    """Run a command, which must fail with one line; returns the line."""

    def run(*arguments):
        capsys.readouterr()
        assert cli.main([str(argument) for argument in arguments]) == 1
        err = capsys.readouterr().err
        assert err.startswith("d2lrnn: ") and err.count("\n") == 1
        return err

    return run


@pytest.fixture
def run(capsys):
    """Run a command, which must succeed; returns what it printed."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (status, err) == (0, ""), err
        return out

    return run
