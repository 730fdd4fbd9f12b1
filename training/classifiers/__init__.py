"""Image classifiers: from scratch, and from backbones that have learnt ImageNet."""
