"""The default detector, by quantization-aware self-distillation."""
