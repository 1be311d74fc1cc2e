"The browser that tests the site and the notebooks in JupyterLab."
import os

import pytest
from playwright.sync_api import sync_playwright

ARGS = (
    '--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run'
    ' --disable-background-networking --disable-component-update --disable-sync'.split()
)


@pytest.fixture(scope='session')
def browser():
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=os.environ.get('CHROMIUM', '/usr/bin/chromium'), args=ARGS)
        yield b
        b.close()
