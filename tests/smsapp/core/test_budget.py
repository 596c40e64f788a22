from smsapp.core.budget import Budget


def test_it_is_over_when_its_seconds_have_passed(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("smsapp.core.budget.time.monotonic", lambda: now[0])
    budget = Budget(5)
    assert (budget.left, budget.is_over) == (5, False)
    now[0] = 105.0
    assert (budget.left, budget.is_over) == (0, True)
    now[0] = 107.0
    assert budget.left == -2
