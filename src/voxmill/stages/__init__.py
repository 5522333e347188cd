"""The eight stages; each turns input folders and typed config into one output folder."""
