"""Spoken digits by espeak-ng, where it is installed: its voices in several accents, pitches and speeds."""

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dafxvae.audio.io import read_audio
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng

VERSION = 1  # raise it when voices or takes change: caches of other versions are left alone
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
VOICES = """
f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee
Marco Mario Michael Mike Mr adam anika antonio aunty belinda benjamin boris caleb david ed edward edward2 grandma
grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 linda marcelo max michel miguel norbert pablo
paul pedro quincy rob robert sandro shelby steph steph2 steph3 travis victor zac
"""  # of those that come with espeak-ng, the ones that pass for people: no robots, no whispering
TIMEOUT_SEC = 60.0


class EspeakSpeaker(NamedTuple):
    """One voice."""

    name: str
    voice: str  # as espeak-ng takes it
    pitch: int  # 0 to 99
    words_per_minute: int


def espeak_installed() -> bool:
    """Whether the command is on PATH."""
    return shutil.which("espeak-ng") is not None


def _run(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["espeak-ng", *arguments], capture_output=True, text=True, timeout=TIMEOUT_SEC, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"cannot run espeak-ng ({error}): --config.digits.synthesiser=formants does without") from error
    if result.returncode:
        reason = result.stderr.strip() or f"code {result.returncode}"
        raise UserError(f"espeak-ng failed ({reason}): --config.digits.synthesiser=formants does without")
    return result.stdout


@functools.cache
def espeak_version() -> str:
    """Such as "1.51"."""
    found = re.search(r"\d+(\.\d+)+", _run("--version"))
    return found[0] if found else "unknown"


def espeak_speakers(count: int, seed: int) -> list[EspeakSpeaker]:
    """`count` speakers with a voice of their own each: no two share one, so that splits by speaker are honest.

    Args:
        count: at most the number of voices that espeak-ng has here (about 70).
        seed: draws accent, pitch and speed.

    Raises:
        UserError: more speakers than voices.
    """
    there = set(re.findall(r"!v/(\S+)", _run("--voices=variant")))
    variants = [name for name in VOICES.split() if name in there]
    if count > len(variants):
        raise UserError(f"espeak-ng has {len(variants)} voices here: digits.num_speakers must not be {count}")
    found = []
    for index, variant in enumerate(variants[:count]):
        rng = host_rng(seed, "espeak/speaker", index)
        accent = ACCENTS[int(rng.integers(len(ACCENTS)))]
        pitch, speed = int(rng.integers(30, 71)), int(rng.integers(130, 191))
        found.append(EspeakSpeaker(f"{variant}-{accent}", f"{accent}+{variant}", pitch, speed))
    return found


def say_with_espeak(digit: int, speaker: EspeakSpeaker, take: int, seed: int, sample_rate: int) -> np.ndarray:
    """One take of a digit; takes differ in pitch and speed.

    Args:
        digit: 0 to 9.
        speaker: from `espeak_speakers`.
        take: number of the take.
        seed: of the takes.
        sample_rate: Hz.

    Returns:
        float32 `[T, 1]`, with the silence that espeak-ng leaves around a word.
    """
    rng = host_rng(seed, f"espeak/{speaker.name}", digit, take)
    pitch = speaker.pitch + int(rng.integers(-8, 9))
    speed = round(speaker.words_per_minute * rng.uniform(0.9, 1.1))
    with tempfile.TemporaryDirectory(prefix="dafxvae-espeak-") as folder:
        path = Path(folder) / "digit.wav"
        _run("-v", speaker.voice, "-p", str(pitch), "-s", str(speed), "-w", str(path), WORDS[digit])
        audio, _ = read_audio(path, sample_rate, 1)
    return audio
