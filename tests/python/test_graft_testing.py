"""Tests the test client itself against ipykernel, a kernel that is known to work."""

from graft_testing import Kernel


def test_the_helper_reports_what_ipykernel_does():
    with Kernel(name="python3") as kernel:
        cell = kernel.run("print('out'); 6 * 7")
        assert cell.stdout == "out\n" and cell.displays[-1].data["text/plain"] == "42"
        kernel.fail("1 / 0", "ZeroDivisionError", "division by zero")
        updated = kernel.run("h = display('a', display_id=True); h.update('b')")
        assert updated.displays[0].data["text/plain"] == "'b'" and len(updated.displays[0].versions) == 2
        endless = kernel.start("print('go', flush=True)\nwhile True: pass").wait_for(lambda it: "go" in it.stdout)
        kernel.interrupt()
        endless.wait(10).fails_with("KeyboardInterrupt")
        assert "real" in kernel.complete("(1).re")["matches"]
