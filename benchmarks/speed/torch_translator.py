"""The translator of `translate-en-zh` and `translate-zh-en` in PyTorch, as anyone would write it."""

from __future__ import annotations

import math

import torch
from torch import nn

PAD_ID = 0  # of <pad>, which no translation has
BETA2, EPSILON = 0.999, 1e-8  # of Adam, the usual ones


class TorchTranslator(nn.Module):
    """An LSTM that reads from both ends, a bridge, and an LSTM with general attention (Luong et al. 2015).

    Args:
        params: ``vocab_size`` and ``num_outputs``, the sizes of the two vocabularies; ``embed_size``; ``num_hiddens``
            of each LSTM and direction; ``dropout`` of what enters and what leaves an LSTM.
    """

    def __init__(self, params: dict) -> None:
        super().__init__()
        width, size = params["embed_size"], params["num_hiddens"]
        self.source_embedding = nn.Embedding(params["vocab_size"], width)
        self.encoder = nn.LSTM(width, size, bidirectional=True)
        self.bridge_H, self.bridge_C = nn.Linear(2 * size, size), nn.Linear(2 * size, size)
        self.target_embedding = nn.Embedding(params["num_outputs"], width)
        self.decoder = nn.LSTM(width, size)
        self.query = nn.Linear(size, 2 * size, bias=False)
        self.combine = nn.Linear(3 * size, size, bias=False)
        self.dense = nn.Linear(size, params["num_outputs"])
        self.drop = nn.Dropout(params["dropout"])

    def forward(self, X, Y_in):
        """Compute logits (target steps, batch_size, num_outputs) of ids (steps, batch_size); no source is padded."""
        S, (H, C) = self.encoder(self.drop(self.source_embedding(X)))
        S = self.drop(S).transpose(0, 1)  # (batch_size, source steps, 2 * num_hiddens)
        state = tuple(
            torch.tanh(bridge(torch.cat([both[0], both[1]], dim=1))).unsqueeze(0)
            for bridge, both in ((self.bridge_H, H), (self.bridge_C, C))
        )
        H, _ = self.decoder(self.drop(self.target_embedding(Y_in)), state)
        H = self.drop(H)
        scores = torch.bmm(self.query(H).transpose(0, 1), S.transpose(1, 2))
        contexts = torch.bmm(torch.softmax(scores, dim=2), S).transpose(0, 1)
        return self.dense(torch.tanh(self.combine(torch.cat([contexts, H], dim=2))))


class TorchTraining:
    """Takes steps of Adam on a model, with the gradient's norm clipped.

    MXNet's Adam adds epsilon to the root of the second moment before its bias is corrected, PyTorch's afterwards (the
    last lines of section 2 of arXiv 1412.6980, and its algorithm 1).  So PyTorch's epsilon is divided by the correction
    here, and the two compute the same.

    Args:
        model: a :class:`TorchTranslator`.
        theta: the largest norm of all gradients together.
    """

    def __init__(self, model: TorchTranslator, theta: float) -> None:
        self.model, self.theta = model.train(), theta
        self.optimizer = torch.optim.Adam(model.parameters(), fused=True)
        self.steps = 0

    def step(self, X, Y_in, Y_out, lr: float) -> tuple[float, float]:
        """Take a step on ids (steps, batch_size); return the mean loss in nats and the norm before clipping."""
        logits = self.model(X, Y_in)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), Y_out.flatten(), ignore_index=PAD_ID)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.theta)
        self.steps += 1
        epsilon = EPSILON / math.sqrt(1 - BETA2**self.steps)
        self.optimizer.param_groups[0].update(lr=lr, eps=epsilon)
        self.optimizer.step()
        return loss.item(), norm.item()


def to_torch(ids):
    """Return ids (batch_size, steps), a NumPy array, as PyTorch takes them: (steps, batch_size) int64."""
    return torch.from_numpy(ids.T.copy()).long()
