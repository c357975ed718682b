"""The page's player in a real browser: what is heard is measured through the page's own graph."""

import base64

import numpy as np
import pytest
from browser import open_browser, open_page
from scipy.stats import binomtest

from dafxvae.audio.loudness import loudness_lufs
from dafxvae.reporting import curves
from dafxvae.reporting.page import Page
from dafxvae.reporting.player import PlayerClip

RATE = 44100
HOSTILE = "</script><script>document.title = 'taken'</script>"
MEASURE = """async ([voice, then, at, seconds]) => {
    const player = dafxvae.players[0];
    const context = new OfflineAudioContext(2, Math.round(seconds * player.data.rate), player.data.rate);
    player.voice = voice;
    const mix = player.connect(context);
    mix.start(0, [0, player.length]);
    if (then !== null) context.suspend(at).then(() => { mix.select(then); context.resume(); });
    const heard = await context.startRendering();
    const samples = new Float32Array(2 * heard.length);
    for (const channel of [0, 1]) samples.set(heard.getChannelData(channel), channel * heard.length);
    const bytes = new Uint8Array(samples.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
}"""


def noise(seconds, level, seed):
    return (level * np.random.default_rng(seed).standard_normal((round(seconds * RATE), 2))).astype(np.float32)


TAKE = noise(4.0, 0.03, 0)
OUTPUT = np.concatenate([4.0 * TAKE, noise(0.5, 0.01, 1)])  # with a tail, and far louder
REFERENCE = noise(2.5, 0.1, 2)  # shorter: it repeats
REFERENCE[1000] = 1.5  # above full scale


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


CLIPS = (("take", "Take", TAKE), ("reference", HOSTILE, REFERENCE), ("output", "Output", OUTPUT))


def write_page(folder, *clips):
    page = Page("Listen", "to this")
    page.player([PlayerClip(role, label, audio, RATE) for role, label, audio in clips])
    (folder / "page.html").write_text(page.render())
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"), *CLIPS)


@pytest.fixture
def page(browser, address):
    with open_page(browser, address) as opened:
        opened.evaluate("dafxvae.players[0].ready")
        yield opened


def state(page, name):
    return page.evaluate(f"dafxvae.players[0].{name}")


def heard(page, voice, then=None, at=0.0, seconds=4.0):
    """What the loudspeakers get, `[T, 2]`: of a voice, and of another one from a time on."""
    data = base64.b64decode(page.evaluate(MEASURE, [voice, then, at, seconds]))
    return np.frombuffer(data, np.float32).reshape(2, -1).T


def test_keys_switch_at_the_same_position(page):
    page.keyboard.press("Space")
    page.wait_for_function("dafxvae.players[0].position > 0.1")
    for key, voice in (("3", 2), ("2", 1), ("d", 3), ("1", 0)):
        before = state(page, "position")
        page.keyboard.press(key)
        assert state(page, "voice") == voice
        assert before <= state(page, "position") < before + 1.0
        assert page.get_by_role("radio", checked=True).count() == 1
    assert page.title() == "Listen"  # not what a label wanted
    page.keyboard.press("Space")
    assert not state(page, "isPlaying")


