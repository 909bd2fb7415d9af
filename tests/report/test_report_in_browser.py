"""The page in a real browser with the network off. Screenshots stay in build/report-screenshots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.report.browser import console, network, screenshot, start

SCREENSHOTS = Path(__file__).parents[2] / "build" / "report-screenshots"
BRIGHT, DIM = 200, 100
"""Of 255."""
PHONE = {"width": 360, "height": 760, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser = start(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, page: str, published: str) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    for name, text in (("study", page), ("published", published)):
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in ("study", "published")}


@pytest.fixture
def opened(chrome: webdriver.Chrome, files: dict[str, str]) -> Iterator[webdriver.Chrome]:
    """The study's page, as on a first visit."""
    chrome.get(files["study"])
    chrome.execute_script("localStorage.clear()")
    chrome.refresh()
    chrome.set_window_size(1280, 1000)
    yield chrome
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def heading(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def click(browser: webdriver.Chrome, name: str) -> None:
    browser.find_element(By.ID, name).click()


def runs_column(browser: webdriver.Chrome, place: int) -> list[str]:
    script = (
        "return [...document.querySelectorAll('#table-runs tbody tr')]"
        ".map((row) => row.cells[arguments[0]].dataset.sort)"
    )
    found: list[str] = browser.execute_script(script, place)
    return found


@pytest.mark.parametrize("name", ["study", "published"])
def test_the_page_opens_without_network_errors_or_a_word_on_the_console(
    chrome: webdriver.Chrome, files: dict[str, str], name: str
) -> None:
    console(chrome), network(chrome)
    chrome.get(files[name])
    asked, failed = network(chrome)
    assert [address for address in asked if not address.startswith("data:")] == [files[name]]
    assert failed == []
    assert console(chrome) == []
    screenshot(chrome, SCREENSHOTS / f"{name}-english.png")


def test_the_page_speaks_chinese_and_back_and_keeps_the_choice(opened: webdriver.Chrome) -> None:
    assert heading(opened).startswith("SD on this machine: MoE Q4 best")
    click(opened, "language")
    assert heading(opened).startswith("本机上的推测解码：MoE Q4 最佳为")
    assert (
        opened.find_element(By.CSS_SELECTOR, "#figure-speedup-over-gamma figcaption").text == "加速比随 γ 的变化"
    )
    drawn = opened.find_element(By.CSS_SELECTOR, "#figure-speedup-over-gamma svg")
    assert "每周期草稿词元数（γ）" in drawn.text
    assert "Tokens drafted" not in drawn.text
    assert drawn.get_attribute("aria-label").startswith("每个目标模型一幅")
    screenshot(opened, SCREENSHOTS / "study-chinese.png", height=9000)
    opened.refresh()
    assert heading(opened).startswith("本机上的推测解码")
    click(opened, "language")
    assert heading(opened).startswith("SD on this machine")
    assert console(opened) == []


def test_dark_mode_changes_paper_and_figures_and_is_kept(opened: webdriver.Chrome) -> None:
    colours = (
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('svg.plot text')).fill]"
    )
    light = opened.execute_script(colours)
    click(opened, "theme")
    dark = opened.execute_script(colours)
    assert brightness(light[0]) > BRIGHT
    assert brightness(light[1]) < DIM
    assert brightness(dark[0]) < DIM
    assert brightness(dark[1]) > BRIGHT
    screenshot(opened, SCREENSHOTS / "study-dark.png", height=9000)
    opened.refresh()
    assert opened.execute_script(colours) == dark


def brightness(colour: str) -> float:
    red, green, blue = (float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3])
    return 0.3 * red + 0.59 * green + 0.11 * blue


def test_a_press_on_a_head_sorts_by_number_and_a_second_one_reverses(opened: webdriver.Chrome) -> None:
    button = opened.find_element(By.XPATH, "//*[@id='table-runs']//th[11]/button")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", button)
    button.send_keys(Keys.ENTER)
    speeds = [float(one) for one in runs_column(opened, 10)]
    assert speeds == sorted(speeds)
    button.send_keys(Keys.ENTER)
    assert [float(one) for one in runs_column(opened, 10)] == sorted(speeds, reverse=True)
    head = opened.find_element(By.XPATH, "//*[@id='table-runs']//th[11]")
    assert head.get_attribute("aria-sort") == "descending"


def test_a_run_shows_its_record_and_gives_the_keyboard_back(opened: webdriver.Chrome) -> None:
    button = opened.find_element(By.CSS_SELECTOR, "#table-runs .record")
    button.send_keys(Keys.ENTER)
    text = opened.find_element(By.ID, "record-text")
    WebDriverWait(opened, 10).until(lambda _: text.text != "")
    record: dict[str, Any] = json.loads(text.text)
    assert record["run_id"] == button.text == opened.find_element(By.ID, "record-title").text
    assert record["measurement"]["cycles"]["verify_ns"]
    opened.save_screenshot(SCREENSHOTS / "study-record.png")
    opened.find_element(By.ID, "close").send_keys(Keys.ENTER)
    assert not opened.find_element(By.ID, "record").is_displayed()
    assert opened.switch_to.active_element == button


def test_the_filter_leaves_matching_runs(opened: webdriver.Chrome) -> None:
    opened.find_element(By.ID, "filter").send_keys("dense-sd chinese")
    shown = [
        row.text for row in opened.find_elements(By.CSS_SELECTOR, "#table-runs tbody tr") if row.is_displayed()
    ]
    assert len(shown) == int(opened.find_element(By.ID, "matches").text) > 0
    assert all("dense-sd" in text and "chinese" in text for text in shown)


def test_the_keyboard_reaches_the_answer_the_switches_and_the_contents(opened: webdriver.Chrome) -> None:
    reached = []
    for _ in range(6):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        focused = opened.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.get_attribute("href").rpartition("#")[2])
        outline = opened.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    assert reached[:5] == ["answer", "language", "theme", "answer", "trust"]
    opened.find_element(By.ID, "language").send_keys(Keys.SPACE)
    assert heading(opened).startswith("本机")


@pytest.mark.parametrize("name", ["study", "published"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phone_shows_the_page_without_sideways_scrolling(
    opened: webdriver.Chrome, files: dict[str, str], name: str, language: str
) -> None:
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    opened.get(files[name])
    if language == "zh":
        click(opened, "language")
    opened.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert opened.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    screenshot(opened, SCREENSHOTS / f"{name}-phone-{language}.png")


def test_the_printed_page_has_tables_unfolded_and_no_switches(opened: webdriver.Chrome) -> None:
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(fold.get_attribute("open") for fold in opened.find_elements(By.TAG_NAME, "details"))
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.find_element(By.ID, "theme").is_displayed()
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
