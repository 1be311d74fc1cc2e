"""Put back the notebooks that were only run: `make restore`. One whose cells are as they were in git gets its outputs,
counts and metadata from there too; one whose cells were edited is left as it is, and named."""
import json
import subprocess

from chapters import ROOT, source


def git(*words):
    done = subprocess.run(['git', *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, encoding='utf-8')
    return done.stdout


def cells(text):
    "What an author writes: kinds, sources and attached pictures."
    return [(c['cell_type'], source(c), c.get('attachments')) for c in json.loads(text)['cells']]


def only_run(name):
    try:
        return cells((ROOT/name).read_text(encoding='utf-8')) == cells(git('show', f':./{name}'))
    except (ValueError, LookupError, subprocess.CalledProcessError):   # no notebook any more, or half merged
        return False


def main():
    changed = git('diff', '--relative', '--name-only', '--diff-filter=M', '-z', '--', '*.ipynb').split('\0')[:-1]
    run = [name for name in changed if only_run(name)]
    if run:
        git('checkout', '--', *run)
    print(f'restored: {len(run)} notebooks that were only run')
    for name in sorted(set(changed) - set(run)):
        print(f'edited, left alone: {name}')


if __name__ == '__main__':
    main()
