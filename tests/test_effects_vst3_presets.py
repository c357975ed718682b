"""Presets of a real plugin: read from its own files, and drawn around."""

import numpy as np
import pytest

from dafxvae.core.errors import UserError
from dafxvae.effects.bank import open_bank
from dafxvae.effects.factory import open_host
from dafxvae.effects.parameters import PRESET_DEVIATION

pytestmark = pytest.mark.vst3
ZAM = "/usr/lib/vst3/ZamComp.vst3"
WANTED = ({"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 5.0}, {"threshold_db": -12.0, "ratio": 10.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two presets as the plugin itself writes them, and a file that is none."""
    import pedalboard

    folder = tmp_path_factory.mktemp("presets")
    (folder / "more").mkdir()
    with open_host(ZAM, num_workers=1) as host:
        unit = host.chain.units[0]
        for number, values in enumerate(WANTED):
            physical = host.parameters.to_physical(host.parameters.from_values(values))
            plugin = pedalboard.VST3Plugin(ZAM)
            for name, raw in unit.raw_values(physical, 44100):
                plugin.parameters[name].raw_value = raw
            plugin.process(np.zeros((512, 1), np.float32), 44100, reset=False)  # the state follows the first block
            (folder / "more" / f"{number}.vstpreset").write_bytes(plugin.preset_data)
    (folder / "broken.vstpreset").write_bytes(b"VST3 but no more than that")
    return folder


def test_settings_are_drawn_around_the_presets_of_a_plugin(folder):
    with open_bank([f"HighpassFilter | {ZAM}"], num_workers=1, presets=folder) as bank:
        space = bank.hosts[0].parameters
        (block,) = space.presets
        assert block.first == 1  # behind the filter's cut-off
        rows = np.asarray(block.rows)
        found = [space.describe(np.concatenate([[0.5], row])) for row in rows]
        for settings, values in zip(found, WANTED, strict=True):
            for name, value in values.items():
                assert settings[f"ZamComp.{name}"] == pytest.approx(value, rel=1e-3)
        drawn = bank.sample(np.random.default_rng(0), 4000)[1]
    nearest = np.abs(drawn[:, None, 1:] - rows[None]).max(-1).min(1)
    near = float((nearest < 3.5 * PRESET_DEVIATION).mean())
    assert 0.74 < near < 0.9  # three in four, and those of the others that fall there
    assert np.abs(drawn[:, 0].mean() - 0.5) < 0.02  # the filter's are drawn as before
    assert drawn.min() >= 0.0
    assert drawn.max() <= 1.0


def test_presets_that_are_none_or_of_another_plugin_are_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"no preset in .*looked there and below for \.vstpreset"):
        open_bank([ZAM], presets=tmp_path)
    with pytest.raises(UserError, match=r"none of the 3 presets in .* is of .*ZamEQ2"):
        open_bank(["/usr/lib/vst3/ZamEQ2.vst3"], num_workers=1, presets=folder)
