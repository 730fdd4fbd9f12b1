"""MODEL_CARD.md of a MiniFASNet's bundle."""

from __future__ import annotations

from export.bundle import Draft


def write_card(draft: Draft, most: float, mean: float, same: float, crops: int) -> str:
    """The card's text.

    Args:
        most: largest difference of a probability to the network in PyTorch.
        mean: the same in the mean.
        same: share of crops in which both say the same class.
        crops: how many were compared.
    """
    file = draft.files[0]
    scale = draft.input["face_scale"]
    return f"""# {draft.name}

One of the two networks of minivision-ai's Silent-Face-Anti-Spoofing ({draft.licence}), converted by Sereno and not
trained any further. It says of a face whether it is live, printed on paper or shown on a screen.

`{file.path}` ({file.runtime}, {file.precision}, {len(file.content):,} bytes) takes 80x80 pixels, BGR, of the face's box
made {scale:g} times as large (moved inside the picture, both sides shrunk alike where that is too small), and gives
three probabilities: {", ".join(draft.labels)}. Upstream adds those of both networks and calls live what has the most.

## How it was made

    {draft.provenance["command"]}

Commit `{draft.provenance["git_commit"]}`; base weights `{draft.provenance["base_weights"]["name"]}`.

## How near it is to the network in PyTorch

On {crops} crops of faces of Labeled Faces in the Wild and of the same faces as held pictures: probabilities differ by
{mean:.2g} in the mean and by {most:.2g} at most; the same class in {same:.1%}.

## What it is not

No proof that somebody is alive. What it was trained on was not published, and how often it is mistaken was never
measured on enough pictures to be told here: a photo that is shown well, or a mask, gets past it, and a live face in bad
light or from a compressed stream is refused. Sereno asks it as one check of several; docs/security.md has their limits
and says how an owner measures their own door.
"""
