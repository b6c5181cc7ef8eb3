"""The page to draw on and its API: a real server, and a real browser where there is one."""

import contextlib
import http.client
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import attacks
from mnist import predictions
from mnist.commands import predict
from tests.conftest import CHROMIUM, PATIENCE, Project, copy, made_once, of_a_browser

pytestmark = pytest.mark.slow

GIVEN_UP = 300  # seconds: the server waits for one, and whoever waits so long waits for nothing
PROGRAM = """
from mnist import numerics
numerics.pin(threads=1)
from mnist.commands import serve, web
from pipeline import console
serve.SLOWEST, web.MOST_BYTES, web.MOST_PIXELS = 1.0, 200_000, 1_000_000
app = console.application()
app.command()(serve.serve)
console.main(app)
"""


@pytest.fixture(scope="module")
def root(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two models, the workspace's and that of the tag `other`, which answers otherwise."""

    def make(path: Path) -> None:
        project = copy(template, path)
        project.edit("epochs: 2", "epochs: 1")
        project.repro("evaluate")
        project.succeed("git", "commit", "-qam", "one epoch")
        project.succeed("git", "tag", "other")
        project.edit("learning_rate: 0.003", "learning_rate: 0.1")
        project.edit("epochs: 1", "epochs: 20")
        project.repro("evaluate")

    made = made_once(tmp_path_factory, "two-models", make)
    return copy(made, tmp_path_factory.mktemp("serve") / "project")


@pytest.fixture(scope="module")
def port(root: Project) -> Iterator[int]:
    """The port of a server with smaller limits than people get, so that tests meet them at once."""
    server = root.start("python", "-c", PROGRAM, "--port", "0")
    assert server.stdout
    line = server.stdout.readline()
    assert line.startswith("http://127.0.0.1:"), line + server.communicate()[0]
    said: list[str] = []
    reader = threading.Thread(target=said.extend, args=[server.stdout])  # or whatever it says would hold it up
    reader.start()
    yield int(line.split("/")[2].split(":")[1])
    server.terminate()
    server.wait(timeout=PATIENCE)
    reader.join()
    assert said in ([], ["error: terminated\n"])


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """The status and the content of an answer, JSON unless it is something else."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    with contextlib.suppress(ValueError):
        return response.status, json.loads(content)
    return response.status, content


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_api_answers_as_evaluate_did(root: Project, port: int) -> None:
    images = np.load(root.path / "data/normalised/test_images.npy")[:20]
    expected = predictions.read(list("0123456789"), root.path / predictions.FILE)
    for index, image in enumerate(images):
        status, found = ask(port, "POST", "/predict", png(image))
        assert status == 200, found
        assert found["image"] == image.tolist()
        chances = np.array(list(found["probabilities"].values()), np.float32)
        assert np.array_equal(chances, expected.probabilities[index])
        assert found["predicted"] == str(expected.predicted[index])
        assert found["unsure"] == (chances.max() < predict.UNSURE)


def test_it_has_the_models_of_tags_and_branches_and_of_no_commit_without_one(root: Project, port: int) -> None:
    _, models = ask(port, "GET", "/models")
    assert {entry["name"] for entry in models} == {"workspace", "main", "other"}
    digit = png(np.load(root.path / "data/normalised/test_images.npy")[0])
    answers = {entry["name"]: ask(port, "POST", f"/predict?model={entry['model']}", digit)[1] for entry in models}
    assert answers["main"] == answers["other"] != answers["workspace"]
    assert ask(port, "POST", "/predict?model=other", digit)[1] == answers["other"]


BOMB = png(np.zeros((1001, 1000), np.uint8))


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        ("/predict", b"", {}, 400, "not a picture"),
        ("/predict", b"GIF89a", {}, 400, "picture"),
        ("/predict", png(np.zeros((50, 50), np.uint8))[:60], {}, 400, "picture"),
        ("/predict", png(np.zeros((50, 50), np.uint8)), {}, 400, "no digit found"),
        ("/predict", BOMB, {}, 400, "1,001,000 pixels|1,000×1,001 pixels"),
        ("/predict", bytes(200_001), {}, 413, "200,000 bytes"),
        ("/predict?model=nothing", b"", {}, 400, "nothing: no such revision"),
        ("/predict?model=../../etc", b"", {}, 400, "no such revision"),
        ("/predict?model=--help", b"", {}, 400, "no such revision"),
        ("/predict?model=a%00", b"", {}, 400, "no such revision"),
        ("/predict?model=a%0Ab", b"", {}, 400, "no such revision"),
        ("/predict", b"", {"Origin": "http://evil.example"}, 403, "Origin"),
        ("/predict", b"", {"Origin": "null"}, 403, "Origin"),
        ("/predict", b"", {"Host": "evil.example"}, 403, "Host"),
        ("/predict", b"", {"Host": "evil.example:8000"}, 403, "Host"),
        ("/nothing", b"", {}, 404, "Not Found"),
        ("/../../../etc/passwd", b"", {}, 404, "Not Found"),
        ("/%2e%2e/%2e%2e/etc/passwd", b"", {}, 404, "Not Found"),
        ("/static-offline-docs/%2e%2e/%2e%2e/__init__.py", b"", {}, 404, "Not Found"),
    ],
)
def test_hostile_requests_are_refused_in_a_line(
    path: str, body: bytes, headers: dict[str, str], status: int, says: str, port: int
) -> None:
    method = "POST" if path.startswith("/predict") else "GET"
    found, answer = ask(port, method, path, body, **headers)
    assert found == status, answer
    assert re.search(says, answer["detail"]), answer
    assert "\n" not in answer["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nslow",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000,
    ],
)
def test_what_does_not_arrive_is_not_waited_for(sent: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=GIVEN_UP) as connection:
        connection.sendall(sent)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):  # until the server closes it, or has answered
                answer += part
                if b"did not arrive within" in answer:
                    break
        assert answer == b"" or b" 40" in answer.split(b"\r\n")[0]


def test_one_who_goes_away_meanwhile_leaves_no_traceback(port: int) -> None:
    """Else what the server printed at its end would be more than that it ended."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf")
    assert ask(port, "GET", "/models")[0] == 200


