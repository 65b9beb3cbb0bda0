"""A picture of what a translator looks at."""

from __future__ import annotations

from pathlib import Path

from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.translation import Translated
from d2lrnn.plotting.figures import COLOURS, new_figure, save_figure, show_figure
from d2lrnn.plotting.fonts import legible

MOST_TOKENS = 80  # of a sentence; more could not be read


def plot_attention(translation: Translated, path: str | Path | None = None, title: str = "What is looked at"):
    """Draw how much each token of a translation looked at each token of its source.

    The source stands along the top, the translation along the left.  The darker a field, the larger the weight: white
    is 0, the full colour 1.  The weights of a row have the sum 1.

    Args:
        translation: one with ``weights`` and ``source``, as :func:`d2lrnn.generation.translation.translate_texts`
            returns it when it is asked for the weights.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        D2lrnnError: if there are no weights, or more than 80 tokens on a side.
    """
    weights, source, target = translation.weights, translation.source, translation.tokens
    if weights is None:
        raise D2lrnnError("the translation has no weights of attention: ask for them, Decoding(with_weights=True)")
    if not weights.size:
        raise D2lrnnError("the translation is empty: there is nothing to draw")
    if max(len(source), len(target)) > MOST_TOKENS:
        raise D2lrnnError(
            f"the source has {len(source)} tokens and the translation {len(target)}: expected at most {MOST_TOKENS} "
            "each, which a picture can show"
        )
    from matplotlib.colors import LinearSegmentedColormap

    size = (max(2.0 + 0.34 * len(source), 4.5), max(1.8 + 0.3 * len(target), 2.5))
    figure, (panel,) = new_figure(title, size=size)
    panel.imshow(weights, cmap=LinearSegmentedColormap.from_list("weights", ("#ffffff", COLOURS[0])), vmin=0, vmax=1)
    names, families = legible([*source, *target])
    panel.xaxis.tick_top()
    panel.xaxis.set_ticks(range(len(source)), names[: len(source)], fontfamily=families, parse_math=False)
    panel.yaxis.set_ticks(range(len(target)), names[len(source) :], fontfamily=families, parse_math=False)
    if any(len(name) > 2 for name in names[: len(source)]):
        panel.tick_params(axis="x", labelrotation=60)
    panel.tick_params(length=0)
    panel.grid(visible=False)
    return show_figure(save_figure(figure, path))
