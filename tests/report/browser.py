"""A real browser without a network, for tests that open the report."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "google-chrome", "chromium-browser")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-US",
)  # fmt: skip
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}


def start(profile: Path) -> webdriver.Chrome:
    """A browser of its own, offline. Skips where there is none; on CI that is a failure instead."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "a browser" if browser is None else "chromedriver"
        message = f"{missing} is not on PATH; on Debian: apt-get install chromium chromium-driver"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    found.execute_cdp_cmd("Network.enable", {})
    found.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
    return found


def console(browser: webdriver.Chrome) -> list[str]:
    """Everything the console said since it was last asked."""
    return [entry["message"] for entry in browser.get_log("browser")]


def network(browser: webdriver.Chrome) -> tuple[list[str], list[str]]:
    """Addresses that were requested since last asked, and errors of requests that failed."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    failed = [one["params"]["errorText"] for one in events if one["method"] == "Network.loadingFailed"]
    return asked, failed


def screenshot(browser: webdriver.Chrome, path: Path, height: int = 2400) -> None:
    """The page from its top, at most `height` CSS pixels of it."""
    size: dict[str, Any] = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height), "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))
