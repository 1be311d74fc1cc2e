"What the site says about an exported name: a Python object for Sphinx, with fastcore's table of its parameters."
import inspect
import re
from importlib import import_module
from pathlib import Path

from docstrings import without_sections
from fastcore import docments

ROOT = Path(__file__).resolve().parent.parent


def _signature(f, eval_str=False):
    "A signature whose types may be imported for the type checker alone; those are shown as they are written."
    try:
        return inspect.signature(f, eval_str=eval_str)
    except NameError:
        return inspect.signature(f)


docments.signature = _signature # also for nbdev's pages, which are made in processes that are forked from this one


def label(page, anchor): return 'sym-' + re.sub(r'\W+', '-', f'{page}-{anchor}').strip('-').lower()


def _parameter(p):
    "A parameter without its type; a default that is no plain value is left to the table."
    stars = {p.VAR_POSITIONAL: '*', p.VAR_KEYWORD: '**'}.get(p.kind, '')
    plain = isinstance(p.default, (int, float, str, bool, type(None)))
    default = '' if p.default is p.empty else f'={p.default!r}' if plain and len(repr(p.default)) < 30 else '=…'
    return stars + p.name + default


def _arguments(obj):
    "The parameters of a function or class in brackets; nothing if Python cannot tell them."
    try:
        parameters = list(_signature(obj).parameters.values())
    except (ValueError, TypeError):
        return '()'
    return '(' + ', '.join(_parameter(p) for p in parameters if p.name != 'self') + ')'


def _table(obj):
    "fastcore's table of parameters, if there is anything in it."
    try:
        rows = docments.DocmentTbl(obj)._repr_markdown_().strip()
    except (ValueError, TypeError, NameError, AttributeError):
        return ''
    # types say where they come from only where that is a room of the library
    rows = re.sub(r'\b(?:collections\.abc|pathlib|typing|torch|numpy|smollm_nb(?:\.\w+)*)\.(?=[A-Z])', '', rows)
    return rows if rows.count('\n') > 1 else ''


def _own(cls):
    "Methods and properties that a class itself defines and that are public, in the order of the code."
    for name, value in vars(cls).items():
        f = getattr(value, '__func__', getattr(value, 'fget', value))
        written = callable(f) and inspect.isfunction(inspect.unwrap(f)) and f.__name__ != '<lambda>'
        if written and not name.startswith('_'):
            yield name, value, f


def _directive(kind, head, body, colons, **options):
    fence = ':'*colons
    given = ''.join(f':{k}: {v}'.rstrip() + '\n' for k, v in options.items())
    return f'{fence}{{py:{kind}}} {head}\n{given}\n{body.strip()}\n{fence}'


def _text(obj):
    "A docstring as the notebook has it; what the export added stands in the table."
    return without_sections(inspect.cleandoc(obj.__doc__ or ''))


def _method(name, value, f):
    kind = 'property' if isinstance(value, property) else 'method'
    how = {'classmethod': ''} if isinstance(value, classmethod) else {}
    how |= {'staticmethod': ''} if isinstance(value, staticmethod) else {}
    body = _text(f) + ('' if kind == 'property' else '\n\n' + _table(f))
    return _directive(kind, name if kind == 'property' else name + _arguments(f), body, 4, **how)


def _source(obj, module, repository):
    "Address of the line where an object begins."
    try:
        line = inspect.getsourcelines(inspect.unwrap(obj))[1]
    except (OSError, TypeError):
        return ''
    path = Path(module.__file__).relative_to(ROOT).as_posix()
    return f'[source]({repository}/blob/main/{path}#L{line}){{.src}}\n\n'


def entry(module_name, name, page, repository):
    "The entry of one name: anchor, Python object, text, table; of a class its methods too."
    module = import_module(module_name)
    obj = getattr(module, name)
    is_class = inspect.isclass(obj)
    # a class that only inherits its `__init__`, such as an error, has no table worth reading
    told = not is_class or '__init__' in vars(obj) or hasattr(obj, '__dataclass_fields__')
    parts = [_source(obj, module, repository) + _text(obj), _table(obj) if told else '']
    if is_class:
        parts += [_method(*m) for m in _own(obj)]
    kind = 'class' if is_class else 'function'
    head = name + (_arguments(obj) if told else '')
    body = '\n\n'.join(p for p in parts if p)
    anchor = f'<a id="{name.lower()}"></a>\n\n({label(page, name)})=\n'
    return anchor + _directive(kind, head, body, 5, module=module_name)


def sentence(module_name, name):
    "The first line of what a name says about itself."
    return (_text(getattr(import_module(module_name), name)).splitlines() or [''])[0].replace('|', '\\|')
