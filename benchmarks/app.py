"""How long a visitor of the app waits, as one JSON object: `python -m benchmarks.app [--controller NAME ...]`.

In a headless Chromium (Debian's, driven by playwright): from dropping a take of three minutes and a reference of one
to the output in the player, with the controller open; and from the move of a slider to the new output in the player,
30 s of stereo. Wall time is the visitor's; processor time is the app's alone, without the browser's. Run it on an idle
machine: `load` is that before the start.
"""

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.common import make_parser, print_json
from benchmarks.transfer import write_music

MOVE = """async (share) => {
    const slider = document.querySelector("#controls input[type=range][step]");
    const player = document.getElementById("player");
    const start = performance.now();
    slider.value = share;
    slider.dispatchEvent(new Event("change"));
    while (player.getAttribute("aria-busy") === "true") await new Promise((resolve) => setTimeout(resolve, 2));
    return (performance.now() - start) / 1000;
}"""
HEARD = "() => document.getElementById('stage').textContent.startsWith('done') && dafxvae.players[0].voice === 2"


def measured(call: Any) -> dict[str, float]:
    """Wall time and processor time of this process, in seconds."""
    start, used = time.perf_counter(), time.process_time()
    call()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - used
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2)}


def waits(page: Any, controller: str, files: list[Path], moves: int) -> dict[str, Any]:
    """What a visitor waits for with one controller."""

    def drop() -> None:
        page.evaluate("document.getElementById('stage').textContent = ''")
        page.locator("#take-file").set_input_files(files[0])
        page.locator("#reference-file").set_input_files(files[1])
        page.locator("#reference-list li").wait_for()
        page.locator("#go").click()
        page.wait_for_function(HEARD, timeout=120_000)

    page.locator("#controller").select_option(controller)
    drop()  # opens the controller and compiles what it needs
    page.get_by_role("button", name=f"Remove {files[1].name}").click()
    dropped = measured(drop)
    moved, used = [], time.process_time()
    for number in range(moves):
        moved.append(page.evaluate(MOVE, 0.2 + 0.6 * number / moves))
    cpu_seconds = (time.process_time() - used) / moves
    page.get_by_role("button", name=f"Remove {files[1].name}").click()
    times = {"seconds": round(statistics.median(moved), 2), "most": round(max(moved), 2)}
    return {"drop_to_sound": dropped, "slider_to_sound": times | {"cpu_seconds": round(cpu_seconds, 2)}}


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__)
    parser.add_argument("--controller", nargs="+", default=["eq_compressor", "reverb"])
    parser.add_argument("--moves", type=int, default=10, help="of a slider (default 10)")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or sys.exit("this needs chromium: apt-get install chromium")
    load = round(os.getloadavg()[0], 1)
    import uvicorn
    from playwright.sync_api import sync_playwright

    from dafxvae.app.serving import LOCAL, make_app
    from dafxvae.app.visitors import Visitors

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        files = [folder / "take.wav", folder / "reference.wav"]
        for path, seconds in zip(files, (180, 60)):
            write_music(path, seconds)
        (folder / "visitors").mkdir()
        app = make_app(Visitors(folder / "visitors", 500_000_000, is_public=False), list(LOCAL))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        found = {one: waits(page, one, files, arguments.moves) for one in arguments.controller}
        browser.close()
        server.should_exit = True
        thread.join()
    print_json({"audio": "180 s stereo 44.1 kHz, a section of 30 s", "controllers": found, "load": load})


if __name__ == "__main__":
    main()