def test_a_picture_that_is_announced_as_too_large_need_not_be_sent(port: int) -> None:
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 200001\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_all_kinds_of_hostile_requests_at_once_are_refused_and_the_server_goes_on(
    root: Project, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "ATTACKS", 400)
    assert attacks.on_server(port) == 400
    assert ask(port, "POST", "/predict", png(np.load(root.path / "data/normalised/test_images.npy")[0]))[0] == 200


def test_a_port_in_use_is_named_with_the_option_that_helps(root: Project, port: int) -> None:
    done = root.inside("serve", "--port", str(port))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: 127.0.0.1, port {port}: Address already in use; choose another one with --port, or --host\n"
    )


def test_without_a_model_it_says_what_brings_one(root: Project, tmp_path: Path) -> None:
    done = copy(root, tmp_path / "project")
    (done.path / "models/model.safetensors").unlink()
    refused = done.inside("serve", "--port", "0")
    assert refused.returncode == 1
    assert "no model yet; `dvc checkout`" in refused.stderr


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("needs a Chromium; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], env=of_a_browser(tmp_path_factory.mktemp("home"))
        )
        yield started
        started.close()


@contextlib.contextmanager
def opened(browser: Any, port: int, **options: Any) -> Iterator[Any]:
    """The page; at its end nothing was asked of anybody else, and nothing went wrong in it."""
    with contextlib.closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.route(lambda url: url.startswith("http") and f"//127.0.0.1:{port}/" not in url, lambda way: way.abort())
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#first option[value=workspace]", state="attached")
        yield page
        assert [url for url in asked if not url.startswith((f"http://127.0.0.1:{port}/", "blob:", "data:"))] == []
        # the first dot of a stroke is no digit yet, and a browser notes every refusal
        assert [each for each in wrong if "400 (Bad Request)" not in each] == []


