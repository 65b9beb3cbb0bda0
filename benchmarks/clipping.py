"""Time gradient clipping: ours, ours with two other ways to overwrite NaN, ours without overwriting, and the book's.

The gradients have the shapes of the book's LSTM, 1.6 million numbers. The variants take turns, so that their ratios are
right on a busy machine too:

    .venv/bin/python benchmarks/clipping.py
"""

import statistics
import time

import d2lrnn
from d2lrnn._runtime import mx

THETA = 1e-2


def scale_only(params):
    """Scale, and let NaN stay NaN."""
    grads = [p.grad.as_nd_ndarray().reshape(-1) for p in params]
    norm = mx.nd.add_n(*[mx.nd.dot(g, g) for g in grads]).sqrt()
    for g in grads:
        mx.nd.broadcast_mul(g, mx.nd.minimum(THETA / norm, 1), out=g)


def nan_to_num(params):
    """Scale, and overwrite NaN by ``nan_to_num``."""
    scale_only(params)
    for p in params:
        mx.np.nan_to_num(p.grad, copy=False)


def where(params):
    """Scale where the norm is finite, by ``where``."""
    grads = [p.grad for p in params]
    flat = [g.as_nd_ndarray().reshape(-1) for g in grads]
    norm = mx.nd.add_n(*[mx.nd.dot(g, g) for g in flat]).sqrt().as_np_ndarray()
    for g in grads:
        g[:] = mx.np.where(mx.np.isfinite(norm), g * mx.np.minimum(THETA / norm, 1), 0)


def ours(params):
    """Clip by d2lrnn.grad_clipping."""
    d2lrnn.grad_clipping(params, THETA)


def book(params):
    """Clip as the book's code does (d2l-zh v1, section 6.4.6): the host waits for the norm."""
    norm = mx.np.array([0.0])
    for p in params:
        norm += (p.grad**2).sum()
    norm = mx.np.sqrt(norm).item()
    if norm > THETA:
        for p in params:
            p.grad[:] *= THETA / norm


def main() -> None:
    """Print the median time of each variant over nine rounds of twenty calls."""
    params = d2lrnn.get_lstm_params(1027, 256)
    for p in params:
        p.grad[:] = mx.np.random.normal(size=p.shape)
    variants = (scale_only, ours, nan_to_num, where, book)
    times = {variant: [] for variant in variants}
    for _ in range(9):
        for variant in variants:
            mx.npx.waitall()
            start = time.perf_counter()
            for _ in range(20):
                variant(params)
            mx.npx.waitall()
            times[variant].append((time.perf_counter() - start) / 20 * 1e3)
    for variant, each in times.items():
        print(f"{variant.__name__:12} {statistics.median(each):6.2f} ms  ({min(each):.2f} to {max(each):.2f})")


if __name__ == "__main__":
    main()
