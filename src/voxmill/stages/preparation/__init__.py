"""The steps of the stage prepare."""
