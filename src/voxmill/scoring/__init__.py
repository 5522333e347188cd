"""Error rates, alignments, groups and confidence intervals."""
