"""What docments say, put into docstrings as well, where `help()` and editors look for it.

A docment is a comment behind a parameter, which Python forgets. `make export` hands each exported cell to
`add_sections`, which appends sections in Google's style to the docstrings of its public functions, methods and
classes. The notebooks, and with them the code that the site shows, stay as they are; types stand in the signature."""
import ast
import io
import re
import tokenize

FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


def without_sections(doc):
    "A docstring as it was written; its indentation was removed before."
    return re.split(r'(?:\A|\n\n)(?:Args|Attributes|Returns):\n', doc)[0]


def comments(source):
    "The comments of a cell by line, and the lines that hold nothing else."
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT]
    whole = {t.start[0] for t in tokens if not t.line[:t.start[1]].strip()}
    return {t.start[0]: t.string[1:].strip() for t in tokens}, whole


def explained(places, notes):
    "The comment of each (name, line): the one on its line, else whole lines above. The last name of a line has it."
    (texts, whole), found = notes, {}
    for line, name in {line: name for name, line in places}.items():
        above = line
        while above - 1 in whole:
            above -= 1
        text = texts.get(line) or ' '.join(texts[n] for n in range(above, line))
        if text:
            found[name] = text
    return found


def section(head, rows):
    return [f'{head}:', *(f'    {row}' for row in rows)] if rows else []


def of_function(node, notes):
    "What a function's comments say about its parameters and its result, in lines."
    a = node.args
    groups = [('', [*a.posonlyargs, *a.args]), ('*', [a.vararg]), ('', a.kwonlyargs), ('**', [a.kwarg])]
    places = [(stars + p.arg, p.lineno) for stars, group in groups for p in group if p]
    found = explained(places + ([('return', node.returns.lineno)] if node.returns else []), notes)
    result = found.pop('return', '')
    takes = section('Args', [f'{name}: {text}' for name, text in found.items()])
    gives = section('Returns', [result] if result else [])
    return takes + ['']*bool(takes and gives) + gives


def of_class(node, notes):
    "What is said about the fields of a dataclass, or about the parameters of an `__init__` without a docstring."
    if any('dataclass' in ast.unparse(d) for d in node.decorator_list):
        places = [(n.target.id, n.lineno) for n in node.body if isinstance(n, ast.AnnAssign)]
        return section('Attributes', [f'{name}: {text}' for name, text in explained(places, notes).items()])
    init = next((n for n in node.body if isinstance(n, FUNCTIONS) and n.name == '__init__'), None)
    return of_function(init, notes) if init and not ast.get_docstring(init) else []


def public(body):
    "Functions, classes and methods whose names do not begin with a single underscore."
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not re.match('_(?!_)', node.name):
            yield node
            yield from public(node.body) if isinstance(node, ast.ClassDef) else ()


def unfolded(lines, node):
    "Give the body of `def f(x): return x` a line of its own; a comment behind it stays behind the signature."
    first = node.body[0]
    row, indent = first.lineno - 1, ' '*(node.col_offset + 4)
    line = lines[row].encode()   # Python counts columns in bytes
    cuts = (0, first.col_offset), (first.col_offset, first.end_col_offset), (first.end_col_offset, None)
    signature, body, comment = (line[a:b].decode().strip(' ') for a, b in cuts)
    lines[row:row + 1] = [' '*node.col_offset + f'{signature} {comment}'.rstrip(), indent + body]
    return row + 1, indent


def put(lines, node, added):
    "Append lines to the docstring of a function or class; where there is none, they become one."
    first, doc = node.body[0], ast.get_docstring(node, clean=False)
    start = min([first.lineno, *(d.lineno for d in getattr(first, 'decorator_list', []))]) - 1
    indent = ' '*first.col_offset
    if lines[first.lineno - 1][:first.col_offset].strip():
        start, indent = unfolded(lines, node)
    text = '\n'.join(indent + line if line else '' for line in added)
    text = f'{doc.rstrip()}\n\n{text}' if doc else f'\n{text}'
    text = text.replace('\\', '\\\\').replace('"""', '\\"\\"\\"')
    end = first.end_lineno if doc is not None else start
    lines[start:end] = f'{indent}"""{text}\n{indent}"""'.split('\n')


def with_sections(source):
    "The code of an exported cell, sections added."
    lines, notes = source.split('\n'), comments(source)
    for node in sorted(public(ast.parse(source).body), key=lambda n: -n.body[0].lineno):
        told_by_class = node.name == '__init__' and not ast.get_docstring(node)
        describe = of_class if isinstance(node, ast.ClassDef) else of_function
        added = [] if told_by_class else describe(node, notes)
        if added:
            put(lines, node, added)
    return '\n'.join(lines)


def add_sections(cell):
    "A processor: `PYTHONPATH=docs nbdev-export --procs docstrings:add_sections`."
    if cell.cell_type == 'code' and {'export', 'exports', 'exporti'} & set(cell.directives_):
        cell.source = with_sections(cell.source)
