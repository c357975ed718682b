"""A configuration whose every part is small and real: seconds for the whole job."""

from dafxvae.config import base_config, resolve_preset

TINY = {
    "pretrained": "default",
    "pretrain": True,
    "data.minutes": 1.5,
    "clip_samples": 8192,
    "bank": ("Gain", "Reverb"),
    "chains.count": 1,
    "calibration_batches": 1,
    "eval.num_pairs": 4,
    "eval.num_test_pairs": 4,
    "eval.num_media": 1,
    "eval.every_steps": 2,
    "checkpoint_every_steps": 1,
    "log_every_steps": 1,
    "h.stft_sizes": (128, 512),
    **{f"{stage}.num_steps": 2 for stage in "fgh"},
    **{f"{stage}.batch_size": 4 for stage in "fgh"},
    "f.latent_dim": 4,
    "f.style_dim": 4,
    "f.width": 16,
    "f.num_mels": 32,
    "f.time_strides": (4,),
    "f.head_width": 16,
    "g.latent_dim": 4,
    "g.num_pairs": 8,
    "g.width": 16,
    "h.widths": (16,),
    "h.descriptors": ("echoes",),
    "h.num_pairs": 8,
    "h.num_audio_pairs": 8,
    "h.warm_start.num_steps": 2,
    "h.warm_start.evaluations": 1,
}


def tiny_config(config=None, **changes):
    """`config` (the base one) with everything small; `changes` in dotted keys with __ for the dot."""
    config = resolve_preset(config if config is not None else base_config())
    config.num_devices = 1
    with config.ignore_type():
        config.update_from_flattened_dict(TINY | {key.replace("__", "."): value for key, value in changes.items()})
    return config


def flags(**changes):
    """The tiny configuration as command-line flags."""
    values = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    return [f"--config.{key}={value}" for key, value in values.items()]
