"""Pedalboard's built-in effects: every parameter with unit, range, default, scale and kind. Data only.

Defaults are Pedalboard's own. It publishes no ranges; where its setters enforce a bound, or JUCE's documentation gives
one, ours lies inside it, and the rest are the ranges that hardware and plugins of the kind offer. Random settings shall
be musical, and finite at every sample rate from 16 kHz: frequencies marked `nyquist_limited` are clamped to
`NYQUIST_SHARE` of the sample rate when rendered (above Nyquist JUCE's filters return inf).
"""

from dataclasses import dataclass, replace

from dafxvae.effects.parameters import Parameter

NYQUIST_SHARE = 0.45  # of the sample rate; bilinear filters lose their shape and precision towards 0.5
RESAMPLERS = (
    *("ZeroOrderHold", "Linear", "CatmullRom", "Lagrange", "WindowedSinc", "WindowedSinc256", "WindowedSinc128"),
    *("WindowedSinc64", "WindowedSinc32", "WindowedSinc16", "WindowedSinc8"),
)
# JUCE's modes, ordered so that neighbours sound alike: a controller gives one number in [0, 1], and may miss by one.
LADDER_MODES = ("LPF24", "LPF12", "BPF12", "BPF24", "HPF12", "HPF24")


@dataclass(frozen=True)
class Builtin:
    """One built-in effect.

    Attributes:
        parameters: all that can be controlled.
        latency: it delays inside a stream (and Pedalboard compensates), so it is rendered in a call of its own.
        resource: the constructor argument that must be given as a fixed value (a file), or "".
        note: what a user should know.
        warm_up: its library fills global tables in the first render of a process, and threads that do so at the same
            time crash the process: one render is made before any other.
        segmented: it cannot go on where its last call ended, so that streams play it in long segments.
    """

    parameters: tuple[Parameter, ...]
    latency: bool = False
    resource: str = ""
    note: str = ""
    warm_up: bool = False
    segmented: bool = False


def _db(name: str, minimum: float, maximum: float, default: float) -> Parameter:
    return Parameter(name, "dB", minimum, maximum, default)


def _ms(name: str, minimum: float, maximum: float, default: float) -> Parameter:
    return Parameter(name, "ms", minimum, maximum, default, scale="log")


def _hz(name: str, minimum: float, maximum: float, default: float, *, limited: bool = True) -> Parameter:
    return Parameter(name, "Hz", minimum, maximum, default, scale="log", nyquist_limited=limited)


def _share(name: str, minimum: float, maximum: float, default: float) -> Parameter:
    return Parameter(name, "", minimum, maximum, default)


def _shelf(low: float, high: float) -> tuple[Parameter, ...]:
    # +-18 dB and these corners: the shelves of mixing consoles. Below q .2 a shelf spans the whole spectrum, above 2 it
    # overshoots like a peak (RBJ cookbook).
    return (
        _hz("cutoff_frequency_hz", low, high, 440.0),
        _db("gain_db", -18.0, 18.0, 0.0),
        Parameter("q", "", 0.2, 2.0, 0.5**0.5, scale="log"),
    )


# LFO slower than .05 Hz: not a period in a clip; faster than 8 Hz: tone rather than movement (JUCE: below 100 Hz).
# Feedback: JUCE allows -1..1, where the loop no longer decays (and grows beyond it); .9 leaves a margin.
LFO = _hz("rate_hz", 0.05, 8.0, 1.0, limited=False)
LOOP = _share("feedback", -0.9, 0.9, 0.0)
QUALITY = Parameter("quality", "", 0, 10, 8, kind="choice", labels=RESAMPLERS, controlled=False)

