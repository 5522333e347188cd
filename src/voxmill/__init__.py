"""voxmill turns recordings into released speech models."""

__version__ = "0.1.0"
