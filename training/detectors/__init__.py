"""YOLOv8 on one's own photos: trained, exported, measured."""
