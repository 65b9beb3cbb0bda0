"""Exported models in PyTorch: made and called as the program of the book's page does it."""

import json
import re
from pathlib import Path

import numpy

from d2lrnn.models.twins import read_parameters, write_parameters

PAGE = Path(__file__).parent.parent / "docs" / "exchange.md"
FILE = "runs/sample/model.safetensors"  # what the page's program reads


def blocks():
    """Return the page's blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def run_program(path, prefix, num_preds):
    """Run the page's program on a file; return its names, such as the model, the tokens and the text."""
    program = blocks()[0].replace(json.dumps(FILE), json.dumps(str(path)))
    program = program.replace('["分", "开"]', repr(list(prefix))).replace("range(50)", f"range({num_preds})")
    names = {}
    exec(program, names)
    return names


def with_names_of_page():
    """Run the page's functions for classifiers and forecasters in PyTorch; return their names, load and answer."""
    names = {}
    exec(blocks()[5], names)
    return names


def logits_of(torch, model, ids, state=None):
    """Return what the program's model computes for ids (batch_size, num_steps), as NumPy, and the new state."""
    with torch.no_grad():
        X = torch.from_numpy(numpy.asarray(ids, "int64"))
        if "encoder" in model:
            X = model["encoder"](X)
        else:
            X = torch.nn.functional.one_hot(X, model["rnn"].input_size).float()
        Y, state = model["rnn"](X, state)
        return model["decoder"](Y).numpy(), state


def varied(model):
    """Give a model parameters by which its text varies: large weights of the inputs, small biases; and return it."""
    factors = {"W_x": 3, "b_": 0.2, "c_": 0.2, "b_q": 0}
    values = read_parameters(model)
    for name, array in values.items():
        own = name.split(".")[-1]  # such as W_xi
        values[name] = array * factors.get(own, factors.get(own[:-1], 1))
    write_parameters(model, values)
    return model


class ByStep:
    """A model of a cell that torch.nn lacks, which takes the steps of the page one after the other.

    Args:
        tensors: of an exported file.
    """

    def __init__(self, tensors):
        names = {}
        exec(blocks()[1], names)
        self.tensors = tensors
        self.has_memory = "rnn.weight_ch_l0" in tensors
        self.step = names["lstm_peephole_step" if self.has_memory else "gru_step"]

    def _weights(self, name):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch", "weight_hr")
        found = (self.tensors.get(f"rnn.{kind}_{name}") for kind in kinds)
        return [tensor for tensor in found if tensor is not None]

    def __call__(self, torch, ids, state=None):
        """Return logits (batch_size, num_steps, num_outputs) as NumPy, and the new state by layer and direction."""
        X, state = self._inputs(torch, ids), dict(state or {})
        layer = 0
        while f"rnn.weight_ih_l{layer}" in self.tensors:
            outputs = []
            for end in ("", "_reverse"):
                if f"rnn.weight_ih_l{layer}{end}" in self.tensors:
                    name = f"l{layer}{end}"
                    Y, state[name] = self._run(torch, X[::-1] if end else X, self._weights(name), state.get(name))
                    outputs.append(Y[::-1] if end else Y)
            X = [torch.cat(pair, 1) for pair in zip(*outputs)]
            layer += 1
        Y = torch.stack(X, 1)
        return torch.nn.functional.linear(Y, *(self.tensors[f"decoder.{n}"] for n in ("weight", "bias"))).numpy(), state

    def _inputs(self, torch, ids):
        ids = torch.from_numpy(numpy.asarray(ids, "int64").T)
        if "encoder.weight" in self.tensors:
            return list(self.tensors["encoder.weight"][ids])
        return list(torch.nn.functional.one_hot(ids, self.tensors["rnn.weight_ih_l0"].shape[1]).float())

    def _run(self, torch, X, weights, state):
        W_ih, W_hh = weights[:2]
        H = torch.zeros(len(X[0]), W_hh.shape[1]) if state is None else state[0]
        C = torch.zeros(len(X[0]), W_ih.shape[0] // 4) if state is None else state[-1]
        outputs = []
        for x in X:
            if self.has_memory:
                H, C = self.step(x, H, C, *weights)
            else:
                H = self.step(x, H, *weights)
            outputs.append(H)
        return outputs, (H, C) if self.has_memory else (H,)
