"""PyTorch as anyone would write it: nn.RNN, nn.GRU, nn.LSTM with an embedding or one-hot vectors."""

from __future__ import annotations

import torch
from torch import nn

from speed.torch_translator import TorchTraining, TorchTranslator, to_torch
from speed.work import Work, alphabet, in_turn, pair_batches, prefixes, start, zipf_batch

PACKAGES = ("torch", "numpy")


def wait() -> None:
    """Return at once: on the CPU PyTorch has nothing under way."""


class Model(nn.Module):
    """A language model: ids (num_steps, batch_size) come in, logits and the new state go out."""

    def __init__(self, params: dict) -> None:
        super().__init__()
        self.vocab_size, width = params["vocab_size"], params["embed_size"]
        self.embedding = nn.Embedding(self.vocab_size, width) if width else None
        layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[params["cell"]]
        size, layers = params["num_hiddens"], params["num_layers"]
        between = params["dropout"] if layers > 1 else 0.0
        self.rnn = layer(width or self.vocab_size, size, layers, dropout=between)
        self.drop = nn.Dropout(params["dropout"])
        self.dense = nn.Linear(size, self.vocab_size)
        self.load_state_dict({name: torch.from_numpy(array) for name, array in start(params).items()})

    def forward(self, ids, state=None):
        """Compute logits (num_steps, batch_size, vocab_size)."""
        if self.embedding is None:
            inputs = nn.functional.one_hot(ids, self.vocab_size).float()
        else:
            inputs = self.drop(self.embedding(ids))
        outputs, state = self.rnn(inputs, state)
        return self.dense(self.drop(outputs)), state


def prepare(implementation: str, task: str, params: dict) -> Work:
    """Make the work of one case."""
    torch.manual_seed(0)
    if task == "translation":
        return _translation(params)
    return {"training": _training, "generation": _generation}[task](Model(params), params)


def _training(model: Model, params: dict) -> Work:
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=params["lr"])
    loss_of = nn.CrossEntropyLoss()
    X, Y = (torch.from_numpy(ids.T.copy()).long() for ids in zipf_batch(params))
    state = None

    def run() -> float:
        nonlocal state
        if state is not None:
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        logits, state = model(X, state)
        loss = loss_of(logits.reshape(-1, params["vocab_size"]), Y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), params["theta"])
        optimizer.step()
        return loss.item()

    return Work(run)


def _translation(params: dict) -> Work:
    training = TorchTraining(TorchTranslator(params), params["theta"])
    batches = [tuple(map(to_torch, ids)) for *ids, _ in pair_batches(params)]
    return in_turn(batches, lambda batch: training.step(*batch, params["lr"])[0])


def _generation(model: Model, params: dict) -> Work:
    model.eval()
    letters = alphabet(params["vocab_size"])
    texts = prefixes(params["num_prefixes"], params["vocab_size"])
    ids = torch.tensor([[letters.index(letter) for letter in text] for text in texts]).T  # (2, num_prefixes)

    @torch.no_grad()
    def run() -> list[str]:
        X, state, written = ids, None, [ids]
        for _ in range(params["num_preds"]):
            logits, state = model(X, state)
            X = logits[-1:].argmax(dim=2)  # (1, num_prefixes)
            written.append(X)
        return ["".join(letters[i] for i in row) for row in torch.cat(written).T.tolist()]

    return Work(run)