SEVEN = [(0.3, 0.22), (0.7, 0.22), (0.45, 0.8)]


def draw(page: Any, points: list[tuple[float, float]]) -> None:
    """A stroke by mouse, through points in parts of the paper."""
    box = page.locator("#canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def says(page: Any, panel: str, text: str) -> None:
    page.wait_for_selector(f"#{panel}-answer output:text-is('{text}')")


def test_the_api_is_documented_by_a_page_that_asks_nobody_else(browser: Any, port: int) -> None:
    with opened(browser, port) as page:
        page.goto(f"http://127.0.0.1:{port}/docs")  # until all that it asks for has come, or was refused
        assert page.evaluate("typeof SwaggerUIBundle") == "function"
        page.wait_for_selector("text=/predict >> nth=0")


def serious(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")]


def test_a_seven_drawn_with_the_mouse_is_one_with_either_model_and_can_be_taken_back(browser: Any, port: int) -> None:
    with opened(browser, port) as page:
        draw(page, SEVEN)
        says(page, "first", "7")
        assert page.locator("#first-answer tr.best th").inner_text() == "7"
        page.select_option("#second", label="other")
        page.wait_for_selector("#second-answer output:not(:empty)", state="attached")
        prints = [page.locator(f"#{name}-answer code").inner_text() for name in ("first", "second")]
        assert len(set(prints)) == 2
        page.select_option("#first", label="other")
        page.wait_for_selector(f"#first-answer code:text-is('{prints[1]}')")
        page.click("#undo")
        page.wait_for_selector("#first-answer output", state="detached")


def test_the_bars_move_while_a_stroke_grows(browser: Any, port: int) -> None:
    """Also if each answer comes after the next move, as on a slow machine."""
    with opened(browser, port) as page:
        held: list[Any] = []
        page.route("**/predict*", lambda route: held.append(route))

        def move_and_answer(x: float, y: float) -> None:
            """Move the pen while an answer is awaited, let that one come, and wait for the next request."""
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
            with page.expect_request("**/predict*"):
                held[-1].continue_()

        box = page.locator("#canvas").bounding_box()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
        with page.expect_request("**/predict*"):
            page.mouse.down()
        move_and_answer(0.5, 0.5)  # what is answered now is the first dot, no digit
        assert page.locator("#first-answer output").count() == 0
        move_and_answer(0.5, 0.8)
        assert page.locator("#first-answer output").all_inner_texts() == ["1"]
        held[-1].continue_()
        page.mouse.up()


def test_a_file_that_is_opened_or_dropped_is_answered(browser: Any, port: int, root: Project, tmp_path: Path) -> None:
    image = np.load(root.path / "data/normalised/test_images.npy")[0]
    (tmp_path / "digit.png").write_bytes(png(image))
    with opened(browser, port) as page:
        page.set_input_files("#file", tmp_path / "digit.png")
        page.wait_for_selector("#first-answer output:not(:empty)", state="attached")
        opened_one = page.locator("#first-answer table").inner_text()
        page.click("#clear")
        page.wait_for_selector("#first-answer output", state="detached")
        transfer = page.evaluate_handle(
            """content => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(content)], "digit.png", { type: "image/png" }));
                return data;
            }""",
            list(png(image)),
        )
        page.dispatch_event("#paper", "drop", {"dataTransfer": transfer})
        page.wait_for_selector("#first-answer output:not(:empty)", state="attached")
        assert page.locator("#first-answer table").inner_text() == opened_one


def test_a_blank_or_foreign_picture_gets_the_line_of_the_api(browser: Any, port: int, tmp_path: Path) -> None:
    (tmp_path / "blank.png").write_bytes(png(np.full((90, 90), 255, np.uint8)))
    with opened(browser, port) as page:
        page.set_input_files("#file", tmp_path / "blank.png")
        page.wait_for_selector("#status:has-text('no digit found')")


def test_one_can_draw_by_keyboard_alone(browser: Any, port: int) -> None:
    with opened(browser, port) as page:
        page.focus("#canvas")
        for key, times in (("ArrowUp", 8), (" ", 1), ("ArrowDown", 16), (" ", 1)):
            for _ in range(times):
                page.keyboard.press(key)
        says(page, "first", "1")
        page.keyboard.press("Escape")
        page.wait_for_selector("#first-answer output", state="detached")


INKED = """() => {
    const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const places = [...Array(data.length / 4).keys()].filter(k => data[4 * k] < 100);
    const [x, y] = [places.map(k => k % width), places.map(k => Math.floor(k / width))];
    return [x, y].flatMap(each => [Math.min(...each), Math.max(...each)]);
}"""  # from left to right and from top to bottom, where strokes are


def test_the_keyboards_pen_stays_where_it_is_when_a_picture_gives_way_and_no_mouse_draws_for_it(
    browser: Any, port: int, root: Project, tmp_path: Path
) -> None:
    image = np.load(root.path / "data/normalised/test_images.npy")[0]
    (tmp_path / "digit.png").write_bytes(png(image))
    with opened(browser, port) as page:
        page.set_input_files("#file", tmp_path / "digit.png")
        page.wait_for_selector("#first-answer output:not(:empty)", state="attached")
        page.focus("#canvas")
        box = page.locator("#canvas").bounding_box()
        for key, times in (("ArrowLeft", 8), ("ArrowUp", 8), (" ", 1), ("ArrowDown", 16)):
            for _ in range(times):
                page.keyboard.press(key)
            page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + (0.1 + times / 40) * box["height"], steps=3)
        assert np.allclose(page.evaluate(INKED), [50, 70, 50, 230], atol=2)


def test_a_second_finger_does_not_draw(browser: Any, port: int) -> None:
    with opened(browser, port, has_touch=True) as page:
        box = page.locator("#canvas").bounding_box()
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *places: tuple[float, float]) -> None:
            points = [
                {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": k}
                for k, (x, y) in enumerate(places)
            ]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", (0.5, 0.2))
        touch("touchMove", (0.5, 0.3))
        touch("touchStart", (0.5, 0.3), (0.9, 0.1))
        for k in range(1, 6):
            touch("touchMove", (0.5, 0.3 + k / 10), (0.9, 0.1 + k / 10))
        touch("touchEnd")
        assert np.allclose(page.evaluate(INKED), [130, 150, 46, 234], atol=2)
        touch("touchStart", (0.2, 0.5))  # the next stroke is any finger's
        touch("touchMove", (0.2, 0.6))
        touch("touchEnd")
        assert page.evaluate(INKED)[0] < 60


def test_what_is_sent_is_dark_on_light_whatever_the_colours_of_the_page(browser: Any, port: int) -> None:
    sent = []
    for scheme in ("light", "dark"):
        with opened(browser, port, color_scheme=scheme) as page:
            draw(page, [(0.5, 0.2), (0.5, 0.8)])
            model = page.locator("#second option:text-is('other')").get_attribute("value")
            with page.expect_request(f"**/predict?model={model}") as asked:
                page.select_option("#second", model)
            sent.append(np.asarray(Image.open(io.BytesIO(asked.value.post_data_buffer)).convert("L")))
            page.wait_for_selector("#second-answer output:not(:empty)", state="attached")
    assert np.array_equal(*sent)
    assert sent[0][0, 0] == 255
    assert sent[0][140, 140] < 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_accessible_in_light_and_dark_and_fits_a_telephone(
    scheme: str, width: int, browser: Any, port: int, tmp_path: Path
) -> None:
    with opened(browser, port, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        page.select_option("#second", label="other")
        draw(page, SEVEN)
        says(page, "first", "7")
        page.wait_for_selector("#second-answer output:not(:empty)", state="attached")
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / "page.png", full_page=True)
