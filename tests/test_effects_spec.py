import pytest
from hypothesis import given
from hypothesis import strategies as st

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.effects.spec import EffectSpec, format_chain, parse_chain

CHAINS = {
    "Reverb": (EffectSpec("Reverb"),),
    " HighpassFilter |Compressor ": (EffectSpec("HighpassFilter"), EffectSpec("Compressor")),
    "Compressor(threshold_db, ratio, attack_ms=5)": (
        EffectSpec("Compressor", None, ("threshold_db", "ratio"), (("attack_ms", 5.0),)),
    ),
    "LadderFilter(mode=HPF12)": (EffectSpec("LadderFilter", fixed=(("mode", "HPF12"),)),),
    "Reverb(-, width=0.5)": (EffectSpec("Reverb", None, (), (("width", 0.5),)),),
    "/a b/suite.vst3::Plugin Name | Gain": (EffectSpec("/a b/suite.vst3", "Plugin Name"), EffectSpec("Gain")),
    "/a/suite.vst3::Plugin Name(drive, on=true)": (
        EffectSpec("/a/suite.vst3", "Plugin Name", ("drive",), (("on", True),)),
    ),
    "C:\\VST (64)\\x.vst3(mix)": (EffectSpec("C:\\VST (64)\\x.vst3", None, ("mix",)),),
    '"/a|b/Comp (mono).vst3::Comp (mono)"(mix) | Gain': (
        EffectSpec("/a|b/Comp (mono).vst3", "Comp (mono)", ("mix",)),
        EffectSpec("Gain"),
    ),
    "PeakFilter(gain_db, cutoff_frequency_hz=100..800.5)": (
        EffectSpec("PeakFilter", None, ("gain_db",), (), (("cutoff_frequency_hz", (100.0, 800.5)),)),
    ),
    'Convolution(impulse_response_filename="a, (b).wav")': (
        EffectSpec("Convolution", fixed=(("impulse_response_filename", "a, (b).wav"),)),
    ),
}


@pytest.mark.parametrize("text", CHAINS)
def test_short_form_is_read(text):
    assert parse_chain(text) == CHAINS[text]


@pytest.mark.parametrize("text", CHAINS)
def test_canonical_form_is_read_back(text):
    chain = parse_chain(text)
    assert parse_chain(format_chain(chain)) == chain
    assert format_chain(parse_chain(format_chain(chain))) == format_chain(chain)


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
values = st.booleans() | st.floats(-1e6, 1e6) | st.text("ab ,()|=./", min_size=1, max_size=8)


@given(
    st.sampled_from(["Reverb", "/p/x.vst3", "/p (1)/y.vst3", "/p | q/z.vst3"]),
    st.none() | st.lists(names, unique=True, max_size=3).map(tuple),
    st.dictionaries(st.from_regex(r"[A-Z][a-z]{0,8}", fullmatch=True), values, max_size=3),
)
def test_any_spec_survives_the_round_trip(name, control, fixed):
    spec = EffectSpec(name, None, control, tuple(fixed.items()))
    assert parse_chain(str(spec)) == (spec,)


def test_structured_form_is_the_same_thing():
    structured = [
        {"name": "HighpassFilter"},
        {"name": "Compressor", "control": ["threshold_db"], "fixed": {"ratio": 4.0}},
        {"name": "/a/suite.vst3::Plugin Name"},
    ]
    short = "HighpassFilter | Compressor(threshold_db, ratio=4) | /a/suite.vst3::Plugin Name"
    assert parse_chain(structured) == parse_chain({"chain": structured}) == parse_chain(short)


@pytest.mark.parametrize(
    "effect",
    ["", "Reverb |", "Reverb(room_size", "Reverb)", "Reverb(a, a)", "Reverb(,)", "Gain::x", "Reverb(a) b", [], 3, {}],
)
def test_what_cannot_be_read_is_a_user_error(effect):
    with pytest.raises(UserError):
        parse_chain(effect)


def test_unknown_names_bring_the_nearest():
    assert "Compressor" in str(unknown_name("effect", "Compresor", ["Reverb", "Compressor", "Gain"]))
    assert "Reverb, Gain" in str(unknown_name("effect", "zzz", ["Reverb", "Gain"]))
