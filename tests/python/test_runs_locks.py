"""A run belongs to one kernel at a time."""

from graft_testing import Kernel


def test_a_run_that_one_kernel_trains_is_refused_to_another_by_name(places):
    with Kernel(places=places) as first, Kernel(places=places) as second:
        first.run("%model load tiny\n%data load which-book\n%lora attach r=2")
        first.run("%train steps=100000 batch=4 eval_every=0 save_every=1 bg=true", timeout=600)
        second.fail("%resume lora-001", "`lora-001` is being trained by process [0-9]+", "%watch lora-001")
        assert "running" in second.run("%runs").text
        first.run("%stop", timeout=600)
        second.run("%runs use lora-001", timeout=600)
        assert "interrupted" in second.run("%runs").text
