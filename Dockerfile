# d2lrnn with its lessons and Jupyter, for a machine that is no x86-64 Linux, or whose Python does not suit.
#
#   docker build -t d2lrnn .
#   docker run --rm -it -p 8888:8888 d2lrnn                    # Jupyter; open the address that begins with 127.0.0.1
#   docker run --rm -it d2lrnn bash                            # a shell, in which make run and all other commands work
#   docker run --rm -it -v "$PWD/runs:/d2lrnn/runs" d2lrnn d2lrnn train    # what it writes to runs/ stays here
#   docker run --rm -it -p 8888:8888 -v /the/corpora:/data -e D2LRNN_DATA=/data d2lrnn
#   docker run --rm -it -p 8000:8000 -v "$PWD/runs:/d2lrnn/runs" d2lrnn d2lrnn play runs/lyrics --host 0.0.0.0
#
# MXNet has no wheel for ARM under Linux that was tried: on such a machine Docker emulates an x86-64 one, slowly.
FROM --platform=linux/amd64 python:3.11-slim

# MXNet's wheel lacks two libraries of GCC. git is for those who carry the project on inside the container.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git libgomp1 libquadmath0 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /d2lrnn
COPY . .

# The same environment as without Docker, in .venv, so that the commands of README.md and of the book work as they stand.
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 make dev
ENV PATH="/d2lrnn/.venv/bin:$PATH"

EXPOSE 8888
# The container is one user's own. Jupyter asks for the token in the address that it prints.
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "--allow-root"]
