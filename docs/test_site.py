"The built site in a real browser: nothing from outside, no error on the console, and what readers use works."
import functools
import json
import os
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT/'_site'
ARGS = (
    '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking'
    ' --disable-component-update --disable-sync'.split()
)
PAGES = sorted(
    n
    for n in (p.relative_to(SITE).as_posix() for p in SITE.rglob('*.html'))
    if n not in ('genindex.html', 'search.html') and not n.startswith('_')
)


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


@pytest.fixture(scope='session')
def browser():
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=os.environ.get('CHROMIUM', '/usr/bin/chromium'), args=ARGS)
        yield b
        b.close()


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
    notebooks = [
        p.relative_to(ROOT / 'nbs') for p in (ROOT / 'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts
    ]
    names = {(p.parent/p.stem.lstrip('0123456789').lstrip('_')).with_suffix('.html').as_posix() for p in notebooks}
    assert names <= set(PAGES), names - set(PAGES)


@pytest.mark.parametrize('name', PAGES)
def test_page(page, base, name):
    page.goto(base + name)
    page.wait_for_load_state('networkidle')
    text = page.content()
    assert not re.search(r'#\|\s*(export|hide|slow|default_exp)', text) and 'nbdev_export' not in text
    assert page.locator('mjx-merror, [data-mjx-error]').count() == 0
    for figure in page.locator('.mermaid').all():
        figure.scroll_into_view_if_needed()
        figure.locator('svg').wait_for()
    page.set_viewport_size(dict(width=390, height=844))
    assert page.evaluate('document.documentElement.scrollWidth') <= 390


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
    page.locator('div.highlight').first.hover()
    page.locator('button.copybtn').first.click()
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
