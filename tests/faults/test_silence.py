"""Whoever's DNS is silent keeps nobody else waiting."""

from __future__ import annotations

import pytest

from tests.faults.apart import RunApart

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


def test_names_whose_dns_says_nothing_keep_no_other_name_waiting(run_apart: RunApart) -> None:
    """curl looks names up in threads, of which a newer one has twenty, two for each name."""
    assert run_apart("silence") == [["quick", 204]]
