"""Random release chains: what turns a recording into what people have as a reference, a mastered and encoded one."""

import numpy as np

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz
GSM_MIN_RATE = 8000  # Hz
LOUDNESS_DBFS = (-22.0, -8.0)  # RMS that the limiter is driven to
MAX_DRIVE_DB = 36.0
PEAK_DBFS = (-6.0, -0.3)  # of the result, before noise
NOISE_DBFS = (-80.0, -50.0)  # RMS of the noise floor


def master(audio: np.ndarray, seed: int, sample_rate: int) -> np.ndarray:
    """Equalise, compress, limit, band-limit, encode and decode a recording by a chain drawn from the seed.

    Args:
        audio: float32 `[T, C]`.
        seed: of the chain; the same bits for the same arguments.
        sample_rate: Hz.

    Returns:
        float32 `[T, C]`, within ±1; silence stays silent but for the noise floor.
    """
    import pedalboard  # heavy, and most runs master nothing
    from pedalboard._pedalboard import Pedalboard

    rng = np.random.default_rng(seed)
    nyquist_hz = 0.49 * sample_rate
    level_db = _rms_db(audio)

    def below_nyquist(low_hz: float, high_hz: float) -> float:
        return float(min(np.exp(rng.uniform(np.log(low_hz), np.log(high_hz))), nyquist_hz))

    chain = Pedalboard([pedalboard.HighpassFilter(below_nyquist(10.0, 90.0))])
    chain.append(pedalboard.LowShelfFilter(below_nyquist(80.0, 400.0), rng.normal(0.0, 3.0)))
    chain.append(pedalboard.PeakFilter(below_nyquist(250.0, 4000.0), rng.normal(0.0, 2.5), rng.uniform(0.4, 1.5)))
    chain.append(pedalboard.HighShelfFilter(below_nyquist(2000.0, 9000.0), rng.normal(1.0, 3.0)))
    if rng.random() < 0.7:
        threshold_db, ratio = level_db + rng.uniform(-6.0, 6.0), rng.uniform(1.5, 4.0)
        chain.append(pedalboard.Compressor(threshold_db, ratio, rng.uniform(3.0, 40.0), rng.uniform(50.0, 400.0)))
    drive_db = min(rng.uniform(*LOUDNESS_DBFS) - level_db, MAX_DRIVE_DB)
    chain.append(pedalboard.Gain(drive_db))
    chain.append(pedalboard.Limiter(rng.uniform(-6.0, -0.5), rng.uniform(30.0, 300.0)))
    if rng.random() < 0.3:
        low_pass_hz = below_nyquist(4000.0, 16000.0)
        for _ in range(rng.integers(1, 5)):
            chain.append(pedalboard.LowpassFilter(low_pass_hz))
    codec = rng.random()
    if codec < 0.35 and sample_rate in MP3_RATES:
        chain.append(pedalboard.MP3Compressor(vbr_quality=rng.uniform(2.0, 9.9)))
    elif codec > 0.97 and sample_rate >= GSM_MIN_RATE:
        chain.append(pedalboard.GSMFullRateCompressor(quality=pedalboard.Resample.Quality.Linear))
    mastered = np.asarray(chain(np.ascontiguousarray(audio.T), sample_rate), np.float32).T
    mastered *= np.float32(10.0 ** (rng.uniform(*PEAK_DBFS) / 20.0) / max(float(np.abs(mastered).max()), 1e-3))
    if rng.random() < 0.3:
        noise_rms = np.float32(10.0 ** (rng.uniform(*NOISE_DBFS) / 20.0))
        mastered += noise_rms * rng.standard_normal(mastered.shape, np.float32)
    return mastered


def _rms_db(audio: np.ndarray) -> float:
    samples = audio.ravel()
    return 10.0 * float(np.log10(float(np.dot(samples, samples)) / max(samples.size, 1) + 1e-12))
