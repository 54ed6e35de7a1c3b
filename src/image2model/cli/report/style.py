"""The sheet's one style sheet: light and dark, and cards that are not torn apart in print.

Who calls it: `page`.
"""

from typing import Final

CSS: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d9dee4;--card:#fff;--page:#f4f6f8;
--bad:#b42318;--good:#1a7f4b}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebee;--soft:#9aa4ae;--line:#343b43;--card:#1e2329;
--page:#14181c;--bad:#ff8a7a;--good:#5fd39a}}
*{box-sizing:border-box}
body{margin:0;padding:24px;background:var(--page);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
h1{font-size:20px;margin:0 0 4px}h2{font-size:14px;margin:0;overflow-wrap:anywhere}
header p{margin:0;color:var(--soft);overflow-wrap:anywhere}
.totals{display:flex;flex-wrap:wrap;gap:8px 32px;margin:16px 0 24px}
.totals div{display:flex;flex-direction:column-reverse}
.totals dt,dl.facts dt{color:var(--soft)}.totals dd{margin:0;font-size:18px;font-weight:600}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:16px}
article{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;
break-inside:avoid}
article.bad{border-color:var(--bad)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:8px;margin-bottom:8px}
figure{margin:0}figcaption{color:var(--soft);font-size:12px}
.frame{aspect-ratio:1;display:flex;align-items:center;justify-content:center;background:var(--page);
border-radius:4px;color:var(--soft);font-size:12px;text-align:center;overflow:hidden}
.frame img{width:100%;height:100%;object-fit:contain}
.status{font-size:12px;font-weight:600;color:var(--soft)}.succeeded{color:var(--good)}
.failed,.rejected{color:var(--bad)}
dl.facts{display:grid;grid-template-columns:auto 1fr;gap:0 12px;margin:8px 0 0;font-size:13px}
dl.facts dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.error{margin:8px 0 0;font-size:13px;color:var(--bad);overflow-wrap:anywhere}
.advice{margin:4px 0 0;font-size:13px;overflow-wrap:anywhere}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;--page:#fff;--bad:#a00;
--good:#060}@page{margin:12mm}body{padding:0;font-size:11px}
.sheet{grid-template-columns:repeat(3,1fr);gap:8px}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
