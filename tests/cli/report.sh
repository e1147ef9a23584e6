#!/usr/bin/env bash
# The pages of eval --html and compare --html in a browser: curves drawn, slider, sorting and dark mode work, no errors, nothing fetched.
# Skipped where Chromium (Debian: chromium) is missing.
source "$(dirname "$0")/lib.bash"

make_png a.png 200 170
make_png b.png 180 176
expect_exit 0 "$DECANT" eval --repeats 1 -q 20,50,80 --against jpeg,webp --html eval.html --csv eval.csv a.png b.png
# 24 pictures by the names and the sizes of Kodak's: published curves behind the measured ones.
make_png 01.png 768 512
for i in {02..24}; do cp 01.png $i.png; done
expect_exit 0 "$DECANT" eval --repeats 1 -q 20,60 --quiet --html kodak.html {01..24}.png
expect_exit 1 "$DECANT" compare a.png a.png --html eval.html
expect_exit 0 "$DECANT" compare a.png a.png --html compare.html
for page in eval.html compare.html kodak.html; do
    [[ $(stat -c %s "$page") -lt 15000000 ]] || fail "$page is too large"
    ! grep -oE '(src|href)="?(https?:)?//[^"]*' "$page" || fail "$page refers to something else"
done

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "skipped: no Chromium; Debian has it as the package chromium"
    exit 77
}

# Appended to a page: uses it as a reader would when everything is loaded, and leaves what it saw in the document.
cat >probe.html <<'HTML'
<script>
{  // a block of its own: the page has names, too
const seen = {};
addEventListener("error", event => seen.error = event.message);
// All pictures that the page may show, which it waits for.
const pictures = views.flatMap(view => [view, ...view.others]).flatMap(one => [one.src, one.crop, one.difference]).filter(Boolean)
    .map(src => Object.assign(new Image(), {src, alt: "-", hidden: true}));
document.body.append(...pictures);
addEventListener("load", () => {
seen.decoded = pictures.every(image => image.naturalWidth > 0);
const by = id => document.getElementById(id);
const set = (node, value, kind) => { node.value = value; node.dispatchEvent(new Event(kind)); };
seen.charts = document.querySelectorAll("svg.chart").length;
seen.curves = document.querySelectorAll("svg.chart:first-of-type path.curve").length;
seen.published = document.querySelectorAll("svg.chart path.published").length;
const chart = document.querySelector("svg.chart");
if (chart) {
    chart.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
    const caption = chart.parentElement.querySelector("figcaption"), byKey = caption.textContent;
    seen.values = /bpp, .* dB/.test(byKey);
    const box = chart.getBoundingClientRect();
    chart.dispatchEvent(new PointerEvent("pointermove", {clientX: box.right, clientY: box.top}));
    seen.hover = /bpp, .* dB/.test(caption.textContent) && caption.textContent !== byKey;
    const before = document.querySelector("path.curve").getAttribute("d");
    by("axis").click();
    seen.linear = document.querySelector("path.curve").getAttribute("d") !== before;
}
set(by("slider"), 25, "input");
seen.slider = by("after").style.clipPath.includes("25%");
by("map").click();
seen.map = !by("difference").hidden;
set(by("zoom"), "2", "change");
by("closer").click();
seen.closer = by("zoom").value === "4" && document.querySelector(".stack").offsetWidth > document.querySelector(".stage").clientWidth / 2;
const sides = () => by("before").alt === by("after").alt;
seen.left = !sides();
set(by("left"), "0", "change");
seen.left &&= sides() && by("before").src === by("after").src;
set(by("left"), "original", "change");
if (by("right").options.length > 1) {
    set(by("right"), "1", "change");
    seen.right = by("after").src.startsWith("data:image/jpeg");  // as measured
}
seen.alt = [...document.images].every(image => image.alt);
const column = i => [...by("picture-table").tBodies[0].rows].map(row => parseFloat(row.cells[i].textContent));
const head = [...by("picture-table").tHead.rows[0].cells].findIndex(cell => /^SSIM/.test(cell.textContent));
by("picture-table").tHead.rows[0].cells[head].firstChild.click();
const up = column(head);
by("picture-table").tHead.rows[0].cells[head].firstChild.click();
const down = column(head);
seen.sorted = up.every((v, i) => !i || up[i - 1] <= v) && down.every((v, i) => !i || down[i - 1] >= v);
const filter = document.querySelector("#section-pictures input[type=search]");
if (filter) {
    const rows = by("picture-table").tBodies[0].rows, all = rows.length;
    set(filter, "b.png webp", "input");
    seen.filter = rows.length === 6 && all === 30;
}
seen.fetched = performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length;
seen.ground = getComputedStyle(document.body).backgroundColor;
document.body.dataset.seen = JSON.stringify(seen);
});
}
</script>
HTML

browse() {  # SCHEME PAGE  what the probe saw, as JSON; 0 is dark, 1 light
    cat "$2" probe.html >probed.html
    timeout 100 "$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$TEMP/profile" \
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
browse 1 kodak.html >kodak
python3 - light dark pair kodak <<'PYTHON' || fail "not what a reader should see"
import json, sys
light, dark, pair, kodak = pages = [json.load(open(name)) for name in sys.argv[1:]]
print(*pages, sep="\n")
for seen in pages:
    assert "error" not in seen and seen["fetched"] == 0
    assert all(seen[key] for key in ("slider", "map", "alt", "sorted", "decoded", "closer", "left"))
assert light["hover"] and light["right"] and light["filter"] and light["published"] == 0
assert kodak["published"] == 5
assert light["charts"] == 4 and light["curves"] >= 3 and light["values"] and light["linear"]
assert pair["charts"] == 0
assert light["ground"] != dark["ground"]
PYTHON
