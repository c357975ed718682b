"""The app as a process of its own, in a real browser and by broken uploads."""

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from contextlib import ExitStack

import numpy as np
import pytest
import soundfile
from browser import open_browser, open_page
from transfer_toys import RATE, music, save_toy

from dafxvae.app import adjustable_transfer
from dafxvae.app.visitor_session import safe_name
from dafxvae.audio.io import AudioReader
from dafxvae.studio.palette import EFFECTS
from dafxvae.transfer.api import load_controller
from dafxvae.transfer.recordings import scan
from dafxvae.transfer.results import Options

OUTPUT = """() => {
    const player = dafxvae.players[0];
    return [...player.buffers[2].getChannelData(0).subarray(20000, 21000)].map((one) => one * player.gains()[2]);
}"""
RENDERED = "(gain) => dafxvae.players[0].gains()[2] !== gain"


class Client:
    """A visitor without a browser."""

    def __init__(self, address):
        self.address = address
        self.id = self.ask("start", b"")["id"]

    def ask(self, path, body=None, **headers):
        own = path if path == "start" else f"{self.id}/{path}"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(f"{self.address}/api/{own}", data, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def refused(self, path, body=None, **headers):
        """The sentence of an answer that is an error of the visitor's."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.ask(path, body, **headers)
        assert caught.value.code == 400
        return json.load(caught.value)["error"]

    def transfer(self, **order):
        self.ask("transfer", {"controller": "toy"} | order)
        return self.wait()

    def wait(self):
        while not (job := self.ask("job"))["done"]:
            time.sleep(0.1)
        assert not job["error"], job["error"]
        return job


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    for name, seed, level in (("take", 0, 0.1), ("reference", 1, 0.3), ("other", 2, 0.2)):
        soundfile.write(folder / f"{name}.wav", music(2.0, seed=seed, level=level), RATE, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """(address, folder of temporary files) of a running app."""
    home, temporary = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("temporary")
    (home / "controllers").mkdir()
    save_toy(home / "controllers", "PeakFilter | Gain")
    environment = os.environ | {"DAFXVAE_DATA": str(home), "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "dafxvae.app", "--port", "0", "--max-upload", "5"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    yield address, temporary
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert [path for path in temporary.iterdir() if path.name.startswith("dafxvae-app-")] == []
    process.stdout.close()


@pytest.fixture
def client(app):
    visitor = Client(app[0])
    yield visitor
    visitor.ask("end", b"")


def upload(client, path, role="take"):
    return client.ask(f"upload/{role}?name={urllib.parse.quote(path.name)}", path.read_bytes())


def wav(frames, channels=1, rate=RATE, claimed=None):
    """A WAV file of 32-bit floats in bytes, whose header claims another size if that is wanted."""
    data = np.asarray(frames, "<f4").tobytes()
    size = len(data) if claimed is None else claimed
    form = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    head = b"RIFF" + struct.pack("<I", min(36 + size, 0xFFFFFFFF)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + data


def cut_mp3(frames):
    """The first half of an MP3 file in bytes."""
    file = io.BytesIO()
    soundfile.write(file, frames, RATE, format="MP3")
    return file.getvalue()[: len(file.getvalue()) // 2]


TONE = 0.1 * np.sin(np.arange(RATE) / 20)
BROKEN = {
    "no audio": b"This is a text, not audio." * 100,
    "nothing": b"",
    "one byte": b"R",
    "one sample": wav([0.1]),
    "too short": wav(TONE[:4000]),
    "NaN": wav([*TONE, np.nan]),
    "infinite": wav([np.inf, *TONE]),
    "silence": wav(0 * TONE),
    "eight channels": wav(np.repeat(TONE, 8), channels=8),
    "no channels": wav(TONE, channels=0),
    "integers as floats": wav(30000 * TONE),
    "rate of 1 Hz": wav(TONE, rate=1),
    "rate of 900 MHz": wav(TONE, rate=900_000_000),
    "header alone": wav([]),
    "header of a WAV": wav(TONE)[:20],
    "half a header": b"RIFF",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "FLAC without frames": b"fLaC" + bytes(38),
    "Ogg page": b"OggS" + bytes(500),
    "MP3 tag": b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(500),
    "header of two gigabytes": wav(TONE, claimed=2_000_000_000),
    "MP3 cut off": cut_mp3(np.tile(TONE, 4)),
    "zeros": bytes(10_000),
    "archive": b"PK\x03\x04" + bytes(5000),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_upload_is_a_sentence_and_leaves_nothing(client, app, kind):
    said = client.refused("upload/take?name=broken%20file.wav", BROKEN[kind])
    assert "broken file.wav" in said
    assert str(app[1]) not in said  # no path of the machine
    assert [*(next(app[1].glob("dafxvae-app-*")) / client.id).iterdir()] == []


def test_names_that_lead_elsewhere_and_long_ones(client, app):
    found = client.ask("upload/take?name=..%2F..%2F" + "long" * 200 + ".wav", wav(TONE))
    assert len(found["name"]) == 80
    place = next(app[1].glob("dafxvae-app-*")) / client.id
    assert [path.name for path in place.rglob("*.wav")] == [found["name"]]
    assert "role" in client.refused("upload/elsewhere?name=take.wav", wav(TONE))


def test_a_file_that_is_too_large(client):
    assert "5 MB" in client.refused("upload/take?name=large.wav", wav(np.zeros(1_300_000)))


def test_what_cannot_be_is_refused(client, app, sounds):
    assert "take and at least one reference" in client.refused("transfer", {"controller": "toy"})
    assert "no transfer yet" in client.refused("render", {"values": {}})
    assert "JSON" in client.refused("transfer", b"{")
    upload(client, sounds / "take.wav")
    upload(client, sounds / "reference.wav", "reference")
    assert "renders" in client.refused("transfer", {"controller": "toy", "refine": 10**9})
    assert "amount" in client.refused("transfer", {"controller": "toy", "match_level": "amount"})
    request = urllib.request.Request(app[0] + "/", headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


def test_two_visitors_have_their_own_results(app, client, sounds):
    other = Client(app[0])
    for visitor, reference in ((client, "reference"), (other, "other")):
        upload(visitor, sounds / "take.wav")
        upload(visitor, sounds / f"{reference}.wav", "reference")
        visitor.ask("transfer", {"controller": "toy"})
    client.wait()
    other.wait()
    first, second = client.ask("result"), other.ask("result")
    assert first["values"] != second["values"]
    values = first["values"] | {"Gain.gain_db": -5.0}
    played = client.ask("render", {"values": values})
    assert played["values"]["Gain.gain_db"] == pytest.approx(-5.0)
    assert other.ask("result")["values"] == second["values"]
    other.ask("end", b"")
    assert "reload" in other.refused("job")
    assert client.ask("job")["done"]


def test_amounts_locks_and_an_export_that_is_the_transfer(client, sounds, tmp_path):
    upload(client, sounds / "take.wav")
    upload(client, sounds / "reference.wav", "reference")
    client.transfer(max_eq_db=3.0)
    found = client.ask("result")["values"]
    assert abs(found["PeakFilter.gain_db"]) <= 3.001
    every = {"PeakFilter": 0.5, "Gain": 0.5}
    half = client.ask("render", {"values": found, "amounts": every})["values"]
    assert all(half[name] != found[name] for name in ("PeakFilter.gain_db", "Gain.gain_db"))
    assert client.ask("render", {"values": half, "amounts": dict.fromkeys(every, 1.0)})["values"] == found
    alone = client.ask("render", {"values": found, "amounts": {"Gain": 0.5}})["values"]
    assert alone == found | {"Gain.gain_db": half["Gain.gain_db"]}
    assert "Limiter" in client.refused("render", {"values": found, "amounts": {"Limiter": 0.5}})
    assert "1.5" in client.refused("render", {"values": found, "amounts": {"Gain": 2.0}})
    adjustment = {"values": found | {"PeakFilter.q": 2.0}, "amounts": {"PeakFilter": 0.2}, "locks": ["PeakFilter.q"]}
    assert client.ask("render", adjustment)["values"]["PeakFilter.q"] == pytest.approx(2.0)
    assert "outside its range" in client.refused("render", {"values": found | {"PeakFilter.q": 1e9}})
    client.ask("export", {"values": found})
    names = client.wait()["files"]
    assert [name.split("transfer.wav")[1] for name in names] == ["", ".html", ".py", ".settings.json"]
    address = f"{client.address}/api/{client.id}/files/"
    for name in names:
        (tmp_path / name).write_bytes(urllib.request.urlopen(address + name).read())
        assert b"dafxvae-app-" not in (tmp_path / name).read_bytes()  # no folder that will be gone
    command = [sys.executable, "-m", "dafxvae.transfer", "--apply", tmp_path / names[3], sounds / "take.wav"]
    subprocess.run([*command, "-o", tmp_path / "again.wav"], check=True, capture_output=True)
    exported, again = (soundfile.read(tmp_path / name)[0] for name in (names[0], "again.wav"))
    np.testing.assert_array_equal(exported, again[: len(exported)])


def test_a_search_is_stopped_and_what_was_found_before_stays(client, sounds):
    upload(client, sounds / "take.wav")
    upload(client, sounds / "reference.wav", "reference")
    client.transfer()
    found = client.ask("result")
    client.ask("transfer", {"controller": None, "effect": "PeakFilter | Gain", "refine": 2000})
    while client.ask("job")["stage"] != "searching":
        time.sleep(0.05)
    client.ask("stop", b"")
    while not (job := client.ask("job"))["done"]:
        time.sleep(0.1)
    assert "stopped" in job["error"]
    assert client.ask("result")["values"] == found["values"]


def test_a_ranking_weights_limits_and_stems(client, sounds, tmp_path):
    upload(client, sounds / "take.wav")
    for name in ("reference", "other"):
        upload(client, sounds / f"{name}.wav", "reference")
    assert "2 references" in client.refused("transfer", {"controller": "auto", "weights": [1]})
    assert "weight" in client.refused("transfer", {"controller": "auto", "weights": [1, 99]})
    assert "known: spectrum" in client.refused("transfer", {"controller": "auto", "only": ["elsewhere"]})
    client.transfer(controller="auto", weights=[2, 1], aspects=["", "level"], only=["spectrum"], ceiling_db=-3.0)
    result = client.ask("result")
    assert result["controller"] == next(iter(result["ranking"]))
    assert any("toy" in note for note in result["notes"])  # which has another f and g, and is not ranked
    for name in ("reference", "other"):
        upload(client, sounds / f"{name}.wav", "stem")
    assert "already" in client.refused("upload/stem?name=other.wav", (sounds / "other.wav").read_bytes())
    assert "formats" in client.refused("export", {"values": result["values"], "formats": ["elsewhere"]})
    client.ask("export", {"values": result["values"], "formats": ["dawproject", "vstpreset", "reascript"]})
    job = client.wait()
    assert {"stems.zip", "take.transfer.wav.dawproject", "take.transfer.wav.lua"} < set(job["files"])
    assert any(note.startswith("no vstpreset: ") for note in job["notes"])
    address = f"{client.address}/api/{client.id}/files/"
    for name in ("stems.zip", "take.transfer.wav.settings.json", "take.transfer.wav.lua"):
        (tmp_path / name).write_bytes(urllib.request.urlopen(address + name).read())
    assert 'local take = "take.wav"' in (tmp_path / "take.transfer.wav.lua").read_text()  # beside it
    settings = json.loads((tmp_path / "take.transfer.wav.settings.json").read_text())
    assert [(one["weight"], one["aspect"]) for one in settings["compared"]] == [(1, ""), (2, ""), (1, "level")]
    assert settings["only"] == ["spectrum"]
    assert settings["ceiling_db"] == -3.0
    with zipfile.ZipFile(tmp_path / "stems.zip") as archive:
        assert archive.namelist() == ["reference.wav", "other.wav"]
        assert soundfile.read(io.BytesIO(archive.read("other.wav")))[0].std() > 1e-3


def test_effects_are_found(client, sounds):
    upload(client, sounds / "take.wav")
    upload(client, sounds / "reference.wav", "reference")
    client.transfer(controller=None, find=True, max_eq_db=3.0)  # left out where no filter with a gain is found
    result = client.ask("result")
    assert result["controller"] is None
    assert "PeakFilter" in result["effect"] or any(note.startswith("max_eq 3") for note in result["notes"])
    assert any(note.startswith("found: ") for note in result["notes"])
    assert {one["effect"] for one in result["parameters"]} <= {"Gain", *EFFECTS}
    client.ask("export", {"values": result["values"], "formats": []})
    assert "take.transfer.wav.settings.json" in client.wait()["files"]


def test_upload_transfer_and_a_slider_in_a_browser(app, sounds, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(BROKEN["NaN"])
    with open_browser() as browser, open_page(browser, app[0], allowed_errors=("400 (Bad Request)",)) as page:
        page.set_default_timeout(120_000)
        page.locator("#controller").select_option("toy")
        page.locator("#take-file").set_input_files(broken)
        page.get_by_role("alert").get_by_text("NaN").wait_for()
        page.locator("#take-file").set_input_files(sounds / "take.wav")
        page.locator("#reference-file").set_input_files([sounds / "reference.wav", sounds / "other.wav"])
        page.get_by_role("listitem").nth(1).wait_for()
        page.get_by_label("What other.wav is for").select_option("spectrum")
        page.get_by_text("What is taken over").click()
        page.get_by_role("checkbox", name="spectrum").check()
        assert page.get_by_role("alert").count() == 0
        page.get_by_role("button", name="Transfer").click()
        page.locator("#result").wait_for()
        page.wait_for_function("dafxvae.players[0].voice === 2")
        assert "of other.wav for spectrum alone" in page.locator("#notes").inner_text()
        page.get_by_role("radio", name="Reference 2 (spectrum)").wait_for()
        first = np.asarray(page.evaluate(OUTPUT))
        page.locator("#level").select_option("none")
        page.wait_for_function("document.querySelector('#gain').textContent === 'gain +0.0 dB'")
        plain = np.asarray(page.evaluate(OUTPUT))
        gain = page.evaluate("dafxvae.players[0].gains()[2]")
        page.get_by_role("slider", name="Gain.gain_db").fill("0.05")
        page.get_by_role("button", name="Undo").click()  # while it is being rendered: nothing of it is lost
        page.wait_for_function("document.querySelectorAll('#redo:enabled').length")
        page.get_by_role("button", name="Redo").click()
        page.locator("#player[aria-busy=false]").wait_for()
        assert page.evaluate(RENDERED, gain)
        moved = np.asarray(page.evaluate(OUTPUT))
        assert np.abs(moved - plain).max() > 1e-3
        assert np.abs(first - plain).max() > 1e-4
        page.get_by_role("radio", name="Snapshot A").press("ArrowRight")
        assert page.evaluate("document.activeElement.textContent") == "B"
        beside = "!document.body.dispatchEvent(new DragEvent('drop', { cancelable: true, bubbles: true }))"
        assert page.evaluate(beside)  # a file that falls beside an area does not leave the page
        for name, times in (("Undo", 2), ("Redo", 1)):
            for _ in range(times):
                page.get_by_role("button", name=name).click()
        page.locator("#player[aria-busy=false]").wait_for()  # steps wait for what is being rendered
        assert page.locator("#level").input_value() == "none"
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360  # a phone's
        page.get_by_role("button", name="Render the whole take").click()
        page.locator("#files a").nth(3).wait_for()
        with page.expect_download() as download:
            page.locator("#files a").first.click()
        download.value.save_as(tmp_path / "download.wav")
        assert soundfile.info(tmp_path / "download.wav").frames >= 2 * RATE


def test_a_turned_setting_has_the_output_measured_again_alone(sounds, tmp_path, monkeypatch):
    measured = []
    measure = adjustable_transfer.clip_curves
    monkeypatch.setattr(adjustable_transfer, "clip_curves", lambda clip: measured.append(clip.label) or measure(clip))
    with ExitStack() as stack:
        take, *others = (stack.enter_context(AudioReader(sounds / f"{n}.wav")) for n in ("take", "reference", "other"))
        style = stack.enter_context(load_controller(save_toy(tmp_path, "PeakFilter | Gain")))
        scans = [scan(one) for one in (take, *others)]
        current = adjustable_transfer.AdjustableTransfer(style, "toy", take, others, scans, Options(amount=1.0))
        found = current.first()
        assert sorted(measured) == ["Output", "Reference 1", "Reference 2", "Take"]
        values = found["values"] | {"Gain.gain_db": -20.0, "PeakFilter.gain_db": 9.0}
        current.play(adjustable_transfer.Adjustment(values, "none"))
        measured.clear()
        charts = current.charts()
    assert measured == ["Output"]
    before, after = (one[2]["lines"] for one in (found["player"]["charts"], charts))
    assert [line["y"] == other["y"] for line, other in zip(before, after)] == [True, True, False, True]


def test_names_of_files():
    assert safe_name("../../etc/passwd") == "passwd"
    assert safe_name("C:\\takes\\voice 1.wav") == "voice 1.wav"
    assert safe_name("..") == safe_name("") == "recording"
    assert safe_name("x" * 500 + ".flac").endswith(".flac")
