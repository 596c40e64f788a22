"""The seeded defects can still be made, and one of them is caught; `make chaos-selftest` shows the same of all."""

import pytest

from tests.chaos.defects import DEFECTS, Defect
from tests.chaos.selftest import Miss, apply, catch, copy_of_source

pytestmark = [pytest.mark.platform, pytest.mark.once]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return copy_of_source(tmp_path_factory.mktemp("selftest") / "source")


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_every_guard_stands_where_the_self_test_takes_it_out(defect, source):
    before = {name: (source / name).read_text() for name, _, _ in defect.changes}
    apply(defect, source)
    assert all((source / name).read_text() != text for name, text in before.items())
    for name, text in before.items():
        (source / name).write_text(text)


@pytest.mark.long
def test_a_defect_is_caught_by_the_promise_it_breaks(source, tmp_path):
    defect = next(defect for defect in DEFECTS if defect.name == "200 before the commit")
    assert "200 == 503" in catch(defect, copy_of_source(tmp_path / "broken"), tmp_path)


@pytest.mark.long
def test_a_change_that_breaks_no_promise_is_a_miss(source, tmp_path):
    harmless = Defect(
        "a comment",
        (("smsapp/lib/text.py", "def analyse(", "# harmless\ndef analyse("),),
        detectors=("tests/smsapp/lib/test_text.py",),
    )
    with pytest.raises(Miss, match="every detector passed"):
        catch(harmless, copy_of_source(tmp_path / "source"), tmp_path)