BUILTINS: dict[str, Builtin] = {
    # Pedalboard: 0..32. Below 2 bits only noise is left, above 16 the effect is inaudible.
    "Bitcrush": Builtin((_share("bit_depth", 2.0, 16.0, 8.0),)),
    # Pedalboard: lookahead in (0, 100] ms, release > 0. Mastering limiters offer 1..20 ms and 10..1000 ms.
    "BrickwallLimiter": Builtin(
        (
            _db("ceiling_db", -24.0, 0.0, -1.0),
            _ms("release_ms", 10.0, 1000.0, 100.0),
            _ms("lookahead_ms", 0.5, 20.0, 5.0),
            Parameter("true_peak", "", 0, 1, 0, kind="boolean"),
        ),
        latency=True,
    ),
    # JUCE: centre delay 1..100 ms; from flanger (1) over chorus (7) to doubling (30).
    "Chorus": Builtin(
        (
            LFO,
            _share("depth", 0.0, 1.0, 0.25),
            _ms("centre_delay_ms", 1.0, 30.0, 7.0),
            LOOP,
            _share("mix", 0.0, 1.0, 0.5),
        )
    ),
    "Clipping": Builtin((_db("threshold_db", -36.0, 0.0, -6.0),)),
    # Hardware compressors: threshold down to -60 dB, ratio to 20 ("limit"), attack .1..100 ms, release 10..1000 ms.
    "Compressor": Builtin(
        (
            _db("threshold_db", -60.0, 0.0, 0.0),
            Parameter("ratio", "", 1.0, 20.0, 1.0, scale="log"),
            _ms("attack_ms", 0.1, 100.0, 1.0),
            _ms("release_ms", 10.0, 1000.0, 100.0),
        )
    ),
    "Convolution": Builtin(
        (_share("mix", 0.0, 1.0, 1.0),),
        latency=True,
        resource="impulse_response_filename",
        note="needs an impulse response: Convolution(impulse_response_filename=room.wav, mix)",
    ),
    # Pedalboard: 0..30 s. 20 ms (slapback) .. 1 s (a beat at 60 per minute); feedback 1 never decays.
    "Delay": Builtin(
        (
            Parameter("delay_seconds", "s", 0.02, 1.0, 0.5, scale="log"),
            _share("feedback", 0.0, 0.9, 0.0),
            _share("mix", 0.0, 1.0, 0.5),
        ),
        note="the delay time is cut to whole samples",
    ),
    "Distortion": Builtin((_db("drive_db", 0.0, 48.0, 25.0),), note="tanh(gain x)"),
    "GSMFullRateCompressor": Builtin(
        (replace(QUALITY, default=10),),
        latency=True,
        segmented=True,
        note="a codec; only its resampler can be chosen",
    ),
    "Gain": Builtin((_db("gain_db", -24.0, 24.0, 1.0),)),
    "HighShelfFilter": Builtin(_shelf(400.0, 16000.0)),
    "HighpassFilter": Builtin((_hz("cutoff_frequency_hz", 20.0, 4000.0, 50.0),), note="first order, 6 dB/octave"),
    "Invert": Builtin((), note="flips the polarity"),
    # JUCE: resonance 0..1 (1 oscillates by itself), drive >= 1.
    "LadderFilter": Builtin(
        (
            Parameter("mode", "", 0, 5, 1, kind="choice", labels=LADDER_MODES),
            _hz("cutoff_hz", 50.0, 16000.0, 200.0),
            _share("resonance", 0.0, 0.95, 0.0),
            Parameter("drive", "", 1.0, 20.0, 1.0, scale="log"),
        )
    ),
    # JUCE's limiter: two compressors and a make-up gain that grows as the threshold falls; below -40 dB it is all gain.
    "Limiter": Builtin((_db("threshold_db", -40.0, 0.0, -10.0), _ms("release_ms", 10.0, 1000.0, 100.0))),
    "LowShelfFilter": Builtin(_shelf(30.0, 1600.0)),
    "LowpassFilter": Builtin((_hz("cutoff_frequency_hz", 50.0, 20000.0, 50.0),), note="first order, 6 dB/octave"),
    # LAME's VBR scale, 0 best to 9.999.
    "MP3Compressor": Builtin(
        (_share("vbr_quality", 0.0, 9.9, 2.0),),
        latency=True,
        note="only at the sample rates of MP3: 8, 11.025, 12, 16, 22.05, 24, 32, 44.1 and 48 kHz",
        warm_up=True,  # LAME's decoder: 4 of 36 processes with four threads ended in a segmentation fault without
    ),
    # Down to -100 dB (always open) as is Pedalboard's default; ratio 1.5 (expander) .. 20 (gate).
    "NoiseGate": Builtin(
        (
            _db("threshold_db", -100.0, 0.0, -100.0),
            Parameter("ratio", "", 1.5, 20.0, 10.0, scale="log"),
            _ms("attack_ms", 0.1, 100.0, 1.0),
            _ms("release_ms", 10.0, 1000.0, 100.0),
        )
    ),
    # A bell of mixing consoles: +-18 dB, from wide (q .3) to notch (q 8).
    "PeakFilter": Builtin(
        (
            _hz("cutoff_frequency_hz", 40.0, 16000.0, 440.0),
            _db("gain_db", -18.0, 18.0, 0.0),
            Parameter("q", "", 0.3, 8.0, 0.5**0.5, scale="log"),
        )
    ),
    "Phaser": Builtin(
        (
            LFO,
            _share("depth", 0.0, 1.0, 0.5),
            _hz("centre_frequency_hz", 100.0, 8000.0, 1300.0),
            LOOP,
            _share("mix", 0.0, 1.0, 0.5),
        )
    ),
    # Pedalboard: +-72; an octave each way is what players call for.
    "PitchShift": Builtin(
        (_share("semitones", -12.0, 12.0, 0.0),), latency=True, segmented=True, note="by far the slowest built-in"
    ),
    # A decimator: 1 kHz (a toy) to 48 kHz (transparent).
    "Resample": Builtin(
        (_hz("target_sample_rate", 1000.0, 48000.0, 8000.0, limited=False), QUALITY),
        latency=True,
    ),
    # Freeverb, all its knobs 0..1. Freeze holds the input for ever and mutes new input: fixed off.
    "Reverb": Builtin(
        (
            _share("room_size", 0.0, 1.0, 0.5),
            _share("damping", 0.0, 1.0, 0.5),
            _share("wet_level", 0.0, 1.0, 0.33),
            _share("dry_level", 0.0, 1.0, 0.4),
            _share("width", 0.0, 1.0, 1.0),
            Parameter("freeze_mode", "", 0, 1, 0, kind="boolean", controlled=False),
        ),
        note="on mono, width only scales the wet level",
    ),
}

NOT_EFFECTS: dict[str, str] = {
    "Chain": "a container: write A | B",
    "ExternalPlugin": "the base class of VST3 plugins: give the .vst3 file",
    "IIRFilter": "the base class of HighShelfFilter, LowShelfFilter and PeakFilter",
    "Mix": "a container for parallel effects, of which our chains have none",
    "Pedalboard": "a container: write A | B",
    "Plugin": "the base class of all effects",
    "PluginContainer": "the base class of containers",
    "VST3Plugin": "loaded by its path: give the .vst3 file",
    "AudioUnitPlugin": "macOS only; most such plugins also come as .vst3",
}
