"""Time d2lrnn, the book's own code, plain Gluon, PyTorch and JAX side by side in one sitting; `make bench` runs this.

    .venv/bin/python benchmarks/speed.py                        # everything, about half an hour
    .venv/bin/python benchmarks/speed.py --only 'lyrics/lstm' --quick
    .venv/bin/python benchmarks/speed.py --list

The code is in benchmarks/speed/.
"""

from speed.command import main  # the folder speed/: Python prefers a package to a module of the same name

if __name__ == "__main__":
    main()
