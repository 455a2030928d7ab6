"""What lies outside the project is skipped by a developer and demanded by continuous integration."""

from pathlib import Path

import pytest
from conftest import outside


def test_an_absent_folder_skips_at_a_desk_and_fails_in_continuous_integration(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    with pytest.raises(pytest.skip.Exception, match="has no sentencepiece: set T5GRID_SHARED"):
        outside(tmp_path, required=False)
    with pytest.raises(pytest.fail.Exception, match="has no sentencepiece"):
        outside(tmp_path, required=True)
    (tmp_path / "sentencepiece").mkdir()
    assert outside(tmp_path, required=True) == tmp_path
