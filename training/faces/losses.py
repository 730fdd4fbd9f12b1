"""Losses that make embeddings: additive angular margin (ArcFace) and triplets (FaceNet)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

TRIPLET_MARGIN = 0.2
"""FaceNet's, of squared distances between unit embeddings."""


class ArcFace(nn.Module):
    """Additive angular margin: softmax over the cosines to a centre for each person, the own one's angle made larger.

    Deng et al. 2019, arXiv:1801.07698, equation 3: margin m = 0.5 rad, scale s = 64 (smaller suits few people).
    """

    def __init__(self, centres: torch.Tensor, margin: float, scale: float) -> None:
        """Args: centres: [people, D], of any length but 0; margin: radians."""
        super().__init__()
        self.centres = nn.Parameter(F.normalize(centres.clone()))
        self.margin, self.scale = margin, scale

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """[N, D] of any length and [N] int64 -> the mean loss."""
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.centres))
        own = cosine.gather(1, labels[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
        widened = torch.cos(torch.acos(own) + self.margin)
        # Beyond pi - m the cosine would rise again: there a straight line goes on falling (as insightface does).
        fallen = own - self.margin * math.sin(math.pi - self.margin)
        target = torch.where(own > math.cos(math.pi - self.margin), widened, fallen)
        return F.cross_entropy(self.scale * cosine.scatter(1, labels[:, None], target), labels)


def semi_hard_triplets(embeddings: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """FaceNet's mining (Schroff et al. 2015, arXiv:1503.03832, section 3.2) within a batch.

    For each pair of photos of one person, the nearest photo of another that is further from the first than the second
    is, by less than the margin. Pairs without one give no triplet.

    Args:
        embeddings: [N, D] of unit length.
        labels: [N] int64.
    Returns:
        [T, 3] int64: anchor, positive, negative.
    """
    distances = _squared_distances(embeddings.detach())
    same = labels[:, None] == labels[None]
    pairs = torch.nonzero(same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device))
    anchors, positives = pairs.unbind(1)
    reach = distances[anchors, positives][:, None]
    candidates = distances[anchors]
    allowed = ~same[anchors] & (candidates > reach) & (candidates < reach + margin)
    nearest = torch.where(allowed, candidates, torch.inf).argmin(1)
    found = allowed.any(1)
    return torch.stack([anchors, positives, nearest], 1)[found]


def triplet_loss(embeddings: torch.Tensor, labels: torch.Tensor, margin: float = TRIPLET_MARGIN) -> torch.Tensor:
    """Mean hinge over the semi-hard triplets of a batch; 0, with a gradient of 0, where it has none.

    Args:
        embeddings: [N, D], of any length.
        labels: [N] int64.
    """
    vectors = F.normalize(embeddings)
    anchor, positive, negative = semi_hard_triplets(vectors, labels, margin).unbind(1)
    if not len(anchor):
        return vectors.sum() * 0
    near = (vectors[anchor] - vectors[positive]).square().sum(1)
    far = (vectors[anchor] - vectors[negative]).square().sum(1)
    return torch.relu(near - far + margin).mean()


def anchor_loss(embeddings: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - cosine to the embeddings [N, D] that another network gave the same photos."""
    return (1 - F.cosine_similarity(embeddings, wanted)).mean()


def _squared_distances(vectors: torch.Tensor) -> torch.Tensor:
    return (2 - 2 * vectors @ vectors.T).clamp_min(0)
