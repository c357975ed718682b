"""Less of an effect where all of it takes the spectrum away from the reference."""

import numpy as np
from transfer_toys import RATE, music, save_toy

import dafxvae


def test_less_is_made_of_a_filter_that_would_take_the_spectrum_away(tmp_path):
    audio = music(seed=1)
    with dafxvae.load_controller(save_toy(tmp_path, "LowShelfFilter | PeakFilter", "filters")) as filters:
        whole = filters.transfer(audio, audio[::-1], RATE, amount=1.0)  # of the same spectrum: any filter is worse
        usual = filters.transfer(audio, audio[::-1], RATE)
        half = filters.transfer(audio, audio[::-1], RATE, amount=0.5)
    assert whole.fit.worse == ["spectrum"]
    assert not any("the amount is" in note for note in (*whole.notes, *half.notes))
    assert sum("the amount is" in note for note in usual.notes) == 1
    assert usual.fit.after["spectrum"] < whole.fit.after["spectrum"]
    if "spectrum" not in half.fit.worse:
        np.testing.assert_array_equal(usual.unit_params, half.unit_params)
