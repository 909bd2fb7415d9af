"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // A page opened from a file may be refused any storage; the switches then work for this visit only.
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* see above */ } };

  const speak = (language) => {
    root.lang = language === "zh" ? "zh-CN" : "en";
    root.dataset.lang = language;
    for (const element of document.querySelectorAll("[data-en]")) {
      element.setAttribute("aria-label", element.dataset[language]);
    }
    const other = language === "zh" ? ["en", "English", "Switch to English"] : ["zh", "中文", "切换到中文"];
    const button = byId("language");
    [button.lang, button.textContent] = other;
    button.setAttribute("aria-label", other[2]);
  };
  const preferred = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
  const remembered = recall("specstudy-language");
  speak(["en", "zh"].includes(remembered) ? remembered : preferred);
  byId("language").addEventListener("click", () => {
    const language = root.dataset.lang === "zh" ? "en" : "zh";
    speak(language);
    keep("specstudy-language", language);
  });

  const dark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const press = () => byId("theme").setAttribute("aria-pressed", String(dark()));
  const theme = recall("specstudy-theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  press();
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    keep("specstudy-theme", root.dataset.theme);
    press();
  });

  const sortKey = (row, column) => row.cells[column].dataset.sort;
  const compare = (left, right) => {
    if (left === "" || right === "") return (left === "") - (right === "");
    const difference = Number(left) - Number(right);
    return Number.isNaN(difference) ? left.localeCompare(right) : difference;
  };
  for (const button of document.querySelectorAll("th .sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const body = head.closest("table").tBodies[0];
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [sortKey(row, head.cellIndex), row]);
      keyed.sort((left, right) => left[0] === "" || right[0] === ""
        ? compare(left[0], right[0]) : (down ? -1 : 1) * compare(left[0], right[0]));
      body.append(...keyed.map(([, row]) => row));
    });
  }

  const unfold = (open) => { for (const fold of document.querySelectorAll("details")) fold.open = open; };
  addEventListener("beforeprint", () => unfold(true));
  addEventListener("afterprint", () => unfold(false));

  if (!byId("records")) return;
  const filter = byId("filter");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of byId("table-runs").tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    byId("matches").textContent = words.length ? String(shown) : "";
  });

  let unpacked = null;
  const records = () => {
    unpacked ??= (async () => {
      const bytes = Uint8Array.from(atob(byId("records").textContent), (one) => one.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return (await new Response(stream).text()).split("\n");
    })();
    return unpacked;
  };
  const dialog = byId("record");
  byId("close").addEventListener("click", () => dialog.close());
  byId("table-runs").addEventListener("click", async (event) => {
    const button = event.target.closest(".record");
    if (!button) return;
    byId("record-title").textContent = button.textContent;
    byId("record-text").textContent = "";
    byId("record-error").hidden = true;
    dialog.showModal();
    try {
      const record = JSON.parse((await records())[Number(button.dataset.record)]);
      // Lists of numbers on one line: a record has hundreds of cycles.
      const text = JSON.stringify(record, null, 2);
      byId("record-text").textContent = text.replace(/\[[-\d.,\seE+]*\]/g, (list) => list.replace(/\s+/g, " "));
    } catch {
      byId("record-error").hidden = false;
    }
  });
})();
