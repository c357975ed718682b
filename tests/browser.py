"""A real headless Chromium for pages: nothing may be said on its console, and no request may leave the machine."""

import os
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

ARGUMENTS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")
LOCAL = ("file", "data", "blob")


@contextmanager
def open_browser():
    """Skips where there is none, but fails in CI, which installs it."""
    path = shutil.which("chromium")
    if path is None and "CI" not in os.environ:
        pytest.skip("needs chromium: apt-get install chromium")
    assert path, "CI installs chromium"
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def open_page(browser, address, allowed_errors=(), **options):
    """A page whose console and requests are watched until the block ends."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    said, asked = [], []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    assert [text for text in said if not any(words in text for words in allowed_errors)] == []
    left = [url for url in asked if urlsplit(url).scheme not in LOCAL and urlsplit(url).hostname != "127.0.0.1"]
    assert left == []
    context.close()
