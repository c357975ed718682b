"""Every built-in: complete table, pure renders, finite at every rate, stereo as two channels."""

import inspect
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pedalboard
import pytest

from dafxvae.effects.builtins import BUILTINS, NOT_EFFECTS
from dafxvae.effects.factory import open_host
from dafxvae.effects.spec import EffectSpec
from dafxvae.effects.units import BuiltinUnit, make_builtin, process

SAMPLE_RATES = (16000, 22050, 24000, 44100, 48000)
IMPULSE = np.exp(-np.arange(2000) / 300).astype(np.float32) * np.random.default_rng(9).standard_normal(2000)


@pytest.fixture(scope="module")
def impulse_response(tmp_path_factory):
    path = tmp_path_factory.mktemp("ir") / "room.wav"
    with pedalboard.io.AudioFile(str(path), "w", 24000, 1) as file:
        file.write((0.1 * IMPULSE).astype(np.float32)[None])
    return str(path)


@pytest.fixture(params=sorted(BUILTINS))
def effect(request, impulse_response):
    name = request.param
    return f'{name}(impulse_response_filename="{impulse_response}")' if name == "Convolution" else name


def clip(seed, num_samples=9000, channels=1):
    rng = np.random.default_rng(seed)
    audio = 0.2 * rng.standard_normal((1, num_samples, channels)).astype(np.float32)
    audio[:, num_samples // 3 : num_samples // 2] = 0
    return audio


def test_the_table_holds_every_plugin_of_the_package():
    classes = {
        name
        for name, value in vars(pedalboard).items()
        if inspect.isclass(value) and issubclass(value, pedalboard.Plugin) and not name.startswith("_")
    }
    assert classes <= set(BUILTINS) | set(NOT_EFFECTS)
    assert set(BUILTINS) <= classes


@pytest.mark.parametrize("name", sorted(set(BUILTINS) - {"Convolution"}))
def test_the_table_holds_every_parameter_with_pedalboards_default(name):
    plugin = getattr(pedalboard, name)()
    properties = {
        key
        for key in dir(type(plugin))
        if isinstance(getattr(type(plugin), key), property) and key not in ("is_effect", "is_instrument")
    }
    parameters = {parameter.name: parameter for parameter in BUILTINS[name].parameters}
    assert set(parameters) == properties
    for key, parameter in parameters.items():
        value = getattr(plugin, key)
        value = getattr(value, "name", value)
        assert parameter.show(parameter.default) == pytest.approx(value) or parameter.kind == "choice"
        if parameter.kind == "choice":
            assert parameter.show(parameter.default) == value
            assert sorted(parameter.labels) == sorted(type(getattr(plugin, key)).__members__)  # the order is ours


def test_renders_repeat_to_the_bit_in_any_order(effect):
    """Between equal renders: other settings, audio, channels and rates, on the same and on the other worker."""
    audio, other = clip(0), clip(1, 5000, 2)
    with open_host(effect, num_workers=1) as one, open_host(effect, num_workers=2) as two:
        unit = one.parameters.sample(np.random.default_rng(2), 4)
        first = [one.render(audio, unit[i : i + 1], 24000) for i in range(4)]
        for i in (3, 1, 1, 0, 2):
            one.render(other, unit[::-1][i : i + 1], 16000)
            np.testing.assert_array_equal(one.render(audio, unit[i : i + 1], 24000), first[i])
        batch = two.render(np.repeat(audio, 8, axis=0), unit[[0, 1, 2, 3, 3, 2, 1, 0]], 24000)
        np.testing.assert_array_equal(batch, np.concatenate(first + first[::-1]))
        assert one.failures.count == two.failures.count == 0


@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_extreme_and_random_settings_stay_finite(effect, sample_rate):
    with open_host(effect, num_workers=1) as host:
        num = len(host.parameters)
        corners = np.random.default_rng(3).integers(0, 2, (6, num))
        unit = np.concatenate(
            [np.zeros((1, num)), np.ones((1, num)), corners, host.parameters.sample(np.random.default_rng(4), 6)]
        )
        out = host.render(np.repeat(clip(5, 3000), len(unit), axis=0), unit, sample_rate)
        assert host.failures.last == ()
        assert np.isfinite(out).all()
        assert np.abs(out).max() < 100.0


def test_fresh_instance_is_what_makes_reverb_pure():
    """The reason for a fresh instance: a used one glides from its last settings, reset or not."""
    unit = make_builtin(EffectSpec("Reverb"))
    audio = clip(0)[0]
    low, high = np.array([0.2, 0.1, 0.3, 0.8, 0.9]), np.array([0.9, 0.9, 0.9, 0.1, 0.1])
    used = unit.instance(high, 24000)
    process(used, audio, 24000)
    for parameter, value in zip(unit.parameters, low, strict=True):
        setattr(used, parameter.name, value)
    assert not np.array_equal(process(used, audio, 24000), process(unit.instance(low, 24000), audio, 24000))


def test_stereo_is_two_channels_not_two_items(effect):
    """Left and right may be linked, but silence on the right stays quiet unless the effect crosses over."""
    stereo = np.concatenate([clip(6), clip(7)], axis=2)
    with open_host(effect, num_workers=1) as host:
        out = host.render(stereo, host.parameters.default_unit[None], 24000)
        again = host.render(stereo[..., ::-1].copy(), host.parameters.default_unit[None], 24000)
        assert out.shape == stereo.shape
        if effect != "Reverb":  # Freeverb's two sides are tuned apart
            np.testing.assert_allclose(out, again[..., ::-1], atol=1e-5)


@pytest.mark.parametrize(("num_samples", "channels"), [(0, 1), (1, 1), (1, 2), (2, 2), (3, 2)])
def test_tiny_clips_keep_their_shape(num_samples, channels):
    audio = np.full((1, num_samples, channels), 0.5, np.float32)
    audio[..., -1] *= 0.5
    with open_host("Gain | Invert", num_workers=1) as host:
        out = host.render(audio, np.full((1, 1), 0.5), 24000)
    np.testing.assert_allclose(out, -audio)


def test_latency_is_compensated():
    """A lookahead limiter below its ceiling delays by its lookahead, were it not compensated."""
    audio = 0.1 * clip(8)
    with open_host("BrickwallLimiter(lookahead_ms=10) | Gain(gain_db=0)", num_workers=1) as host:
        out = host.render(audio, host.parameters.default_unit[None], 24000)
    np.testing.assert_allclose(out, audio, atol=1e-6)


def test_a_codec_with_global_tables_renders_once_while_it_is_opened(monkeypatch):
    rendered = []
    monkeypatch.setattr(BuiltinUnit, "instance", lambda self, *_: lambda audio, _: rendered.append(self.label))
    for name in ("MP3Compressor", "Gain"):
        make_builtin(EffectSpec(name))
    assert rendered == ["MP3Compressor"]


@pytest.mark.parametrize("attempt", range(3))
def test_first_renders_of_an_mp3_codec_on_several_threads_do_not_crash(attempt):
    """In processes of their own: LAME's tables are filled once a process."""
    code = (
        "import threading, numpy as np\n"
        "from dafxvae.effects.spec import parse_chain\n"
        "from dafxvae.effects.units import make_builtin\n"
        "unit, barrier = make_builtin(parse_chain('MP3Compressor')[0]), threading.Barrier(4)\n"
        "clip = 0.3 * np.random.default_rng(0).standard_normal((1, 65536)).astype(np.float32)\n"
        "def render():\n"
        "    barrier.wait()\n"
        "    unit.instance(np.array([2.0]), 24000)(clip, 24000)\n"
        "threads = [threading.Thread(target=render) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


def test_neighbouring_modes_of_the_ladder_sound_alike():
    noise = np.random.default_rng(0).standard_normal((1, 32768)).astype(np.float32) * 0.1
    modes = next(each.labels for each in BUILTINS["LadderFilter"].parameters if each.name == "mode")
    plugins = [pedalboard.LadderFilter(getattr(pedalboard.LadderFilter.Mode, mode), cutoff_hz=1000.0) for mode in modes]
    spectra = [np.abs(np.fft.rfft(plugin.process(noise, 24000.0)[0]))[1:].reshape(-1, 64).mean(1) for plugin in plugins]
    levels = np.log(np.stack(spectra))

    def way(order: Sequence[int]) -> float:
        """From the first to the last mode."""
        return float(np.abs(np.diff(levels[list(order)], axis=0)).mean(1).sum())

    assert way(range(len(modes))) < 1.02 * min(way(order) for order in permutations(range(len(modes))))


# One gain for both channels; codecs that join them or mix them to one; one time scale for both; a room.
JOINT = {"BrickwallLimiter", "GSMFullRateCompressor", "MP3Compressor", "PitchShift", "Reverb"}


def test_which_effects_hear_both_channels(effect):
    with open_host(effect, num_workers=1) as host:
        units = np.random.default_rng(8).random((1, 4, len(host.parameters))).astype(np.float32)
        units = host.parameters.quantise(units)
        both = (np.concatenate([4 * clip(6), clip(7)], axis=2) * np.linspace(0, 1, 9000)[:, None]).astype(np.float32)
        joined = host.render_variants(both, units, 44100)
        alone = [host.render_variants(both[..., [channel]], units, 44100) for channel in (0, 1)]
        assert np.array_equal(joined, np.concatenate(alone, axis=3)) is (host.name not in JOINT)
        equal = host.render_variants(both[..., [0, 0]], units, 44100)
        assert np.array_equal(equal[..., 0], equal[..., 1]) is (host.name != "Reverb")


def test_the_brickwall_limiter_is_linked():
    wave = np.sin(np.arange(44100) / 30)
    audio = np.stack([2.0 * wave, 0.2 * wave], axis=1)[None].astype(np.float32)
    with open_host("BrickwallLimiter", num_workers=1) as host:
        out = host.render(audio, host.parameters.default_unit[None], 44100)
    left, right = np.sqrt(np.mean(np.square(out / np.abs(audio).max((0, 1))), axis=(0, 1)))
    assert left < 0.5
    assert left == pytest.approx(right, rel=1e-3)


def test_a_stereo_impulse_response_makes_the_channels_of_a_mono_recording_differ(tmp_path):
    with pedalboard.io.AudioFile(str(tmp_path / "wide.wav"), "w", 24000, 2) as file:
        file.write(0.1 * np.stack([IMPULSE, IMPULSE[::-1]]))
    with open_host(f"Convolution(impulse_response_filename='{tmp_path / 'wide.wav'}')", num_workers=1) as host:
        out = host.render(clip(6)[..., [0, 0]], np.ones((1, len(host.parameters)), np.float32), 24000)
    assert np.abs(out[..., 0] - out[..., 1]).max() > 0.1
