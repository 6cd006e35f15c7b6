"""What plugins with pretrained weights share: weights and their revisions, loading, devices, preparing images."""
