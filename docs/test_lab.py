"Three chapters in JupyterLab, opened in a real browser and run to their end, then put back by `make restore`."
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ['nbs/training/310_schedule.ipynb', 'nbs/corpus/100_corpus.ipynb', 'nbs/model/200_model.ipynb']
MADE = ('.*', '_proc', '_site', '_sphinx*', '_doctrees', '_vendor', '_tools', 'runs', 'jupyter_execute', '*.egg-info')
SECONDS = 600   # for a chapter, on a busy machine
BAR = 'from tqdm.auto import tqdm\nfor step in tqdm(range(3), desc="a bar"):\n    pass'

# seen from the page: a notebook whose kernel answers and has nothing to do; and its cells
READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget, kernel = panel?.sessionContext?.session?.kernel
  return panel?.context?.isReady && kernel?.connectionStatus == 'connected' && kernel.status == 'idle'
}"""
CELLS = '() => jupyterapp.shell.currentWidget.content.widgets.map(w => w.model.toJSON())'


def read(path): return json.loads(path.read_text(encoding='utf-8'))


def code(cells): return [c for c in cells if c['cell_type'] == 'code']


def git(book, *words):
    who = ['-c', 'user.name=reader', '-c', 'user.email=reader@example.org']
    return subprocess.run(['git', *who, *words], cwd=book, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope='module')
def book(tmp_path_factory):
    "A copy of the book under git, since a chapter that was run is a changed file; the first one gets a progress bar."
    folder = tmp_path_factory.mktemp('lab')/'book'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*MADE))
    notebook = read(folder/CHAPTERS[0])
    cell = dict(cell_type='code', id='bar', metadata={}, source=BAR, execution_count=None, outputs=[])
    notebook['cells'].append(cell)
    (folder/CHAPTERS[0]).write_text(json.dumps(notebook), encoding='utf-8')
    git(folder, 'init', '--quiet')
    git(folder, 'add', '--all')
    git(folder, 'commit', '--quiet', '--message', 'as it came')
    return folder


def restore(book):
    script = [sys.executable, book/'docs'/'restore.py']
    return subprocess.run(script, cwd=book.parent, check=True, capture_output=True, text=True).stdout


def changed(book): return git(book, 'diff', '--name-only').split()


@pytest.fixture(scope='module')
def lab(book):
    "The address of a JupyterLab as `make lab` starts it; all cells stand on the page, even those out of sight."
    here = book.parent
    (here/'app').mkdir()
    settings = {'@jupyterlab/notebook-extension:tracker': dict(windowingMode='none')}
    (here/'app'/'overrides.json').write_text(json.dumps(settings))
    words = re.search(r'^lab:.*\n\t\$\(BIN\)/jupyter (.+) \$\(ARGS\)$', (ROOT/'Makefile').read_text(), re.M)[1].split()
    words += ['--no-browser', '--allow-root', '--IdentityProvider.token=', '--ServerApp.port=0']
    words += ['--LabApp.expose_app_in_browser=1', f'--LabApp.app_settings_dir={here/"app"}']
    paths = dict(PYTHONPATH=str(book), JUPYTER_PREFER_ENV_PATH='1', JUPYTER_CONFIG_DIR=str(here/'config'))
    log = here/'log'   # a pipe that nobody reads would fill up and stop the server
    with log.open('w') as stream:
        server = subprocess.Popen(
            [sys.executable, '-m', 'jupyter', *words], cwd=book, env=os.environ | paths, stdout=stream, stderr=stream
        )
    try:
        while not (found := re.search(r'http://localhost:\d+/', log.read_text())):
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
        yield found[0]
    finally:
        server.terminate()
        server.wait(timeout=60)


def command(page, name):
    "Let JupyterLab do something, without waiting until it is done."
    page.evaluate(f'() => {{ jupyterapp.commands.execute("{name}"); return 1 }}')


def finished(cells):
    "Did every cell run, or one of them fail?"
    kinds = [o['output_type'] for c in code(cells) for o in c['outputs']]
    return 'error' in kinds or all(c['execution_count'] for c in code(cells))


def wait(page, look, seconds):
    "What `look` sees once the chapter has come to its end."
    end = time.time() + seconds
    while not finished(cells := look()) and time.time() < end:
        page.wait_for_timeout(2000)
    return cells


def run(page, lab, path):
    "Open a notebook, run all of its cells, save it; its cells as they stand on the disk."
    page.goto(f'{lab}lab/workspaces/{path.stem}/tree/{path.relative_to(path.parents[2]).as_posix()}')
    page.wait_for_function(READY, timeout=180_000)
    command(page, 'notebook:run-all-cells')
    wait(page, lambda: page.evaluate(CELLS), SECONDS)
    page.wait_for_function(READY)
    command(page, 'docmanager:save')
    return wait(page, lambda: read(path)['cells'], 60)


@pytest.mark.parametrize('chapter', CHAPTERS)
def test_chapter_runs(browser, lab, book, chapter):
    page = browser.new_page()
    cells = run(page, lab, book/chapter)
    outputs = [o for c in code(cells) for o in c['outputs']]
    assert not [o['evalue'] for o in outputs if o['output_type'] == 'error']
    assert all(c['execution_count'] for c in code(cells)), 'did not come to its end'
    assert 'IProgress' not in json.dumps(outputs)   # what tqdm asks for in red where widgets are missing
    text = '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    folded = [c.get('metadata', {}).get('jupyter', {}).get('outputs_hidden') for c in code(cells)]
    shown = [o for c, hidden in zip(code(cells), folded) for o in c['outputs'] if not hidden]
    figures = sum('image/png' in o.get('data', {}) for o in shown)
    bars = sum('application/vnd.jupyter.widget-view+json' in o.get('data', {}) for o in outputs)
    drawn = dict(images=figures, bars=bars, diagrams=text.count('```mermaid'))
    assert figures and (bars == 1) == (chapter == CHAPTERS[0])
    selectors = dict(images='.jp-OutputArea .jp-RenderedImage img', bars='.jp-OutputArea .widget-hprogress')
    selectors |= dict(diagrams='.jp-RenderedMermaid img, .jp-RenderedMermaid svg')
    for kind, number in drawn.items():
        for i in range(number):
            place = page.locator(selectors[kind]).nth(i)
            place.wait_for()
            assert place.bounding_box()['width'] > 20, kind
    if re.search(r'\$[^$`]+\$', text):
        assert page.locator('mjx-container').count()
    page.evaluate('() => jupyterapp.serviceManager.sessions.shutdownAll()')
    page.close()
    assert changed(book) == [chapter]
    assert 'restored: 1' in restore(book)
    assert not changed(book)


def test_restore(book):
    "What was only run comes back; what was edited, staged, deleted or broken stays as it is."
    ran, edited, added, staged, broken, gone = sorted((book/'nbs').glob('*.ipynb'))[:6]
    for path in (ran, edited, added, staged):
        notebook = read(path)
        for cell in code(notebook['cells']):
            cell |= dict(execution_count=7, outputs=[], metadata=dict(trusted=True), source=''.join(cell['source']))
        if path == edited:
            notebook['cells'][-1]['source'].append('\nA note of my own.')
        if path == added:
            notebook['cells'].append(dict(cell_type='raw', id='mine', metadata={}, source=[]))
        if path == staged:
            notebook['cells'][0]['source'] = '# Mine'
        path.write_text(json.dumps(notebook), encoding='utf-8')
    git(book, 'add', str(staged))
    staged.write_text(json.dumps(read(staged), indent=3), encoding='utf-8')
    broken.write_text('<<<<<<< mine')
    gone.unlink()
    (book/'settings.ini').write_text('')
    before = {p: p.read_text() for p in (edited, added, broken)}
    said = restore(book)
    names = [p.relative_to(book).as_posix() for p in (edited, added, broken, gone)]
    assert changed(book) == sorted([*names, 'settings.ini'])
    assert before == {p: p.read_text() for p in before} and read(staged)['cells'][0]['source'] == '# Mine'
    assert 'restored: 2' in said
    assert [line for line in said.splitlines() if 'left alone' in line] == [
        f'edited, left alone: {name}' for name in sorted(names[:3])
    ]
    git(book, 'reset', '--quiet', '--hard')
