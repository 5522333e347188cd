"""Text: normalisation, alphabets, tokenizers."""
