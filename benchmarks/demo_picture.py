"""The picture of ``ramer demo`` in ``README.md``: its page in headless Chromium, as a default run leaves it.

A test clip is picked, its face is switched off, and the whole page is taken at 1280 pixels, light.

    python -m benchmarks.demo_picture [--model .] [--method ramer]    # writes docs/images/demo.png
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks._run import ROOT
from ramer.serving.demo.app import build_app
from ramer.serving.demo.bounds import Bounds
from ramer.serving.demo.server import make_server
from ramer.serving.demo.session import Session

PICTURE = ROOT / "docs" / "images" / "demo.png"
OFF = "video"
WIDTH, COLORS = 1280, 128  # a page has few colours: a third of the bytes


def first_whole_clip(session: Session) -> str:
    """The first clip that can be picked and lacks nothing."""
    for clip in session.describe()["clips"]:
        if not session.pick(clip)["missing"]:
            return str(clip)
    raise SystemExit("no test clip holds everything")


def photograph(address: str, clip: str) -> Image.Image:
    """The page with a clip on it whose face does not count."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light", reduced_motion="reduce")
        page.goto(address)
        page.select_option("#pick", clip)
        page.click(f"#switch-{OFF}")
        page.wait_for_selector("#near li")
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        taken = Image.open(io.BytesIO(page.screenshot(full_page=True)))
        browser.close()
    return taken.convert("RGB").quantize(COLORS)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, default=Path("."), help="a project; the default run's for the README")
    options.add_argument("--method", default="ramer", help="one that retrieves, so that somebody stands in")
    given = options.parse_args()
    session, bounds = Session.open(given.model, given.method), Bounds()
    server = make_server(build_app(session, bounds=bounds), bounds)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            picture = photograph(f"http://127.0.0.1:{listening.getsockname()[1]}", first_whole_clip(session))
        finally:
            server.should_exit = True
            thread.join()
    picture.save(PICTURE, optimize=True)
    print(PICTURE)


if __name__ == "__main__":
    main()
