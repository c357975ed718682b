"""Names to choose from in a configuration. Free of jax, so that they are checked before it is imported."""

from typing import Literal, get_args

Estimates = Literal["spsa", "spsa_one_sided", "orthogonal", "finite_difference"]
Level = Literal["audio", "loss"]
Schedule = Literal["constant", "linear", "cyclic", "capacity"]

ESTIMATORS: tuple[str, ...] = get_args(Estimates)
LEVELS: tuple[str, ...] = get_args(Level)
MEASURED_LEVEL = "auto"  # of a configuration: the level at which every parameter of the effect has a gradient
SCHEDULES: tuple[str, ...] = get_args(Schedule)
JOBS = ("controller", "digits")
MODES = ("same_clip", "other_section", "other_file", "mixed")  # where a reference comes from
COMPUTE_DTYPES = ("float32", "bfloat16")
DESCRIPTOR_NAMES = ("echoes", "combs", "movement", "amplitudes", "lfo", "lfo_lags", "lfo_templates")
CHOSEN_DESCRIPTORS = "auto"  # of a configuration: those that predict the settings of other recordings better
LOSSES = (*("mrstft", "l1", "smoothed_mel", "mel_statistics", "envelope", "modulation", "autocorrelation", "cepstrum"),)
