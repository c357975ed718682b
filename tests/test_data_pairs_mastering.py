import numpy as np
import pytest
from test_data_pairs_stream import GainBank

from dafxvae.core.rng import host_rng
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.data.pairs.mastering import PEAK_DBFS, master
from dafxvae.data.pairs.stream import PairOptions, fixed_pairs, make_pairs

RATE, SAMPLES = 24000, 24000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return open_corpus(folder=None, sample_rate=RATE, num_channels=1, minutes=0.3, seed=0, cache=cache, progress=False)


def noise(level, frames=SAMPLES, channels=1):
    return (level * host_rng(0, "tests/mastering").standard_normal((frames, channels))).astype(np.float32)


def crest_db(audio):
    return 20 * np.log10(np.abs(audio).max() / np.sqrt(np.mean(audio**2)))


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (24000, 2), (44100, 1), (96000, 1)])
def test_a_master_is_a_function_of_its_seed(rate, channels):
    audio = noise(0.05, channels=channels)
    for seed in range(12):
        mastered = master(audio, seed, rate)
        np.testing.assert_array_equal(mastered, master(audio, seed, rate))
        assert mastered.shape == audio.shape
        assert mastered.dtype == np.float32
        assert PEAK_DBFS[0] - 0.1 <= 20 * np.log10(np.abs(mastered).max()) <= 0.0
    assert not np.array_equal(master(audio, 1, rate), master(audio, 2, rate))


def test_masters_are_loud_dense_and_of_many_colours():
    audio = noise(0.01) * np.geomspace(1.0, 0.05, SAMPLES, dtype=np.float32)[:, None]
    made = [master(audio, seed, RATE) for seed in range(60)]
    levels_db = [20 * np.log10(np.sqrt(np.mean(each**2))) for each in made]
    assert np.median(levels_db) > 20 * np.log10(0.01) + 15
    assert np.mean([crest_db(each) < crest_db(audio) - 2 for each in made]) > 0.6
    bands_db = [
        [10 * np.log10(part.mean()) for part in np.array_split(np.abs(np.fft.rfft(each[:, 0])) ** 2, 6)]
        for each in made
    ]
    assert (np.std(np.asarray(bands_db) - np.mean(bands_db, axis=1, keepdims=True), axis=0) > 1.0).all()


def test_silence_stays_quiet():
    for seed in range(40):
        assert np.abs(master(np.zeros((SAMPLES, 1), np.float32), seed, RATE)).max() < 0.03


def test_shares_of_mastered_and_of_same_clips(corpus, tmp_path):
    options = PairOptions(mastered_share=0.4, same_clip_share=0.3)
    arguments = {"clip_samples": SAMPLES, "seed": 0, "stream": "train"}
    maker = make_pairs(corpus, GainBank(), batch_size=4, options=options, **arguments).maker
    plain = make_pairs(corpus, GainBank(), batch_size=4, **arguments).maker
    draws = [maker.draw(item, 0) for item in range(400)]
    mastered = np.array([draw.reference.mastering is not None for draw in draws])
    same = np.array([draw.reference._replace(mastering=None) == draw.dry._replace(mastering=None) for draw in draws])
    inputs = np.array([draw.dry.mastering is not None for draw in draws])
    assert 0.3 < mastered.mean() < 0.5
    assert 0.2 < same.mean() < 0.4
    assert 0.1 < inputs[mastered].mean() < 0.4
    assert not inputs[~mastered].any()
    for item in np.flatnonzero(~mastered & ~same)[:20]:  # the others are as they were
        ours, theirs = draws[item], plain.draw(int(item), 0)
        assert ours.dry == theirs.dry
        assert ours.reference == theirs.reference
        np.testing.assert_array_equal(ours.unit_params, theirs.unit_params)


def test_mastered_pairs_render_as_their_truth_says_and_are_stored(corpus, tmp_path):
    bank, options = GainBank(), PairOptions(mastered_share=1.0, max_peak=100.0)
    arguments = {"clip_samples": SAMPLES, "num_pairs": 6, "seed": 1, "path": tmp_path / "valid.json"}
    first = fixed_pairs(corpus, bank, options=options, **arguments)
    for a, b in zip(first, fixed_pairs(corpus, bank, **arguments), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(bank.render(first.dry, first.effect, first.unit_params, RATE), first.target)
    maker = make_pairs(corpus, bank, clip_samples=SAMPLES, batch_size=1, seed=1, stream="fixed", options=options).maker
    draw = maker.draw(0, 0)
    batch = maker.render([draw], np.arange(1))
    assert draw.reference.mastering is not None
    plain = np.empty((SAMPLES, 1), np.float32)
    maker.cutter.read(draw.reference._replace(mastering=None), plain)
    mastered = master(plain, draw.reference.mastering, RATE)
    expected = bank.render(mastered[None], batch.effect, batch.unit_params, RATE)
    np.testing.assert_array_equal(batch.reference, expected)
