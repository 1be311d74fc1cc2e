"""Do the tests notice? Every exported function's body is replaced by `raise`, then by a wrong constant.

For each notebook the cells are run in order. After a cell that exports functions, the process forks once per mutant;
the child runs the cell again with one body replaced and then the rest of the notebook. A cell that fails kills the
mutant. Before that the whole notebook is run once with each of these cells twice and no mutant; and a fork without a
mutant must pass the cell where a mutant fell: what fails there anyway tells nothing. Some tests reach a function only
through the library, in another module or process; so whoever lives is exported to a copy of the library, and the
notebook run against that, if it passes there without a mutant. Survivors are listed; more than 5 % of all mutants is a
failure.

    python .ci/mutants.py [part of a notebook's path …]
"""
import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path

os.environ |= dict(
    OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', TOKENIZERS_PARALLELISM='false', MPLBACKEND='agg', IN_TEST='1'
)
ROOT = Path(__file__).resolve().parent.parent
LIMIT, LONGEST = 0.05, 1800
SKIP = ('slow', 'notest', 'gpu', 'eval: false')


def directives(source): return [line[2:].strip() for line in source.splitlines() if line.startswith('#|')]


def code_cells(path):
    cells = [''.join(c['source']) for c in json.loads(path.read_text())['cells'] if c['cell_type'] == 'code']
    return [c for c in cells if not any(d in SKIP for d in directives(c))]


def is_protocol(node):
    "Whether the methods of a class have no bodies that could be wrong."
    return 'Protocol' in [ast.unparse(base).split('[')[0] for base in node.bases]


def exported_functions(source):
    "Public functions and methods of an export cell, as paths of names."
    if not any(d.split()[0] in ('export', 'exports') for d in directives(source) if d):
        return []
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith('_'):
            found.append((node.name,))
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_') and not is_protocol(node):
            found += [
                (node.name, n.name) for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith('_')
            ]
    return found


def wrong_value(annotation):
    text = ast.unparse(annotation) if annotation else ''
    for kind, value in (('bool', 'True'), ('str', "'mutant'"), ('int', '-12345'), ('float', '-12345.0')):
        if text.startswith(kind):
            return value
    return 'None'


def mutate(source, path, how):
    tree = ast.parse(source)
    body = tree.body
    for name in path:
        node = next(n for n in body if getattr(n, 'name', None) == name)
        body = node.body
    text = "raise RuntimeError('mutant')" if how == 'raise' else f'return {wrong_value(node.returns)}'
    node.body = ast.parse(f'def f():\n    {text}').body[0].body
    return ast.unparse(ast.fix_missing_locations(tree))


def run(source, namespace): exec(compile(source, '<cell>', 'exec'), namespace)


def special(folder, names):
    "Sockets and pipes, which cannot be copied."
    kinds = ('is_symlink', 'is_file', 'is_dir')
    return [n for n in names if not any(getattr(Path(folder)/n, kind)() for kind in kinds)]


def scratch(namespace):
    "Temporary folders that the notebook made so far."
    return [Path(v.name) for v in list(namespace.values()) if isinstance(v, tempfile.TemporaryDirectory)]


def falls_at(cells, namespace, seconds=LONGEST, quiet=True):
    """Run cells in a forked child: the index of the one that fails, the last one's if the child hangs or dies, None if
    none fails. Temporary folders are put back afterwards."""
    folders, keep = [f for f in scratch(namespace) if f.exists()], Path(tempfile.mkdtemp())
    for i, f in enumerate(folders):
        shutil.copytree(f, keep/str(i), symlinks=True, ignore=special)
    pid = os.fork()
    if pid == 0:
        os.setpgrp()
        if quiet:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for i, c in enumerate(cells):
            try:
                run(c, namespace)
            except BaseException as e:
                print(f'{type(e).__name__}: {e}\nin\n{c}', file=sys.stderr, flush=True)
                os._exit(i + 1)
        os._exit(0)
    end, status = time.time() + seconds, None
    while status is None and time.time() < end:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = code
        else:
            time.sleep(0.01)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if status is None:
        os.waitpid(pid, 0)
    for i, f in enumerate(folders):
        shutil.rmtree(f, ignore_errors=True)
        shutil.copytree(keep/str(i), f, symlinks=True)
    shutil.rmtree(keep)
    if status == 0:
        return None
    return os.WEXITSTATUS(status) - 1 if status is not None and os.WIFEXITED(status) else len(cells) - 1


def survives_anew(cells, seconds):
    "Whether no cell fails in a forked child with a `__main__` that has run nothing yet."
    before, sys.modules['__main__'] = sys.modules['__main__'], types.ModuleType('__main__')
    try:
        return falls_at(cells, vars(sys.modules['__main__']), seconds) is None
    finally:
        sys.modules['__main__'] = before


def module_of(cells):
    "The file that a notebook is exported to, below the library."
    name = next(d.split()[1] for c in cells for d in directives(c) if d.startswith('default_exp'))
    return name.replace('.', '/') + '.py'


