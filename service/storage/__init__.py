"""All SQL. `engine` opens transactions; each other module holds one noun's statements."""

from service.storage.engine import Storage, Transaction

__all__ = ["Storage", "Transaction"]
