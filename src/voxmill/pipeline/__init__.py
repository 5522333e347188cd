"""What is made from what: dvc.yaml and its frozen picture, pipeline.json."""
