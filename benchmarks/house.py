"""What shape the code is in, counted in its syntax trees.

    python -m benchmarks.house                     # the working tree
    python -m benchmarks.house --before ae676df    # beside an earlier revision
    python -m benchmarks.house --list paths        # each place of one figure

Nothing is imported and nothing is checked out.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from benchmarks._run import ROOT
from benchmarks._source import Checkout, Module, read_folder, read_revision

LONG_FILE, LONG_FUNCTION = 250, 40  # lines
OWNER = "ramer.project"  # the one module that may spell the layout

Place = tuple[str, int]  # module, line
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def long_files(code: Checkout) -> list[Place]:
    """Files above ``LONG_FILE`` lines, with their length."""
    lengths = [(module.name, len(module.text.splitlines())) for module in code.modules.values()]
    return [(name, lines) for name, lines in lengths if lines > LONG_FILE]


def function_lines(code: Checkout) -> dict[Place, int]:
    """Lines of every function and method, decorators and docstring included."""
    return {
        (module.name, node.lineno): (node.end_lineno or node.lineno)
        - min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        + 1
        for module in code.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def long_functions(code: Checkout) -> list[Place]:
    """Functions above ``LONG_FUNCTION`` lines."""
    return [place for place, lines in function_lines(code).items() if lines > LONG_FUNCTION]


def without_layer(code: Checkout) -> list[Place]:
    """Modules that the import contract does not mention; packages that hold nothing but others do not count."""
    holders = {name.rpartition(".")[0] for name in code.modules}
    return [(name, 1) for name in code.modules if code.room(name) is None and name not in holders]


def layout_names(code: Checkout) -> set[str]:
    """Folders and files of the project's layout: parts of what the stages of ``dvc.yaml`` write."""
    names: set[str] = set()
    for stage in yaml.safe_load(code.files.get("dvc.yaml", "{}")).get("stages", {}).values():
        stage = stage.get("do", stage)
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                path = out if isinstance(out, str) else next(iter(out))
                names |= {part for part in path.split("/") if "${" not in part}
    return names


def layout_paths(code: Checkout) -> list[Place]:
    """Literals outside the owner that spell a place of the layout: an operand of ``/`` or an argument of a path."""
    names = layout_names(code)
    return [
        (module.name, node.lineno)
        for module in code.modules.values()
        if module.name != OWNER
        for node in _path_parts(module.tree)
        if any(part in names for part in str(node.value).split("/"))
    ]


def _path_parts(tree: ast.Module) -> Iterator[ast.Constant]:
    seen: set[ast.Constant] = set()
    for node in ast.walk(tree):
        operands: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            operands = [node.left, node.right]
        elif isinstance(node, ast.Call) and _called(node) in ("Path", "PurePosixPath", "joinpath", "glob", "rglob"):
            operands = node.args
        for operand in operands:
            for part in ast.walk(operand) if isinstance(operand, ast.JoinedStr) else [operand]:
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part not in seen:
                    seen.add(part)
                    yield part


def any_types(code: Checkout) -> list[Place]:
    """``Any`` in annotations and aliases, imports left out."""
    return [
        place
        for place, node in _nodes(code)
        if (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")
    ]


def type_ignores(code: Checkout) -> list[Place]:
    """Comments that silence the type checker."""
    return [
        (module.name, token.start[0])
        for module in code.modules.values()
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        if token.type == tokenize.COMMENT and "type: ignore" in token.string
    ]


def not_none_asserts(code: Checkout) -> list[Place]:
    """``assert ... is not None``: a type that says too little."""
    return [place for place, node in _nodes(code) if isinstance(node, ast.Assert) and _has_is_not_none(node.test)]


def _has_is_not_none(test: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Compare)
        and any(
            isinstance(operator, ast.IsNot) and isinstance(value, ast.Constant) and value.value is None
            for operator, value in zip(node.ops, node.comparators, strict=True)
        )
        for node in ast.walk(test)
    )


