"""The evaluation of trained controllers: methods, metrics, corpora and modes. See docs/evaluation.md."""