def test_a_switch_fades_over_15_ms_and_both_sounds_stay_in_place(page):
    sound, at = heard(page, 0, then=2, at=1.0, seconds=2.0), RATE
    np.testing.assert_allclose(sound[RATE // 4 : at], TAKE[RATE // 4 : at], atol=1e-4)
    late = at + round(0.02 * RATE)
    np.testing.assert_allclose(sound[late:], OUTPUT[late : 2 * RATE], atol=1e-4)
    ratio = (sound / np.where(np.abs(TAKE[: 2 * RATE]) > 0.01, TAKE[: 2 * RATE], np.nan))[at : late + 1]
    assert np.nanmax(np.abs(np.diff(ratio[~np.isnan(ratio)]))) < 0.1  # no step: from 1 to 4 in 660 samples


def test_a_shorter_reference_repeats_and_keeps_what_is_above_full_scale(page):
    sound = heard(page, 1)
    expected = np.concatenate([REFERENCE, REFERENCE])[: 4 * RATE]
    assert np.abs(sound - expected)[RATE // 10 :].max() < 1e-4
    assert sound[1000 + len(REFERENCE)].max() == pytest.approx(1.5, abs=1e-3)


def test_match_level_is_within_a_tenth_of_a_lu(page):
    page.keyboard.press("m")
    found = [
        loudness_lufs(heard(page, voice, seconds=length)[None], RATE)[0] for voice, length in enumerate((4, 2.5, 4.5))
    ]
    assert max(found) - min(found) < 0.1
    assert found[0] == pytest.approx(loudness_lufs(TAKE[None], RATE)[0], abs=0.1)  # the quietest stays
    page.keyboard.press("m")
    assert loudness_lufs(heard(page, 2)[None], RATE)[0] - found[2] > 10.0


def test_delta_is_the_output_minus_the_take(page):
    expected = OUTPUT - np.pad(TAKE, ((0, len(OUTPUT) - len(TAKE)), (0, 0)))  # the tail is all of it
    assert np.abs(heard(page, 3, seconds=4.5) - expected)[RATE // 10 :].max() < 1e-4


def test_a_region_is_drawn_and_repeats(page):
    box = page.get_by_role("slider", name="Position").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20, steps=3)
    page.mouse.up()
    first, last = state(page, "region")
    assert (first / 4.5, last / 4.5) == pytest.approx((0.2, 0.3), abs=0.01)
    page.keyboard.press("Space")
    positions = []
    for _ in range(8):
        page.wait_for_timeout(100)
        positions.append(state(page, "position"))
    assert first <= min(positions)
    assert max(positions) <= last
    assert (np.diff(positions) < 0).any()  # went round
    page.keyboard.press("\\")
    assert state(page, "region") is None


@pytest.mark.parametrize(("count", "chosen", "verdict"), [(8, 1, "Output is nearer"), (12, None, "no difference")])
def test_a_blind_test_to_its_end(page, count, chosen, verdict):
    page.keyboard.press("b")
    page.get_by_label("Number of trials").select_option(str(count))
    page.get_by_role("button", name="Begin").click()
    assert state(page, "isMatched")
    for number in range(count):
        page.get_by_text(f"Trial {number + 1} of {count}.").wait_for()
        for key in "123":
            page.keyboard.press(key)
        assert page.get_by_role("radio").count() == 0  # nothing names what is heard
        wanted = number % 2 if chosen is None else chosen
        page.keyboard.press("ab"[state(page, f"blind.trial.order.indexOf({wanted})")])
    text = page.locator(".blind .answer").inner_text()
    hits = count if chosen else count // 2
    assert f"in {hits} of {count} trials" in text
    assert f"p = {binomtest(hits, count).pvalue:.3f}" in text
    assert verdict in text
    assert not state(page, "isMatched")


def test_the_binomial_test_and_the_order_of_letters(page):
    for hits, count in ((5, 8), (11, 12), (3, 16), (8, 16)):
        found = page.evaluate(f"import('trials').then((trials) => trials.binomialP({hits}, {count}))")
        assert found == pytest.approx(binomtest(hits, count).pvalue)
    orders = page.evaluate("import('trials').then((trials) => trials.makeTrials(400).map((one) => one.order[0]))")
    assert 0.4 < np.mean(orders) < 0.6


def test_everything_has_a_name_and_works_by_keyboard(page):
    tree = page.locator("main").aria_snapshot()
    for words in ('button "Play or pause"', 'radio "Take', 'slider "Position"', 'slider "Volume"', 'img "Spectrum.'):
        assert words in tree
    page.get_by_role("slider", name="Position").focus()
    page.keyboard.press("ArrowRight")
    assert state(page, "position") == pytest.approx(1.0)
    page.get_by_role("radio", checked=True).focus()
    page.keyboard.press("ArrowRight")
    assert state(page, "voice") == 1


def test_further_references_come_behind_the_output(browser, tmp_path):
    others = [("reference", f"Reference {i}", noise(1.5, 0.05, i)) for i in range(2, 9)]
    with open_page(browser, write_page(tmp_path, *CLIPS, *others), viewport={"width": 360, "height": 740}) as page:
        page.evaluate("dafxvae.players[0].ready")
        page.keyboard.press("5")
        assert page.get_by_role("radio", checked=True).inner_text().split("\n")[1] == "Reference 3"
        expected = np.resize(others[1][2], (2 * RATE, 2))  # it repeats
        assert np.abs(heard(page, 4, seconds=2.0) - expected)[RATE // 10 :].max() < 1e-4
        page.keyboard.press("d")
        assert state(page, "voice") == 10  # behind all of them
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        dashes = (
            page.locator(".chart")
            .first.locator(".legend path")
            .evaluate_all("(lines) => lines.map((line) => line.getAttribute('stroke-dasharray'))")
        )
        assert dashes[0] is dashes[2] is None  # take and output
        assert len({*dashes[1:2], *dashes[3:7]}) == 5


def test_it_fits_a_phone(browser, address):
    with open_page(browser, address, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("document.querySelectorAll('.chart').length") == 4


def test_curves():
    rng = np.random.default_rng(0)
    mid, side = rng.standard_normal((2, 10 * RATE))
    audio = np.stack([mid + 0.1 * side, mid - 0.1 * side], axis=1)
    centres, width = curves.stereo_width(audio, RATE)
    assert np.abs(width[centres > 100] - -20.0).max() < 1.5
    times, levels = curves.momentary_loudness(audio[:, :1], RATE)
    assert len(times) == 97
    assert levels.mean() == pytest.approx(loudness_lufs(audio[None, :, :1], RATE)[0] + 3.01, abs=0.1)
