"""JAX as its users write a recurrent network: pure functions, one compiled by `jax.jit`, time steps by `lax.scan`."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from speed.work import Work, alphabet, prefixes, start, zipf_batch

PACKAGES = ("jax", "jaxlib", "numpy")


def wait() -> None:
    """Return at once: a step ends with its loss, and all that it computes is ready then."""


def _rnn(x, h, state):
    return (jnp.tanh(x + h),)


def _gru(x, h, state):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = jnp.split(x, 3, axis=1), jnp.split(h, 3, axis=1)
    R, Z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    return ((1 - Z) * jnp.tanh(x_n + R * h_n) + Z * state[0],)


def _lstm(x, h, state):
    I, F, C_new, O = jnp.split(x + h, 4, axis=1)
    C = jax.nn.sigmoid(F) * state[1] + jax.nn.sigmoid(I) * jnp.tanh(C_new)
    return jax.nn.sigmoid(O) * jnp.tanh(C), C


CELLS = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}  # from inputs and H times their weights, and the state: the new state


def _layer(step, number: int, parameters: dict, X, state):
    """Compute one layer's outputs (num_steps, batch_size, num_hiddens), and its new state.

    The inputs of all time steps are multiplied at once; ids (num_steps, batch_size), which stand for one-hot vectors,
    are looked up.
    """
    W_x, W_h, b_x, b_h = (
        parameters[f"rnn.{name}_l{number}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    inputs = (W_x[X] if X.ndim == 2 else X @ W_x) + b_x

    def one_step(state, x):
        state = step(x, state[0] @ W_h + b_h, state)
        return state, state[0]

    state, outputs = lax.scan(one_step, state, inputs)
    return outputs, state


def _dropout(X, rate: float, key):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, X.shape), X / (1 - rate), 0) if rate else X


def _logits(params: dict, parameters: dict, ids, state, key):
    """Compute logits (num_steps, batch_size, vocab_size) of ids (num_steps, batch_size), and the new state."""
    keys = iter(jax.random.split(key, params["num_layers"] + 1))
    X = ids
    if params["embed_size"]:
        X = _dropout(parameters["embedding.weight"][ids], params["dropout"], next(keys))
    new = []
    for number, before in enumerate(state):
        X, after = _layer(CELLS[params["cell"]], number, parameters, X, before)
        X = _dropout(X, params["dropout"], next(keys))
        new.append(after)
    return X @ parameters["dense.weight"] + parameters["dense.bias"], new


def _parameters(params: dict) -> dict:
    """Return the start; the rows of a weight are its inputs, as JAX's users have them."""
    values = start(params)
    return {
        name: jnp.array(array.T if array.ndim == 2 and "embedding" not in name else array)
        for name, array in values.items()
    }


def _begin_state(params: dict, batch_size: int) -> list:
    arrays = 2 if params["cell"] == "lstm" else 1
    zeros = functools.partial(jnp.zeros, (batch_size, params["num_hiddens"]))
    return [tuple(zeros() for _ in range(arrays)) for _ in range(params["num_layers"])]


def prepare(implementation: str, task: str, params: dict) -> Work:
    """Make the work of one case."""
    return {"training": _training, "generation": _generation}[task](params)


def _training(params: dict) -> Work:
    X, Y = (jnp.array(ids.T) for ids in zipf_batch(params))

    def loss_of(parameters, state, key, X, Y):
        logits, state = _logits(params, parameters, X, state, key)
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), Y[..., None], axis=2)
        return -picked.mean(), state

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))  # donated: an update is written where the old values lie
    def step(parameters, state, key, X, Y):
        key, now = jax.random.split(key)
        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters, state, now, X, Y)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients.values()))
        scale = params["lr"] * jnp.minimum(1, params["theta"] / (norm + 1e-6))  # clip_grad_norm_ of PyTorch
        parameters = jax.tree.map(lambda value, gradient: value - scale * gradient, parameters, gradients)
        return (parameters, state, key), loss

    carried = _parameters(params), _begin_state(params, params["batch_size"]), jax.random.key(0)

    def run() -> float:
        nonlocal carried
        carried, loss = step(*carried, X, Y)
        return float(loss)

    return Work(run)


def _generation(params: dict) -> Work:
    letters = alphabet(params["vocab_size"])
    texts = prefixes(params["num_prefixes"], params["vocab_size"])
    ids = jnp.array([[letters.index(letter) for letter in text] for text in texts]).T  # (2, num_prefixes)
    parameters, unused = _parameters(params), jax.random.key(0)

    @jax.jit
    def write(parameters, ids):
        def read(state, X):
            logits, state = _logits(params, parameters, X, state, unused)
            return logits[-1].argmax(axis=1), state  # (num_prefixes,)

        def one_step(carried, _):
            X, state = carried
            return read(state, X[None]), X

        carried = read(_begin_state(params, ids.shape[1]), ids)
        _, written = lax.scan(one_step, carried, length=params["num_preds"])
        return jnp.concatenate([ids, written])

    def run() -> list[str]:
        return ["".join(letters[i] for i in row) for row in write(parameters, ids).T.tolist()]

    return Work(run)
