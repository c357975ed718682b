"""Training of a stage: objectives, steps, the loop, checkpoints."""
