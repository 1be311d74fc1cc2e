"""Does every chapter begin well on Colab? Tried in an empty environment with a stand-in for Colab's shell.

In it the first cells of each notebook are run, in an empty folder, up to the last of the imports at its head. Git's
`insteadOf` leads the book's address to this repository's last commit. The front page installs, in the very process that
then imports, as on Colab; the others find it installed. Those of ENTIRE are run to their end.

    python .ci/colab.py [part of a notebook's path …]
"""
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = 'https://github.com/smollm-nb/smollm-nb'
ENTIRE = ('index.ipynb', 'corpus/105_decode.ipynb', 'training/310_schedule.ipynb')
BROUGHT = ['ipython', 'matplotlib', 'pandas']   # and PyTorch, as the Makefile pins it
SHELL = 'from IPython.core.interactiveshell import InteractiveShell\nclass Shell(InteractiveShell): pass\n'


def imports(text):
    "Is this cell imports and nothing else?"
    body = ast.parse(text).body
    return bool(body) and all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in body)


def first_cells(notebook, entire):
    "The sources of its code cells up to the last import cell at its head."
    cells = [(c['id'], ''.join(c['source'])) for c in notebook['cells'] if c['cell_type'] == 'code']
    cells = [(i, s) for i, s in cells if not re.search(r'^#\| (slow|gpu)', s, re.M)]
    kinds = [i != 'colab' and imports(s) for i, s in cells]
    if entire or True not in kinds:
        return [s for _, s in cells]
    first = kinds.index(True)
    return [s for _, s in cells[:kinds.index(False, first) if False in kinds[first:] else None]]


def child(name, content, installed):
    "Run the first cells of a notebook in this process; a line says in which folder they left it."
    from google.colab._shell import Shell
    shell = Shell.instance()
    notebook = json.loads((ROOT/'nbs'/name).read_text(encoding='utf-8'))
    for text in first_cells(notebook, name in ENTIRE):
        text = text.replace('/content', content)
        if installed:
            text = re.sub(r'^    %pip.*$', '    pass', text, flags=re.M)
        shell.run_cell(text).raise_error()
    print(f'\nleft in {os.getcwd()}')


def environment(folder):
    "What a process sees of the outer world: the environment, the stand-in, and where the book's address leads."
    stand_in = folder/'stand-in'/'google'/'colab'
    stand_in.mkdir(parents=True)
    (stand_in/'__init__.py').write_text('')
    (stand_in/'_shell.py').write_text(SHELL)
    new = dict(
        PATH=f'{folder/"env"/"bin"}:{os.environ["PATH"]}', PYTHONPATH=str(folder/'stand-in'), MPLBACKEND='agg',
        OMP_NUM_THREADS='1', GIT_CONFIG_COUNT='1', GIT_CONFIG_KEY_0=f'url.{ROOT.as_uri()}.insteadOf',
        GIT_CONFIG_VALUE_0=ADDRESS, IPYTHONDIR=str(folder/'ipython'),
    )
    return {k: v for k, v in os.environ.items() if k not in ('VIRTUAL_ENV', 'PYTHONHOME')} | new


def begins(folder, names, seen, installed=True):
    "Run notebooks' first cells, some at a time; the names of those that fail or do not end in their own folder."
    content = (folder/'content').resolve()
    def one(name):
        words = [folder/'env'/'bin'/'python', __file__, '--notebook', name, str(content), str(int(installed))]
        done = subprocess.run(
            words, cwd=content, env=seen, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=3600,
        )
        place = f'left in {(content/"smollm-nb"/"nbs"/name).parent}'
        return done.returncode == 0 and place in done.stdout.splitlines(), done.stdout
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (good, said) in zip(names, pool.map(one, names)):
            print(f'{name}: {"begins" if good else "FAILS"}', *([] if good else [said]), sep='\n', flush=True)
            failed += [] if good else [name]
    return failed


def main(parts):
    torch = re.search(r'^TORCH = (\S+)$', (ROOT/'Makefile').read_text(), re.M)[1]
    names = sorted(p.relative_to(ROOT/'nbs').as_posix() for p in (ROOT/'nbs').rglob('*.ipynb'))
    names = [n for n in names if '.ipynb_checkpoints' not in n and (not parts or any(p in n for p in parts))]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder/'content').mkdir()
        venv.create(folder/'env', with_pip=True)
        seen = environment(folder)
        pip = [folder/'env'/'bin'/'python', '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
        subprocess.run([*pip, torch], env=seen, check=True)
        subprocess.run([*pip, *BROUGHT], env=seen, check=True)
        failed = begins(folder, ['index.ipynb'], seen, installed=False)
        failed += begins(folder, [n for n in names if n != 'index.ipynb'], seen)
    print(f'{len(failed)} notebooks fail', *failed, sep='\n')
    sys.exit(bool(failed))


if __name__ == '__main__':
    if sys.argv[1:2] == ['--notebook']:
        child(sys.argv[2], sys.argv[3], sys.argv[4] == '1')
    else:
        main(sys.argv[1:])
