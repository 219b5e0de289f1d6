"""Zstandard (RFC 8878), as Python has it from 3.14 on (PEP 784), and its backport before."""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile, compress, decompress
else:
    from backports.zstd import ZstdError, ZstdFile, compress, decompress

__all__ = ["ZstdError", "ZstdFile", "compress", "decompress"]
