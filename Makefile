# make run       makes .venv, trains on the lyrics in data/ and lets the model write
# make test      runs the tests
# make check     runs the linter, the formatter and the type checker
# make chapters  runs every lesson of the chapter, quickly
# make book      makes the book of all lessons, in English and in Chinese; make book LANGUAGE=zh_CN makes one of them;
#                make book QUICK=1 runs the lessons at small sizes, in minutes
# make notebooks makes the lessons' notebooks, as executed for the book, in notebooks/; QUICK=1 and LANGUAGE likewise
# make messages  brings the Chinese catalogues in docs/locale up to date with the pages and the lessons
# make bench     measures the speed beside the book's code, plain Gluon, PyTorch and JAX; half an hour, on an idle
#                machine
# make venv      makes .venv with the pins of requirements.txt and this checkout
# make dev       makes .venv with the tools of test and check too
# make lock      writes the pins again from pyproject.toml; make lock UPGRADE=--upgrade takes newer versions
# make clean     removes what make has made, except runs/

PYTHON ?= python3
# If the user names a PYTHON, only that one is tried. Otherwise the first suitable one of these is taken.
PYTHONS := $(PYTHON) $(if $(filter file,$(origin PYTHON)),python3.12 python3.11 python3.10 python3.9)

BIN := .venv/bin
UV := $(BIN)/uv --quiet
# uv is ten times as fast as pip, but it does not read a package index from pip.conf. So pip is tried where uv fails.
install = $(UV) pip install --python $(BIN)/python $(1) || \
	{ echo "uv could not install this: pip tries ..."; $(BIN)/python -m pip install --quiet $(1); }
LOCK := $(UV) pip compile --universal --python-version 3.9 --fork-strategy fewest \
	--annotation-style line --custom-compile-command "make lock" $(UPGRADE) pyproject.toml

# A Python program that checks the Python that runs it: if this does not suit, the program says why and fails.
define CHECK_PYTHON
import platform, sys
found = (sys.version_info[:2], sys.platform, platform.machine(), sys.maxsize > 2**32)
if found not in [((3, minor), "linux", "x86_64", True) for minor in (9, 10, 11, 12)]:
    sys.exit("d2lrnn needs 64-bit Python 3.9 to 3.12 on x86-64 Linux (for others MXNet 1.9.1, or the NumPy 1.26 it "
             "needs, has no wheel); found Python %s on %s %s at %s: run make PYTHON=python3.12, or whichever you have."
             % (platform.python_version(), platform.system(), platform.machine(), sys.executable))
try:
    import ensurepip, venv
except ImportError:
    sys.exit("%s cannot make virtual environments: install what it lacks (Debian, Ubuntu: apt-get install "
             "python3.%d-venv), or run make PYTHON=... with another Python." % (sys.executable, sys.version_info[1]))
endef
export CHECK_PYTHON

# uv compiles no bytecode. The first process that imports a module does so and keeps it, unless the environment forbids
# that, as images for containers do: then each of the hundreds of processes of make test and make book would compile
# MXNet again, and import d2lrnn in 3.6 s instead of 1.4 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv dev run test check chapters book notebooks messages bench lock clean
venv: .venv/runtime.done
dev: .venv/dev.done

# runtime.done is written last. So an interrupted installation starts again from nothing.
.venv/runtime.done: requirements.txt
	@set -e; for python in $(PYTHONS) ""; do \
		if "$$python" -c "$$CHECK_PYTHON" 2>/dev/null; then break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		python="$(firstword $(PYTHONS))"; \
		if "$$python" -c pass 2>/dev/null; then "$$python" -c "$$CHECK_PYTHON"; fi; \
		echo "$$python does not run here: install Python 3.9 to 3.12 or name one: make PYTHON=/usr/bin/python3.12." >&2; \
		exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" -V) ..."; \
	"$$python" -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@echo "Installing requirements.txt: MXNet, and d2l with the Jupyter it asks for ..."
	@$(call install,-r requirements.txt)
	@$(call install,--no-deps -e .)
	@touch $@

# runtime.done is moved away during the installation. So an interruption here, too, starts again from nothing.
.venv/dev.done: .venv/runtime.done requirements-dev.txt
	@echo "Installing requirements-dev.txt: the tools of make test and make check ..."
	@mv $< .venv/runtime.part
	@$(call install,-r requirements-dev.txt)
	@mv .venv/runtime.part $<
	@touch $@

run: venv
	$(BIN)/python -m d2lrnn train --corpus sample --out runs/sample --overwrite

# The models of most tests are too small for two threads. Two processes of one thread each take little more than half the
# time of one process. The tests of the book and of its lessons are a group, for one of the two, which makes the book once
# for all of them; the group is the largest, so xdist begins with it. The tests of a file that share a fixture of their
# module are a group, too: each fixture is made once.
test: dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

chapters: venv
	@failed=; for chapter in $(wildcard chapters/*.py); do \
		echo "$$chapter"; MPLBACKEND=Agg $(BIN)/python "$$chapter" --quick || failed="$$failed $$chapter"; \
	done; \
	[ -z "$$failed" ] || { echo "did not run:$$failed"; exit 1; }

# The variable LANGUAGE of the environment is another thing: what the user's programs speak.
LANGUAGES := $(if $(filter command,$(origin LANGUAGE)),$(LANGUAGE),en zh_CN)
unexport LANGUAGE
LESSONS := $(if $(QUICK),D2LRNN_LESSON=--quick)
SPHINX := $(BIN)/sphinx-build --quiet -W --keep-going

book: dev
	@failed=; for language in $(LANGUAGES); do \
		echo "Making the book in $$language: lessons that are new or changed are run ..."; \
		$(LESSONS) $(SPHINX) -D language=$$language \
			-d docs/_build/doctrees/$$language docs docs/_build/html/$$language || failed="$$failed $$language"; \
	done; \
	[ -z "$$failed" ] || { echo "not made, or with the warnings above:$$failed"; exit 1; }
	@echo "The book: $(patsubst %,docs/_build/html/%/index.html,$(LANGUAGES))"

notebooks: LANGUAGES := en
notebooks: book
	@$(LESSONS) $(if $(filter command,$(origin LANGUAGE)),LANGUAGE=$(LANGUAGE)) $(BIN)/python docs/_ext/lessons.py
	@echo "The notebooks: $(BIN)/jupyter lab notebooks"

# The pages of the API reference stay English: they are the docstrings.
messages: dev
	$(SPHINX) -b gettext -t messages -d docs/_build/doctrees/messages docs docs/_build/messages
	$(BIN)/sphinx-intl update -p docs/_build/messages -d docs/locale -l zh_CN --line-width 0 --no-obsolete

bench: venv
	$(BIN)/python benchmarks/speed.py

lock: venv
	$(LOCK) --output-file requirements.txt
	$(LOCK) --output-file requirements-dev.txt --extra dev --constraints requirements.txt --no-annotate

clean:
	rm -rf .venv benchmarks/.venv-peers benchmarks/.venv-jax build dist figures .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf notebooks docs/_build docs/lessons $(filter-out docs/api/index.md,$(wildcard docs/api/*.md))
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
