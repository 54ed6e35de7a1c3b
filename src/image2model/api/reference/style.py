"""The page's style, light and dark as the reader's system is. Who calls it: the page."""

from typing import Final

CSS: Final = """
:root{color-scheme:light dark;--ink:light-dark(#1c2024,#e6e8ea);--soft:light-dark(#5a6270,#a3abb6);
--paper:light-dark(#fff,#14171a);--panel:light-dark(#f4f6f8,#1d2126);--line:light-dark(#dde2e7,#30363d);
--link:light-dark(#0a58b0,#7db7ff);--good:light-dark(#14713a,#6fd394);--bad:light-dark(#a8201a,#ff9a93)}
*{box-sizing:border-box}
body{margin:0;display:grid;grid-template-columns:19rem minmax(0,1fr);font:16px/1.55 system-ui,sans-serif;
color:var(--ink);background:var(--paper)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;background:var(--panel);
border-right:1px solid var(--line);font-size:.85rem}
nav>a,nav>strong{display:block;margin-top:1rem;font-weight:600}
nav ul{list-style:none;margin:.2rem 0;padding:0}
nav li a{display:flex;gap:.5rem;padding:.15rem 0;color:var(--soft);overflow-wrap:anywhere}
main{padding:1.5rem 2.5rem 6rem;max-width:62rem}
a{color:var(--link);text-decoration:none}a:hover,a:focus-visible{text-decoration:underline}
h1{margin-top:0}h2{margin-top:3rem;border-bottom:1px solid var(--line)}
h3{font-size:1.05rem;margin:2rem 0 .5rem;overflow-wrap:anywhere;scroll-margin-top:1rem}
code,pre,h3{font-family:ui-monospace,monospace}code{font-size:.9em}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.8rem;overflow:auto;
max-height:26rem;font-size:.8rem;line-height:1.45}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem;margin:.6rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line)}
details{border-bottom:1px solid var(--line);padding:.4rem 0}summary{cursor:pointer}
.get,.post,.delete,.call{display:inline-block;min-width:3.6rem;font:600 .75rem/1.9 ui-monospace,monospace;
color:var(--good)}.post,.call{color:var(--link)}.delete,.bad{color:var(--bad)}.good{color:var(--good)}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto}main{padding:1rem}}
"""
