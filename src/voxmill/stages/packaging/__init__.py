"""What the stage package tells about a model."""
