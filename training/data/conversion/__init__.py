"""Annotations of other tools, as YOLO's labels: each reader gives `Annotated`, and `writing` makes the folder."""
