"""`%train bg=true`: the notebook stays usable while a training run is in progress."""

import re
import time

from graft_testing import ANSWER

SETUP = "%model load tiny\n%data load which-book\n%lora attach r=2"


def test_a_training_in_the_background_leaves_the_notebook_free(kernel):
    """Generation, Rust cells and tables work meanwhile; interrupting another cell does not affect the run; %stop ends it, and %resume continues it."""
    kernel.run(SETUP)
    begun = kernel.run("%train bg=true steps=100000 batch=2 max_length=48 eval_every=0", timeout=60)
    run = re.search(r"`(lora-\d+)` is training in the background", begun.text).group(1)
    assert kernel.run('%generate "The borrow checker" max_new_tokens=5').text
    assert "training" in kernel.run("%jobs").text
    assert "background" in kernel.run("%status").text
    assert "6" in kernel.run("2 * 3", timeout=120).text
    assert "accuracy" in kernel.run("%eval examples=8", timeout=60).text
    assert "accuracy" in kernel.run("lab().eval(Eval::new().examples(8))?", timeout=120).text
    kernel.fail("%seed 3", "is running in the background", "%stop")
    kernel.fail("lab().set_seed(3)?;", "is running in the background")
    # The stop button ends %watch only, not the run.
    watching = kernel.start("%watch").wait_for(lambda it: "<svg" in it.html and "step" in it.text, 60)
    kernel.interrupt()
    watching.wait(ANSWER)
    assert "stopped watching" in watching.failure + watching.text, watching.failure
    assert "training" in kernel.run("%jobs").text
    stopped = kernel.run("%stop").text
    assert f"%resume {run}" in stopped, stopped
    assert "stopped" in kernel.run("%jobs").text
    step = int(re.search(r"after step (\d+)", stopped).group(1))
    assert step > 5
    kernel.run(f"%resume {run} steps={step + 3}", timeout=120)
    kernel.run('let run = lab().train_in_background(Train::new().steps(5).batch(2).max_length(48).eval_every(0))?;\nlab().watch(Some(&run))?;', timeout=120)
    assert "done" in kernel.run("lab().jobs()?").text


def test_a_kernel_told_to_end_keeps_what_trains_in_the_background(kernel):
    kernel.run(SETUP)
    kernel.run("%train bg=true steps=100000 batch=2 max_length=48 eval_every=0 save_every=0", timeout=60)
    time.sleep(2)
    places = kernel.places
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=60)
    kernel.run("%model load tiny")
    resumed = kernel.run("%resume steps=100000 bg=true", timeout=120).text
    assert "is training in the background" in resumed, resumed
    shown = kernel.run("%stop").text
    assert int(re.search(r"after step (\d+)", shown).group(1)) > 3, shown
    assert places


def test_a_comparison_in_the_background_is_watched_and_changed(kernel):
    """Its table and curves are drawn live; %trial stops one trial and adds another; the notebook stays usable."""
    kernel.run("%model load tiny\n%data load which-book")
    begun = kernel.run("%ablate lora r=1,4 steps=4000 batch=2 max_length=32 examples=8 bg=true", timeout=120)
    assert "is running in the background" in begun.text, begun.text
    assert kernel.run('%generate "The borrow checker" max_new_tokens=5').text
    kernel.fail("%trial stop 3", "unknown trial 3", "1 to 2")
    for number in (1, 2):
        assert "stopping trial" in kernel.run(f"%trial stop {number}").text
    assert "r=2" in kernel.run("%trial clone 1 r=2 steps=6").text
    watched = kernel.run("%watch", timeout=300)
    assert "stopped early at step" in watched.text and "lora r=2 steps=6" in watched.text, watched.text
    assert any("image/svg+xml" in display.data for display in watched.displays)
    assert "done" in kernel.run("%jobs").text
