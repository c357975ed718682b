"""Real VST3 plugins: parameters, exact settings, pure renders, and all that plugins do wrong."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from effects_vst3 import build_trouble, zam
from scipy.signal import lfilter

from dafxvae.core.errors import EffectError, UserError
from dafxvae.effects.bank import open_bank
from dafxvae.effects.factory import open_host
from dafxvae.effects.playback import ChainStream
from dafxvae.effects.vst3.process import Limits

pytestmark = pytest.mark.vst3
QUICK = Limits(trial_sec=2.0, render_sec=1.5, render_ratio=0.0)
RNG = np.random.default_rng(0)
AUDIO = (0.2 * RNG.standard_normal((4, 9000, 1))).astype(np.float32)
SAMPLE_RATE = 24000


@pytest.fixture(scope="module")
def trouble(tmp_path_factory):
    return build_trouble(tmp_path_factory.getbasetemp())


def expected(audio, cutoff_hz, voices, sign=1.0):
    a = np.exp(-2 * np.pi * cutoff_hz / SAMPLE_RATE)
    return sign * voices * lfilter([1 - a], [1, -a], audio.astype(np.float64), axis=1)


def test_parameters_of_every_kind(trouble):
    with open_host(trouble, num_workers=1) as host:
        found = {p.name: (p.kind, p.unit, p.scale, p.minimum, p.maximum, p.num_values) for p in host.parameters}
        labels = next(p.labels for p in host.parameters if p.name == "mode")
    assert found["cutoff_hz"] == ("continuous", "Hz", "log", 20.0, 20000.0, 0)
    assert found["voices"] == ("stepped", "", "linear", 1.0, 8.0, 8)
    assert found["invert"] == ("boolean", "", "linear", 0, 1, 2)
    assert found["mode"] == ("choice", "", "linear", 0, 2, 3)
    assert labels == ("Clean", "Soft", "Hard")
    assert not {"bypass", "level_meter_db", "latency_frames"} & set(found)  # fixed by default; a meter; the host's


@pytest.mark.parametrize("channels", [1, 2])
def test_settings_reach_the_plugin_exactly_and_latency_is_compensated(trouble, channels):
    audio = np.repeat(AUDIO, channels, axis=2) * np.array([1.0, 0.3], np.float32)[:channels]
    with open_host(f"{trouble}(cutoff_hz, voices, invert)", num_workers=2) as host:
        unit = host.parameters.sample(RNG, 4)
        unit[:, 0] *= 0.8  # below the clamp at .45 of the sample rate
        out = host.render(audio, unit, SAMPLE_RATE)
        assert host.chain.units[0].latency_samples == 64
        assert host.failures.last == ()
    for b, (cutoff_hz, voices, invert) in enumerate(host.parameters.to_physical(unit)):
        wanted = expected(audio[b : b + 1], cutoff_hz, voices, -1.0 if invert else 1.0)
        np.testing.assert_allclose(out[b], wanted[0], atol=2e-5)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_latency_above_the_blocks_of_pedalboard_is_compensated(tmp_path_factory, channels):
    """By renders and by streams, at the beginning and to the end."""
    late = build_trouble(tmp_path_factory.getbasetemp(), latency=44100)
    audio = (0.3 * np.random.default_rng(0).standard_normal((1, 100_000, channels))).astype(np.float32)
    with open_host(f"{late}(cutoff_hz)", num_workers=1) as host:
        unit = host.parameters.from_values({"cutoff_hz": 1000.0})
        wanted = expected(audio, 1000.0, 1)
        assert host.chain.units[0].latency_samples == 44100
        np.testing.assert_allclose(host.render(audio, unit[None], SAMPLE_RATE), wanted, atol=1e-6)
        np.testing.assert_allclose(host.render(audio[:, :9000], unit[None], SAMPLE_RATE), wanted[:, :9000], atol=1e-6)
        with ChainStream(host.chain, unit, SAMPLE_RATE, channels, audio.shape[1], host.pool.limits) as stream:
            streamed = np.concatenate(list(stream.play(iter([audio[0]]))))
        np.testing.assert_allclose(streamed, wanted[0], atol=1e-6)


def test_frequencies_above_nyquist_are_clamped(trouble):
    with open_host(f"{trouble}(cutoff_hz)", num_workers=1) as host:
        out = host.render(AUDIO, np.ones((4, 1)), SAMPLE_RATE)
    np.testing.assert_allclose(out, expected(AUDIO, 0.45 * SAMPLE_RATE, 1), atol=1e-5)


def test_fixed_values_choices_and_bypass_by_name(trouble):
    with open_host(f"{trouble}(-, cutoff_hz=500, mode=Hard, voices=8)", num_workers=1) as host:
        unit = np.zeros((4, 0), np.float32)
        wanted = np.clip(expected(AUDIO, 500, 8), -0.1, 0.1)
        np.testing.assert_allclose(host.render(AUDIO, unit, SAMPLE_RATE), wanted, atol=1e-5)
    with open_host(f"{trouble}(-, bypass=on)", num_workers=1) as host:
        assert len(host.parameters) == 0


def test_chain_of_mixed_origin_is_the_composition_of_its_parts(trouble):
    names = ["Distortion(drive_db)", f"{trouble}(cutoff_hz)", "Compressor | Gain"]
    with open_bank(names, num_workers=1) as bank, open_host(" | ".join(names), num_workers=2) as chain:
        assert chain.parameters.names[:2] == ("Distortion.drive_db", "Trouble.cutoff_hz")
        unit = np.repeat(chain.parameters.sample(RNG, 4)[:, None], 4, axis=1)
        unit[:, 1, 0] *= 0.99
        unit[:, 2, 1] *= 0.99
        unit[:, 3, -1] *= 0.99
        together = chain.render_variants(AUDIO, unit, SAMPLE_RATE)
        for r in range(4):
            audio = AUDIO
            for i in range(3):
                audio = bank.hosts[i].render(audio, unit[:, r, bank.columns(i)], SAMPLE_RATE)
            np.testing.assert_array_equal(together[:, r], audio)
        assert chain.failures.count == 0


def test_memory_grows_with_the_clip(trouble):
    long = (0.2 * np.random.default_rng(1).standard_normal((1, 400_000, 2))).astype(np.float32)
    with open_host(f"{trouble}(cutoff_hz)", num_workers=1) as host:
        host.render(AUDIO, np.full((4, 1), 0.5), SAMPLE_RATE)
        out = host.render(long, np.full((1, 1), 0.5), SAMPLE_RATE)
        cutoff_hz = host.parameters.to_physical(np.full((1, 1), 0.5))[0, 0]
    np.testing.assert_allclose(out, expected(long, cutoff_hz, 1), atol=2e-5)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("crash", "crashed its process while rendering: SIGSEGV"),
        ("throw", "crashed its process|threw"),
        ("nan", "NaN or inf"),
        ("hang", "did not answer within 1.5 s of rendering: its process was killed"),
    ],
)
def test_a_fault_costs_one_render(trouble, fault, reason):
    with open_host(f"{trouble}(cutoff_hz, {fault})", num_workers=2, limits=QUICK) as host:
        unit = np.array([[0.5, 0], [0.5, 0], [0.5, 1], [0.5, 0]], np.float32)
        for _ in range(2):
            out = host.render(AUDIO, unit, SAMPLE_RATE)
            assert np.isnan(out[2]).all()
            assert np.isfinite(out[[0, 1, 3]]).all()
        assert host.failures.count == 2
        failure = host.failures.last[-1]
        assert re.search(reason, failure.reason), failure
        assert failure.reason.startswith("Trouble ")
        assert failure.settings[fault] is True
        host.failures.check()


def test_failures_in_a_row_stop_the_run_by_name(trouble):
    with open_host(f"Gain | {trouble}(cutoff_hz, nan=on)", num_workers=2) as host:
        unit = np.full((4, 2), 0.5, np.float32)
        for _ in range(4):
            assert np.isnan(host.render(AUDIO, unit, SAMPLE_RATE)).all()
        with pytest.raises(EffectError, match=r"Trouble.*cutoff_hz=632\.4.*NaN"):
            host.failures.check()


@pytest.mark.parametrize(
    ("fixed", "method", "pure"),
    [("glide=off", "reset", True), ("glide=on", "pre-roll", True), ("sticky=on", "reload", True)],
)
def test_the_cheapest_pure_method_is_found(trouble, fixed, method, pure):
    with open_host(f"{trouble}(cutoff_hz, invert, {fixed})", num_workers=2) as host:
        unit = host.chain.units[0]
        assert (unit.method, unit.residual == 0) == (method, pure)
        settings = host.parameters.sample(RNG, 4)
        first = host.render(AUDIO, settings, SAMPLE_RATE)
        np.testing.assert_array_equal(host.render(AUDIO[::-1], settings[::-1], SAMPLE_RATE)[::-1], first)


def test_each_process_loads_once_and_is_replaced_after_a_crash(trouble):
    with open_host(f"{trouble}(cutoff_hz, crash)", num_workers=1, limits=QUICK) as host:
        process = host.pool._state.workers[0].resource
        for crash in (0, 0, 1, 0, 0):
            host.render(AUDIO[:1], np.array([[0.5, crash]]), SAMPLE_RATE)
        assert process.num_started == 1 + 1 + 1  # at first, after the trial of random settings, after our crash
        host.close()
        assert process.pid is None


def test_names_that_do_not_exist(trouble, tmp_path):
    with pytest.raises(UserError, match=r"Trouble\.vst3"):
        open_host(trouble.replace("Trouble", "Troubel"))
    with pytest.raises(UserError, match="cutoff_hz"):
        open_host(f"{trouble}(cutof_hz)")
    with pytest.raises(UserError, match=r"no plugin of .* called 'Nobody': known: Trouble"):
        open_host(f"{trouble}::Nobody")
    broken = tmp_path / "broken.vst3"
    broken.write_bytes(b"not a plugin")
    with pytest.raises(UserError, match=r"broken.vst3 cannot be loaded"):
        open_host(str(broken))


def test_one_plugin_of_a_file_by_name(trouble):
    with open_host(f"{trouble}::Trouble(cutoff_hz) | Gain", num_workers=1) as host:
        assert host.parameters.names == ("Trouble.cutoff_hz", "Gain.gain_db")


SCRIPT = """
import sys, threading, time, numpy as np
from dafxvae.effects.factory import open_host
host = open_host(sys.argv[1], num_workers=1)
threading.Timer(0.5, lambda: print(host.pool._state.workers[0].resource.pid, flush=True)).start()
host.render(np.ones((1, 9000, 1), np.float32), np.full((1, 1), 0.5), 24000)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_orphan_however_the_run_ends(trouble, how):
    """The plugin hangs in a render while the parent is interrupted, terminated or killed."""
    effect = f"{trouble}(cutoff_hz, hang=on)"
    host_script = SCRIPT.replace("num_workers=1)", "num_workers=1, limits=LIMITS)").replace(
        "\nhost =",
        "\nfrom dafxvae.effects.vst3.process import Limits\nLIMITS = Limits(trial_sec=1.0, render_sec=60.0)\nhost =",
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", host_script, effect], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
        assert alive(child)
        with open(f"/proc/{child}/maps") as file:
            memory_file = re.findall(r"/.*/dafxvae-\w+", file.read())[0]
        parent.send_signal(how)
        parent.wait(timeout=30)
    for _ in range(200):
        if not alive(child):
            break
        time.sleep(0.05)
    assert not alive(child)
    assert not os.path.exists(memory_file)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_child_never_imports_jax():
    code = "import dafxvae.effects.vst3.worker, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ)).returncode == 0


def test_a_plugin_that_hangs_on_loading_is_a_user_error():
    with pytest.raises(UserError, match=r"ZamVerb.*did not answer within 2 s of loading it"):
        open_host(zam("ZamVerb"), num_workers=1, limits=Limits(load_sec=2.0))
