"""Run ours, the book's own code, plain Gluon and PyTorch side by side in one sitting; `make bench` is this command.

    .venv/bin/python benchmarks/speed.py                        # everything, about half an hour
    .venv/bin/python benchmarks/speed.py --only 'lyrics/lstm' --quick
    .venv/bin/python benchmarks/speed.py --list

The parts are in benchmarks/speed/.
"""

from speed.command import main  # the folder: a package goes before a module of the same name

if __name__ == "__main__":
    main()
