"""What ingest mirrors besides the source: pretrained weights, and a checkpoint to start from."""
