"""All SQL. `engine` opens transactions; each other module holds one noun's statements."""

from service.storage.engine import Storage, Transaction
from service.storage.watch import GenerationWatch

__all__ = ["GenerationWatch", "Storage", "Transaction"]
