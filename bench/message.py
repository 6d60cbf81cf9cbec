"""The e-mail's model for every system: the one of errand/builtin/email.py itself, without Errand's parts around it."""

import ast
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

from pydantic import BaseModel

FILE = Path(__file__).parent.parent / "errand/builtin/email.py"


def load_message() -> type[BaseModel]:
    """Return the model. A peer's environment has no RQ, so what the file imports of Errand's is left out."""
    tree = ast.parse(FILE.read_text())
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for name in ["errand", *(name for name in imported if name.startswith("errand."))]:
        sys.modules[name] = MagicMock(name=name)
    module = ModuleType("bench_email")
    sys.modules[module.__name__] = module  # pydantic looks there for the names in annotations
    exec(compile(tree, str(FILE), "exec"), module.__dict__)  # noqa: S102
    model: type[BaseModel] = module.Message
    return model
