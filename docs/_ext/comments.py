"""Comments of the source for the API reference: what a dataclass's field means, what a constant is.

The project writes such a comment behind the line, or in the lines above it, where a docstring has no place.
"""

import ast
import dataclasses
import inspect
import re
import textwrap


def comments(source):
    """Return the comment of each assignment at the top of a source, or in the class that the source is."""
    lines = source.splitlines()
    body = ast.parse(source).body
    if len(body) == 1 and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    found = {}
    for node in body:
        if isinstance(node, (ast.AnnAssign, ast.Assign)):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            found.update(dict.fromkeys(names, _comment(lines, node)))
    return found


def _comment(lines, node):
    behind = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip()
    if behind.startswith("#"):
        return _as_rst(behind)
    above = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line)
    return _as_rst(" ".join(above))


def _as_rst(text):
    text = " ".join(re.sub(r"(^|\s)#", " ", text).split())
    return text if "`" in text else re.sub(r"([*_|\\])", r"\\\1", text)


def describe_fields(app, what, name, value, options, lines):
    """Add what the fields of a dataclass mean to its docstring, and leave a property's docstring a sentence.

    Napoleon would read the sentence "The sizes: one for each layer." as the description of the type "The sizes".
    """
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment of reStructuredText
    if what != "class" or not dataclasses.is_dataclass(value) or "Args:" in lines:
        return
    said = comments(textwrap.dedent(inspect.getsource(value)))
    about = {
        field.name: field.metadata["help"] if field.metadata.get("help") else said.get(field.name)
        for field in dataclasses.fields(value)
    }
    section = ["Args:", *(f"    {name}: {text}" for name, text in about.items() if text), ""]
    place = lines.index("Raises:") if "Raises:" in lines else len(lines)
    if len(section) > 2:
        lines[place:place] = section


def setup(app):
    """Be asked before Napoleon, which reads a docstring's sections."""
    app.connect("autodoc-process-docstring", describe_fields, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
