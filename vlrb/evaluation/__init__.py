"""What is done with a benchmark: splits, features, reference points, metrics."""
