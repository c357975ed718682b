"""Reconstructions, samples, interpolations and traversals of a digit VAE, as files and for TensorBoard."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dafxvae.audio.io import write_audio
from dafxvae.config import Config
from dafxvae.core.rng import host_rng
from dafxvae.digits.accuracy import active_dimensions, all_clips
from dafxvae.digits.corpus import Digits
from dafxvae.digits.inference import DigitVAE
from dafxvae.reporting.pictures import save_png, spectrogram_grid, spectrogram_panels
from dafxvae.training.writer import MetricWriter

NUM_STEPS = 7  # of an interpolation or a traversal; joined in one file
TRAVERSAL_RANGE = 2.5  # standard deviations of the prior, to either side
NUM_TRAVERSALS = 4
MAX_PEAK = 0.99


class Sound(NamedTuple):
    """A clip, or several in a row."""

    name: str
    audio: np.ndarray  # [T, 1], its peak below 1


def _sound(name: str, *clips: np.ndarray) -> Sound:
    audio = np.concatenate(clips)
    return Sound(name, audio * np.float32(min(1.0, MAX_PEAK / max(float(np.abs(audio).max()), 1e-9))))


def one_of_each(digits: Digits) -> np.ndarray:
    """Rows of one clip for every digit of the first speaker, in order."""
    rows = np.flatnonzero(digits.speaker == sorted(digits.speaker.tolist())[0])
    return rows[np.unique(digits.digit[rows], return_index=True)[1]]


def reconstructions(vae: DigitVAE, clips: np.ndarray, names: list[str], seed: int) -> list[Sound]:
    """Each clip as it was, reconstructed with its own phases, and reconstructed by Griffin-Lim."""
    magnitude = vae.decode_magnitude(vae.mean(clips))
    phased, found = vae.with_phases(magnitude, clips), vae.without_phases(magnitude, seed)
    versions = (("original", clips), ("original_phase", phased), ("griffin_lim", found))
    return [_sound(f"reconstruction/{name}/{kind}", clip[i]) for i, name in enumerate(names) for kind, clip in versions]


def prior_samples(vae: DigitVAE, count: int, seed: int) -> list[Sound]:
    """Latents from N(0, 1)."""
    z = host_rng(seed, "digits/samples").standard_normal((count, vae.vae.latent_dim)).astype(np.float32)
    return [_sound(f"sample/{i}", clip) for i, clip in enumerate(_speak(vae, z, seed))]


def _speak(vae: DigitVAE, z: np.ndarray, seed: int) -> np.ndarray:
    return vae.without_phases(vae.decode_magnitude(z), seed)


def interpolations(vae: DigitVAE, clips: np.ndarray, digit: np.ndarray, seed: int) -> list[Sound]:
    """Straight lines between the latents of two digits of one speaker, first to last and the two in the middle."""
    means, sounds = vae.mean(clips), []
    last = len(digit) - 1
    for first, second in dict.fromkeys([(0, last), (last // 3, 2 * last // 3)]):
        weight = np.linspace(0.0, 1.0, NUM_STEPS, dtype=np.float32)[:, None]
        z = (1.0 - weight) * means[first] + weight * means[second]
        sounds.append(_sound(f"interpolation/{digit[first]}_to_{digit[second]}", *_speak(vae, z, seed)))
    return sounds


def traversals(vae: DigitVAE, clip: np.ndarray, dimensions: list[int], seed: int) -> list[Sound]:
    """One latent dimension of a clip `[T, 1]` from one end of the prior to the other, the others kept."""
    base, sounds = vae.mean(clip[None]), []
    for dimension in dimensions:
        z = np.repeat(base, NUM_STEPS, axis=0)
        z[:, dimension] = np.linspace(-TRAVERSAL_RANGE, TRAVERSAL_RANGE, NUM_STEPS)
        sounds.append(_sound(f"traversal/z{dimension}", *_speak(vae, z, seed)))
    return sounds


def show_some(vae: DigitVAE, valid: Digits, config: Config, step: int, writer: MetricWriter) -> None:
    """Writes a few reconstructions and samples at an evaluation, as sounds and pictures."""
    rows = one_of_each(valid)[: config.eval.num_media]
    sounds = reconstructions(vae, all_clips(valid)[rows], [str(valid.digit[row]) for row in rows], config.seed)
    _write(sounds + prior_samples(vae, config.eval.num_media, config.seed), vae.sample_rate, step, writer)
    for start in range(0, len(sounds), 3):
        panels = {sound.name.split("/")[-1]: sound.audio for sound in sounds[start : start + 3]}
        pixels = spectrogram_panels(panels, vae.sample_rate, vae.vae.window_samples, vae.vae.hop_samples)
        writer.image(step, f"digits/{sounds[start].name.rsplit('/', 1)[0]}", pixels)


def write_all(
    vae: DigitVAE, test: Digits, config: Config, workdir: Path, step: int, writer: MetricWriter
) -> list[Path]:
    """At the end: everything as wav below `workdir/audio`, the same on the writer, and one picture.

    Args:
        vae: trained.
        test: clips of held-out speakers.
        config: resolved, of the run.
        workdir: of the run.
        step: that the writer shows.
        writer: gets the same sounds.

    Returns:
        The files.
    """
    rows, seed = one_of_each(test), config.seed
    clips, digit = all_clips(test)[rows], test.digit[rows]
    rebuilt = reconstructions(vae, clips, [str(i) for i in digit], seed)
    samples = prior_samples(vae, config.digits.num_samples, seed)
    between = interpolations(vae, clips, digit, seed)
    dimensions = active_dimensions(vae.mean(all_clips(test)))[:NUM_TRAVERSALS]
    along = traversals(vae, clips[0], dimensions, seed)
    sounds = rebuilt + samples + between + along
    _write(sounds, vae.sample_rate, step, writer)
    paths = [workdir / "audio" / f"{sound.name.replace('/', '_')}.wav" for sound in sounds]
    for path, sound in zip(paths, sounds):
        write_audio(path, sound.audio, vae.sample_rate, subtype="PCM_16")

    def row(chosen: list[Sound]) -> list[np.ndarray]:
        return [sound.audio for sound in chosen]

    grid = {
        "test speaker": row(rebuilt[0::3]),
        "reconstructed": row(rebuilt[2::3]),
        "from the prior": row(samples),
        f"from {digit[0]} to {digit[-1]}": np.split(between[0].audio, NUM_STEPS),
    }
    pixels = spectrogram_grid(grid, vae.sample_rate, vae.vae.window_samples, vae.vae.hop_samples)
    save_png(workdir / "result.png", pixels)
    writer.image(step, "digits/result", pixels)
    return paths


def _write(sounds: list[Sound], sample_rate: int, step: int, writer: MetricWriter) -> None:
    for sound in sounds:
        writer.audio(step, f"digits/{sound.name}", sound.audio, sample_rate)