def type_questions(code: Checkout) -> list[Place]:
    """Calls of ``isinstance`` and ``getattr``."""
    return [
        place
        for place, node in _nodes(code)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "getattr")
    ]


def examples(code: Checkout) -> list[Place]:
    """Docstrings with an example that can run."""
    return [
        (place[0], node.lineno if not isinstance(node, ast.Module) else 1)
        for place, node in _nodes(code)
        if isinstance(node, Documented) and ">>> " in (ast.get_docstring(node) or "")
    ]


def _nodes(code: Checkout) -> Iterator[tuple[Place, ast.AST]]:
    for module in code.modules.values():
        for node in ast.walk(module.tree):
            yield (module.name, getattr(node, "lineno", 1)), node


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


LISTS: dict[str, tuple[str, Callable[[Checkout], list[Place]]]] = {
    "long": (f"files above {LONG_FILE} lines", long_files),
    "functions": (f"functions above {LONG_FUNCTION} lines", long_functions),
    "layers": ("modules without a layer", without_layer),
    "paths": ("path literals outside `project.py`", layout_paths),
    "any": ("`Any`", any_types),
    "ignores": ("`type: ignore`", type_ignores),
    "asserts": ("`assert ... is not None`", not_none_asserts),
    "questions": ("`isinstance(` and `getattr(`", type_questions),
    "examples": ("docstrings with an example", examples),
}


def figures(code: Checkout) -> dict[str, int]:
    """Every figure of a checkout by its words."""
    modules = code.modules.values()
    lengths = sorted(function_lines(code).values())
    return {
        "files": len(modules),
        "lines": sum(len(module.text.splitlines()) for module in modules),
        "lines that hold code": sum(_lines_of_code(module) for module in modules),
        "functions": len(lengths),
        "lines of a function, median": _percentile(lengths, 50),
        "lines of a function, 90th percentile": _percentile(lengths, 90),
        "lines of a function, longest": _percentile(lengths, 100),
        "imports between modules": len(code.edges),
        **{words: len(find(code)) for words, find in LISTS.values()},
    }


def _percentile(ascending: list[int], percent: int) -> int:
    """The smallest value that so many percent of the values do not exceed; 0 without values."""
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)] if ascending else 0


def _lines_of_code(module: Module) -> int:
    """Lines with a token that is neither comment nor docstring."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in skipped:
            held |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(module.tree):
        if isinstance(node, Documented) and ast.get_docstring(node) is not None:
            held -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(held)


def table(columns: dict[str, dict[str, int]]) -> str:
    """Figures as Markdown, one column a checkout."""
    rows = next(iter(columns.values()))
    width = max(len(words) for words in rows)
    widths = {name: max(8, len(name)) for name in columns}

    def line(first: str, cells: list[str]) -> str:
        return f"| {' | '.join([first, *cells])} |"

    lines = [
        line(" " * width, [name.rjust(widths[name]) for name in columns]),
        line("-" * width, ["-" * (widths[name] - 1) + ":" for name in columns]),
    ]
    for words in rows:
        cells = [f"{column[words]:,}".rjust(widths[name]) for name, column in columns.items()]
        lines.append(line(words.ljust(width), cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what shape the code is in.")
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout of the project")
    parser.add_argument("--revision", help="count this revision instead of the working tree")
    parser.add_argument("--before", metavar="REVISION", help="a column for this revision in front")
    parser.add_argument("--list", choices=LISTS, dest="listed", help="print each place of one figure")
    asked = parser.parse_args()
    now = read_revision(asked.root, asked.revision) if asked.revision else read_folder(asked.root)
    if asked.listed:
        print(*(f"{module}:{number}" for module, number in LISTS[asked.listed][1](now)), sep="\n")
        return
    columns = {asked.before: figures(read_revision(asked.root, asked.before))} if asked.before else {}
    print(table({**columns, asked.revision or "now": figures(now)}))


if __name__ == "__main__":
    main()
