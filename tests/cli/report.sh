#!/usr/bin/env bash
# The pages of eval --html and compare --html in a browser: curves drawn, slider, sorting and dark mode work, no errors, nothing fetched.
# Skipped where Chromium (Debian: chromium) is missing.
source "$(dirname "$0")/lib.bash"

make_png a.png 200 170
make_png b.png 180 176
expect_exit 0 "$DECANT" eval --repeats 1 -q 20,50,80 --against jpeg,webp --html eval.html --csv eval.csv a.png b.png
expect_exit 1 "$DECANT" compare a.png a.png --html eval.html
expect_exit 0 "$DECANT" compare a.png a.png --html compare.html
for page in eval.html compare.html; do
    [[ $(stat -c %s "$page") -lt 4000000 ]] || fail "$page is too large"
    ! grep -oE '(src|href)="?(https?:)?//[^"]*' "$page" || fail "$page refers to something else"
done

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "skipped: no Chromium; Debian has it as the package chromium"
    exit 77
}

# Appended to a page: uses it as a reader would, and leaves what it saw in the document.
cat >probe.html <<'HTML'
<script>
{  // a block of its own: the page has names, too
const seen = {};
addEventListener("error", event => seen.error = event.message);
const by = id => document.getElementById(id);
const set = (node, value, kind) => { node.value = value; node.dispatchEvent(new Event(kind)); };
seen.charts = document.querySelectorAll("svg.chart").length;
seen.curves = document.querySelectorAll("svg.chart:first-of-type path.curve").length;
const chart = document.querySelector("svg.chart");
if (chart) {
    chart.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
    seen.values = /bpp, .* dB/.test(chart.parentElement.querySelector("figcaption").textContent);
    const before = document.querySelector("path.curve").getAttribute("d");
    by("axis").click();
    seen.linear = document.querySelector("path.curve").getAttribute("d") !== before;
}
set(by("slider"), 25, "input");
seen.slider = by("after").style.clipPath.includes("25%");
by("map").click();
seen.map = !by("difference").hidden;
set(by("zoom"), "2", "change");
seen.alt = [...document.images].every(image => image.alt);
const column = i => [...by("pictures").tBodies[0].rows].map(row => parseFloat(row.cells[i].textContent));
const head = [...by("pictures").tHead.rows[0].cells].findIndex(cell => /^SSIM/.test(cell.textContent));
by("pictures").tHead.rows[0].cells[head].firstChild.click();
const up = column(head);
by("pictures").tHead.rows[0].cells[head].firstChild.click();
const down = column(head);
seen.sorted = up.every((v, i) => !i || up[i - 1] <= v) && down.every((v, i) => !i || down[i - 1] >= v);
seen.fetched = performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length;
seen.ground = getComputedStyle(document.body).backgroundColor;
Promise.all([...document.images].map(image => image.decode())).then(() => seen.decoded = true, () => seen.decoded = false)
    .then(() => document.body.dataset.seen = JSON.stringify(seen));
}
</script>
HTML

browse() {  # SCHEME PAGE  what the probe saw, as JSON; 0 is dark, 1 light
    cat "$2" probe.html >probed.html
    timeout 100 "$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$TEMP/profile" --virtual-time-budget=8000 \
        --blink-settings=preferredColorScheme="$1" --enable-logging=stderr --dump-dom "file://$PWD/probed.html" >dom 2>log || fail "the browser failed"
    ! grep -a CONSOLE log || fail "$2: messages on the browser's console"
    python3 - dom <<'PYTHON'
import html, re, sys
print(html.unescape(re.search(r'data-seen="([^"]*)"', open(sys.argv[1], encoding="utf-8").read()).group(1)))
PYTHON
}

browse 1 eval.html >light
browse 0 eval.html >dark
browse 1 compare.html >pair
python3 - light dark pair <<'PYTHON' || fail "not what a reader should see"
import json, sys
light, dark, pair = (json.load(open(name)) for name in sys.argv[1:])
print(light, dark, pair)
for seen in light, dark, pair:
    assert "error" not in seen and seen["fetched"] == 0
    assert all(seen[key] for key in ("slider", "map", "alt", "sorted", "decoded"))
assert light["charts"] == 4 and light["curves"] >= 3 and light["values"] and light["linear"]
assert pair["charts"] == 0
assert light["ground"] != dark["ground"]
PYTHON
