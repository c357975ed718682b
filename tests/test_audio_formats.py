"""The depth and the tags that a file that is written keeps of a recording."""

import numpy as np
import pytest
import soundfile

from dafxvae.audio.formats import kept_subtype
from dafxvae.audio.io import AudioReader, audio_writer

TAGS = {"title": "Été", "artist": "A", "album": "B", "date": "2020", "comment": "c", "genre": "g"}


@pytest.mark.parametrize(
    ("name", "subtype", "kept"),
    [
        ("a.wav", "PCM_16", "PCM_16"),
        ("a.wav", "PCM_24", "PCM_24"),
        ("a.wav", "DOUBLE", "DOUBLE"),
        ("a.wav", "PCM_U8", "PCM_16"),
        ("a.wav", "VORBIS", None),
        ("a.flac", "PCM_16", "PCM_16"),
        ("a.flac", "FLOAT", None),  # 24 bits are its most
        ("a.aiff", "FLOAT", "FLOAT"),
        ("a.mp3", "PCM_16", None),
    ],
)
def test_a_format_keeps_the_depth_that_it_can_hold(name, subtype, kept):
    assert kept_subtype(name, subtype) == kept


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("a.wav", set()),
        ("a.flac", set()),
        ("a.ogg", set()),
        ("a.aiff", {"album", "date", "genre"}),
        ("a.mp3", {"title"}),  # it is not ASCII
    ],
)
def test_tags_are_kept_as_far_as_the_format_has_them(tmp_path, name, lost):
    with soundfile.SoundFile(tmp_path / "take.flac", "w", 48000, 1) as file:
        for tag, text in TAGS.items():
            setattr(file, tag, text)
        file.write(np.zeros(4800))
    with (
        AudioReader(tmp_path / "take.flac") as take,
        audio_writer(tmp_path / name, 48000, 1, 4800, tags=take.tags) as write,
    ):
        write(take.read(0, 4800))
    with AudioReader(tmp_path / name) as written:
        assert {tag: text for tag, text in written.tags.items() if text and tag != "software"} == {
            tag: text for tag, text in TAGS.items() if tag not in lost
        }
