"The built site in a real browser: nothing from outside, no error on the console, and what readers use works."
import ast
import functools
import json
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chapters import NBS, chapters, read, source
from sphinx.util.inventory import InventoryFile

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT/'_site'
PAGES = sorted(
    n
    for n in (p.relative_to(SITE).as_posix() for p in SITE.rglob('*.html'))
    if n not in ('genindex.html', 'search.html') and not n.startswith('_')
)


def place(notebook):
    "The page of a notebook below nbs/."
    return (notebook.parent/re.sub(r'^\d+_', '', notebook.stem)).with_suffix('.html').as_posix()


CHAPTERS = {place(c.path): c for c in chapters()}
# one page of each kind: prose, words, names, formulas, figures, tables, long code, answers, diagrams
LOOKED_AT = [
    'index.html', 'install.html', 'glossary.html', 'api.html', 'model/layers.html', 'model/memory.html',
    'corpus/web.html', 'evaluation/scoreboard.html', 'command_line.html', 'settings.html',
]


class Server(ThreadingHTTPServer):
    def handle_error(self, *a): pass   # a page that is left while it loads closes its connection


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *a): pass


@pytest.fixture(scope='session')
def base():
    server = Server(('127.0.0.1', 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/'
    server.shutdown()


@pytest.fixture
def page(browser, base):
    context, outside, errors = browser.new_context(permissions=['clipboard-read', 'clipboard-write']), [], []
    context.route(
        '**/*',
        lambda r: (
            r.continue_() if r.request.url.startswith((base, 'data:')) else (outside.append(r.request.url), r.abort())
        ),
    )
    pg = context.new_page()
    pg.on('pageerror', lambda e: errors.append(str(e)))
    pg.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
    yield pg
    context.close()
    assert not outside and not errors, (outside, errors)


def test_every_notebook_has_a_page():
    notebooks = [p.relative_to(NBS) for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts]
    names = {place(p) for p in notebooks}
    assert names <= set(PAGES), names - set(PAGES)


def squeezed(text): return re.sub(r'\s+', '', text)


def exported(chapter):
    "The exported cells of a chapter, without their directives."
    cells = [source(c) for c in read(NBS/chapter.path)['cells'] if c['cell_type'] == 'code']
    cells = [c for c in cells if '#| export' in c and '#| hide' not in c]
    return ['\n'.join(line for line in c.splitlines() if not line.startswith('#|')) for c in cells]


@pytest.mark.parametrize('name', CHAPTERS)
def test_chapter(page, base, name):
    "The opening stands on the page, the exported code where it was written, and each of its names in a box below."
    page.goto(base + name)
    opening = page.locator('article strong').all_inner_texts()
    assert {'Goal', 'You will have', 'Needs', 'Cost'} <= set(opening)
    told = page.locator('meta[name=description]').get_attribute('content')
    assert squeezed(told) == squeezed(CHAPTERS[name].subtitle.replace('`', ''))
    shown = squeezed(''.join(page.locator('article div.highlight pre').all_text_contents()))
    boxes = page.locator('dl.py > dt').evaluate_all('boxes => boxes.map(b => b.id.split(".").pop())')
    for cell in exported(CHAPTERS[name]):
        assert squeezed(cell) in shown, cell[:200]
        kinds = ast.FunctionDef, ast.ClassDef
        public = [n.name for n in ast.parse(cell).body if isinstance(n, kinds) and n.name[0] != '_']
        assert set(public) <= set(boxes), (public, boxes)
    # parameters stand in a table, not once more in the text
    told = page.locator('dl.py > dd > p, dl.py > dd > dl > dt').all_inner_texts()
    assert not [t for t in told if re.match(r'(Args|Attributes|Returns):', t)]


def test_order(page, base):
    "The menu, and the links to the next page, go through the chapters as they are read."
    page.goto(base + 'index.html')
    menu = page.locator('nav.bd-docs-nav a').evaluate_all('links => links.map(a => [a.href, a.innerText])')
    menu = [(href.removeprefix(base), text) for href, text in menu]
    assert [href for href, _ in menu if href in CHAPTERS] == list(CHAPTERS)
    assert all(('workshop' in text) == CHAPTERS[href].workshop for href, text in menu if href in CHAPTERS)
    for here, there in zip(list(CHAPTERS)[:8], list(CHAPTERS)[1:9]):
        page.goto(base + here)
        assert page.locator('a.right-next').evaluate('a => a.href') == base + there


def test_inventory():
    "Other projects can link to our names, methods included."
    with open(SITE/'objects.inv', 'rb') as f:
        found = InventoryFile.load(f, '', lambda a, b: b)
    assert 'smollm_nb.model.lm.SmolLM' in found['py:class']
    assert 'smollm_nb.model.lm.SmolLM.loss' in found['py:method']
    assert 'smollm_nb.training.loop.fit' in found['py:function']


def test_for_models():
    text = (SITE/'llms.txt').read_text()
    assert all(f'{name}): ' in text for name in CHAPTERS)


@pytest.mark.parametrize('name', PAGES)
def test_page(page, base, name):
    page.goto(base + name)
    page.wait_for_load_state('networkidle')
    text = page.content()
    assert not re.search(r'#\|\s*(export|hide|slow|default_exp)', text) and 'nbdev_export' not in text
    assert 'google.colab' not in text   # the cell that works on Colab alone
    assert page.locator('mjx-merror, [data-mjx-error]').count() == 0
    labels = page.locator('article a').all_inner_texts()
    assert not [t for t in labels if re.fullmatch(r'\d{3}(_\w+)?', t)] and '__main__.' not in text
    told = page.locator('article .cell_output img').evaluate_all('images => images.map(i => i.alt)')
    assert all(len(alt) > 20 and not alt.endswith(('.png', '.svg')) for alt in told), told
    for figure in page.locator('.mermaid').all():
        figure.scroll_into_view_if_needed()
        figure.locator('svg').wait_for()
    for width in (1280, 390):
        page.set_viewport_size(dict(width=width, height=844))
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        cut = page.locator('div.highlight pre, .cell_output pre').evaluate_all(
            'blocks => blocks.filter(b => b.scrollWidth > b.clientWidth + 1).map(b => b.innerText.slice(0, 80))'
        )
        assert not cut, (width, cut)


@pytest.mark.parametrize('scheme', ('light', 'dark'))
@pytest.mark.parametrize('name', LOOKED_AT)
def test_accessible(page, base, name, scheme):
    "axe-core finds nothing serious."
    page.emulate_media(color_scheme=scheme)
    page.goto(base + name)
    page.wait_for_load_state('networkidle')
    page.add_script_tag(path=ROOT/'docs'/'_tools'/'axe.min.js')
    found = page.evaluate('axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 200)]))')
    assert not [v for v in found if v[0] in ('serious', 'critical')]


def test_math(page, base):
    page.goto(base + 'training/schedule.html')
    page.wait_for_selector('mjx-container')


def test_search(page, base):
    page.goto(base + 'index.html')
    page.keyboard.press('Control+k')
    page.wait_for_timeout(300)
    page.keyboard.type('trapezoid', delay=40)
    page.wait_for_selector('ul.search a')
    assert any('training/schedule.html' in (a.get_attribute('href') or '') for a in page.locator('ul.search a').all())


def test_dark(page, base):
    page.emulate_media(color_scheme='dark')
    page.goto(base + 'settings.html')
    dark = page.evaluate('getComputedStyle(document.body).backgroundColor')
    page.emulate_media(color_scheme='light')
    page.goto(base + 'settings.html')
    assert page.evaluate('getComputedStyle(document.body).backgroundColor') != dark


def test_copy(page, base):
    page.goto(base + 'training/schedule.html')
    block = page.locator('div.highlight:visible').first   # imports are folded
    block.hover()
    block.locator('button.copybtn').click()
    assert page.evaluate('navigator.clipboard.readText()').strip()


def test_links(page, base):
    page.goto(base + 'training/schedule.html')
    links = page.locator('.nb-links a')
    assert links.nth(0).get_attribute('href').endswith('/blob/main/nbs/training/310_schedule.ipynb')
    with page.expect_download() as download:
        links.nth(1).click()
    assert json.loads(Path(download.value.path()).read_text())['nbformat'] == 4
    page.goto(base + 'index.html')
    page.click('article a:has-text("recipes")')
    page.wait_for_url('**/settings.html')
