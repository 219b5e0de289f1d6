"""Regular expressions that do not give up again what a part of them has matched: possessive quantifiers.

Python's own take wrong matches where such a part is a group, before 3.11.5 [1]_; Debian 12 has 3.11.2. There
the package regex stands in.

.. [1] https://github.com/python/cpython/issues/106052
"""

import re
import sys
from importlib import import_module
from typing import Any, AnyStr

_engine: Any = re if sys.version_info >= (3, 11, 5) else import_module("regex")


def possessive(pattern: AnyStr) -> re.Pattern[AnyStr]:
    """Compile a pattern; flags stand at its beginning, as ``(?m)``."""
    compiled: re.Pattern[AnyStr] = _engine.compile(pattern)
    return compiled