def survives_exported(path, cells, seconds, mutant=lambda source: source, at=None):
    "Run a notebook in a new process against a copy of the library; there and in cell `at` one function is a mutant."
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder)
        for part in ROOT.iterdir():
            if part.name not in ('smollm_nb', '.git'):
                (book/part.name).symlink_to(part)
        shutil.copytree(ROOT/'smollm_nb', book/'smollm_nb', ignore=shutil.ignore_patterns('__pycache__'))
        module = book/'smollm_nb'/module_of(cells)
        module.write_text(mutant(module.read_text()))
        changed = [mutant(c) if k == at else c for k, c in enumerate(cells)]
        (book/'cells.json').write_text(json.dumps(changed))
        try:
            done = subprocess.run([sys.executable, __file__, '--cells', book/'cells.json'], cwd=path.parent,
                                  env=os.environ | dict(PYTHONPATH=folder), capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def test_notebook(path):
    "All mutants of a notebook, as (function, how, survived)."
    os.chdir(path.parent)
    main = sys.modules['__main__'] = types.ModuleType('__main__')   # so that classes of cells can be pickled
    cells, namespace, results, exported = code_cells(path), vars(main), [], None
    # each mutant is a second run of its cell, so the notebook must stand a second run of them without any mutant
    start = time.time()
    twice = [c for c in cells for _ in range(1 + bool(exported_functions(c)))]
    if falls_at(twice, namespace, quiet=False) is not None:
        raise SystemExit(f'{path}: fails when its export cells are run twice')
    seconds = 60 + 3*(time.time() - start)   # a mutant that waits for ever is noticed too
    for i, cell in enumerate(cells):
        try:
            run(cell, namespace)
        except BaseException as e:
            raise SystemExit(f'{path}, after {len(results)} mutants: {type(e).__name__}: {e}\nin\n{cell}') from e
        @cache
        def stands(end, start=i): return falls_at(cells[start:start + end], namespace, seconds) is None
        forks = True
        for f in exported_functions(cell):
            for how in ('raise', 'constant'):
                mutant = partial(mutate, path=f, how=how)
                rest = [mutant(cell), *cells[i + 1:]]
                if forks:
                    fall = falls_at(rest, namespace, seconds)
                    lives, forks = fall is None, fall is None or stands(fall + 1)
                if not forks:   # a fork has none of its parent's threads; where one answers requests, begin at the top
                    lives = survives_anew([*cells[:i], *rest], seconds)
                if lives and exported is None:
                    exported = survives_exported(path, cells, seconds)
                lives = lives and (not exported or survives_exported(path, cells, seconds, mutant, i))
                results.append(('.'.join(f), how, lives))
    return results


def one_thread():
    "Keep PyTorch to one thread for good, whatever it is told: a forked child cannot start OpenMP's threads again."
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
    told = [1]
    torch.set_num_threads, torch.get_num_threads = told.append, lambda: told[-1]


def run_cells(path):
    "Run cells in this process, one after the other."
    main = sys.modules['__main__'] = types.ModuleType('__main__')
    one_thread()
    for cell in json.loads(path.read_text()):
        run(cell, vars(main))
    os._exit(0)


def child(path):
    "Test one notebook in this process; its results go to the standard output, what the notebook prints goes nowhere."
    results = os.fdopen(os.dup(1), 'w')
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    one_thread()
    json.dump(test_notebook(path), results)
    results.close()
    os._exit(0)


def in_child(path):
    "The results of a notebook, tested in a process of its own, so that none inherits another's state."
    return subprocess.run([sys.executable, __file__, '--notebook', str(path)], stdout=subprocess.PIPE, text=True)


def main(parts):
    names = {path.relative_to(ROOT/'nbs').as_posix(): path for path in sorted((ROOT/'nbs').rglob('*.ipynb'))}
    names = {n: p for n, p in names.items() if '.ipynb_checkpoints' not in n}
    names = {n: p for n, p in names.items() if not parts or any(q in n for q in parts)}
    total, survivors, untested = 0, [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(in_child, path): name for name, path in names.items()}
        for future in as_completed(running):
            name, done = running[future], future.result()
            if done.returncode:
                untested.append(name)
                continue
            results = json.loads(done.stdout)
            alive = [r for r in results if r[2]]
            total += len(results)
            survivors += [(name, *r[:2]) for r in alive]
            print(
                f'{name}: {len(results)} mutants, {len(alive)} survive', *(f'{f} ({how})' for f, how, _ in alive),
                flush=True
            )
    share = len(survivors)/max(total, 1)
    print(f'{total - len(survivors)} of {total} mutants killed; {share:.1%} survive (at most {LIMIT:.0%} may)')
    if untested:
        print('cannot be tested:', *untested)
    sys.exit(share > LIMIT or bool(untested))


if __name__ == '__main__':
    if sys.argv[1:2] == ['--notebook']:
        child(Path(sys.argv[2]))
    if sys.argv[1:2] == ['--cells']:
        run_cells(Path(sys.argv[2]))
    main(sys.argv[1:])
