"""The page in a real browser, with a real clip, and its server without one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer import Predictor
from ramer.modalities import MODALITIES
from ramer.serving.modelfiles import export_model
from tests.support.light import LABELS, TRANSCRIPT, build_light_project
from tests.support.media import require_extraction
from tests.support.served_project import corpus_of, raw_features, rows_of
from tests.support.web_servers import port_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def demo(*arguments: str | Path) -> Iterator[str]:
    """``ramer demo`` as a process: its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ramer.cli", "demo", *(str(a) for a in arguments), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{port_of(process)}"
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def plain(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A project whose features no extractor is known for."""
    with demo("--model", served) as address:
        yield address


@pytest.fixture(scope="module")
def light(speech_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_extraction()
    return build_light_project(tmp_path_factory.mktemp("light") / "project", speech_clip)


@pytest.fixture(scope="module")
def light_page(light: Path) -> Iterator[str]:
    with demo("--model", light) as address:
        yield address


def ask(url: str, body: Any = None, **headers: str) -> Any:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    content = {"Content-Type": "application/json"} if data is not None else {}
    with urllib.request.urlopen(urllib.request.Request(url, data, content | headers), timeout=60) as answer:
        return json.load(answer)


def refused(url: str, body: Any = None, **headers: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as fault:
        ask(url, body, **headers)
    with fault.value as answer:
        return answer.code, answer.read().decode()


def test_a_picked_clip_is_predicted_as_python_predicts_it(served: Path, plain: str) -> None:
    rows = rows_of(served)
    row = rows[corpus_of(served).available[rows].all(axis=1)][0]
    clip = str(corpus_of(served).ids[row])
    told = ask(f"{plain}/api/model")
    assert (told["method"], told["takes_files"], told["retrieves"]) == ("ramer", False, True)
    assert "--manifest" in told["why_no_files"]
    assert told["clips"] == list(corpus_of(served).ids[rows])
    picked = ask(f"{plain}/api/corpus?clip={clip}")
    assert picked["held"] == list(MODALITIES)
    said = ask(f"{plain}/api/predict", {"token": clip, "available": ["text"]})
    expected = Predictor.load(served).predict(raw_features(served, np.array([row]), "t"), neighbours=True)
    assert list(said["probabilities"].values()) == pytest.approx(expected.probabilities[0], abs=1e-7)  # float32
    near = [(m, n["id"], n["label"]) for m, found in said["neighbours"].items() for n in found]
    assert near == [(n.target, n.id, n.label) for n in expected.neighbours[0]]


def test_faults_are_answers_and_nothing_else_is_served(plain: str) -> None:
    assert refused(f"{plain}/api/corpus?clip=nobody")[0] == 400
    code, said = refused(f"{plain}/api/predict", {"token": "nobody", "available": []})
    assert (code, json.loads(said)["error"]) == (400, "nobody: no such clip here; drop it again, or pick another one")
    assert refused(f"{plain}/../../params.yaml")[0] == 404
    assert refused(f"{plain}/%2e%2e/app.py")[0] == 404
    stream = {"Content-Type": "application/octet-stream"}
    assert "--manifest" in refused(f"{plain}/api/clip?name=a.mp4", b"film", **stream)[1]
    assert "unknown kind of file" in refused(f"{plain}/api/clip?name=a.exe", b"film", **stream)[1]


def test_other_sites_can_neither_send_a_clip_nor_read_an_answer(plain: str) -> None:
    code, said = refused(f"{plain}/api/clip?name=a.mp4", b"film", **{"Content-Type": "text/plain"})
    assert (code, "application/octet-stream" in said) == (400, True)
    assert refused(f"{plain}/api/model", Host="attacker.example")[0] == 400
    with urllib.request.urlopen(plain, timeout=30) as answer:
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_page_elsewhere_may_not_write(plain: str) -> None:
    asked = {"token": "nobody", "available": []}
    for origin in ("https://attacker.example", "null", "http://127.0.0.1:1", "http://localhost"):
        code, said = refused(f"{plain}/api/predict", asked, Origin=origin)
        assert (code, json.loads(said)["error"]) == (403, f"{origin}: another site may not write here")
    assert refused(f"{plain}/api/predict", asked, Origin=plain)[0] == 400  # its own page is heard: no such clip
    assert refused(f"{plain}/api/predict", asked)[0] == 400


@pytest.mark.parametrize("path", ["/", "/demo.js", "/api/model", "/nothing", "/api/corpus?clip=nobody"])
def test_every_answer_says_what_the_browser_must_not_do_with_it(plain: str, path: str) -> None:
    try:
        with urllib.request.urlopen(f"{plain}{path}", timeout=30) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
        error.close()
    policy = headers["content-security-policy"]
    for part in ("default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_an_exported_model_offers_no_clips_of_its_corpus(light: Path, tmp_path: Path) -> None:
    export_model(light, tmp_path / "model", "late_product")
    with demo("--model", tmp_path / "model") as address:
        told = ask(f"{address}/api/model")
        assert (told["clips"], told["takes_files"], told["retrieves"]) == ([], True, False)
        query = urllib.parse.urlencode({"transcript": TRANSCRIPT})
        read = ask(f"{address}/api/clip?{query}", b"", **{"Content-Type": "application/octet-stream"})
        assert read["held"] == ["text"]
        assert read["missing"] == {"audio": "no media file", "video": "no media file"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def open_page(browser: Any, address: str, width: int = 1200) -> tuple[Any, list[str]]:
    """A page that has loaded, and the list that its complaints go into."""
    page, complaints = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: complaints.append(asked.url) if not _local(asked.url, address) else None)
    page.goto(address)
    page.wait_for_selector(".switch")
    return page, complaints


def _local(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", f"blob:{address}/"))


def shown(page: Any) -> dict[str, str]:
    """The bars: label and percentage."""
    bars = page.locator(".bar")
    return {bar.locator(".name").inner_text(): bar.locator(".value").inner_text() for bar in bars.all()}


def expected_bars(predictor: Predictor, features: dict[str, np.ndarray | None]) -> dict[str, str]:
    said = predictor.predict({m: v for m, v in features.items() if v is not None})
    return {name: f"{100 * p:.1f} %" for name, p in zip(said.label_names, said.probabilities[0], strict=True)}


@pytest.mark.parametrize("width", [1200, 390])
def test_a_dropped_clip_shows_emotions_that_change_with_its_modalities(
    browser: Any, speech_clip: Path, light: Path, light_page: str, width: int
) -> None:
    from ramer.serving.raw_clips import ClipReader

    predictor = Predictor.load(light)
    vectors = ClipReader(predictor).read(speech_clip, TRANSCRIPT).vectors
    page, complaints = open_page(browser, light_page, width)
    assert not page.locator("#player").is_visible()
    page.fill("#transcript", TRANSCRIPT)
    page.set_input_files("#file", speech_clip)
    page.wait_for_selector(".bar", timeout=60_000)
    whole = shown(page)
    assert list(whole) == list(LABELS)
    assert whole == expected_bars(predictor, vectors)
    assert "nobody stands in" in page.inner_text("#near")
    assert page.locator("#player").is_visible()
    page.click("#switch-video")
    page.wait_for_selector("[data-target=video] li")
    without = {m: v for m, v in vectors.items() if m != "video"}
    assert shown(page) == expected_bars(predictor, without) != whole
    near = predictor.predict({m: v for m, v in without.items() if v is not None}, neighbours=True).neighbours[0]
    assert page.locator("[data-target=video] .id").all_inner_texts() == [n.id for n in near]
    page.click("#switch-audio")
    page.click("#switch-text")
    page.wait_for_selector("[data-target=text] p")
    assert "there is nothing to search with" in page.inner_text("#near")
    for name in ("video", "audio", "text"):
        page.click(f"#switch-{name}")
    page.wait_for_selector("#near > p")
    assert shown(page) == whole
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    page.close()


def test_a_clip_is_picked_from_the_corpus_and_its_gaps_are_said(browser: Any, served: Path, plain: str) -> None:
    rows = rows_of(served)
    corpus = corpus_of(served)
    lacking = rows[~corpus.available[rows, 0] & corpus.available[rows].any(axis=1)][0]
    page, complaints = open_page(browser, plain)
    assert "Files cannot be taken" in page.inner_text("#drop-hint")
    page.select_option("#pick", str(corpus.ids[lacking]))
    page.wait_for_selector(".bar")
    label = corpus.label_names[corpus.labels(corpus.replicates[0])[lacking]]
    assert page.inner_text("#status") == f"Its label in the corpus: {label}"
    assert "not in the corpus" in page.inner_text("#switch-audio")
    assert page.locator("#switch-audio").is_disabled()
    assert page.locator("[data-target=audio] li").count() > 0
    assert complaints == []
    page.close()


def test_a_file_that_is_no_clip_is_said_and_the_page_goes_on(
    browser: Any, speech_clip: Path, light_page: str, tmp_path: Path
) -> None:
    (tmp_path / "<b>broken.mp4").write_bytes(b"not a film")
    page, _ = open_page(browser, light_page)
    page.set_input_files("#file", tmp_path / "<b>broken.mp4")
    page.wait_for_selector("#drop-fault:not(:empty)")
    assert "nothing to predict from" in page.inner_text("#drop-fault")
    assert page.inner_text(".drop-text") == "<b>broken.mp4"
    page.set_input_files("#file", speech_clip)
    page.wait_for_selector(".bar", timeout=60_000)
    assert "no transcript" in page.inner_text("#switch-text")
    page.close()
