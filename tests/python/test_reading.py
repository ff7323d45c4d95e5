"""Read-only commands answer while a background job runs on the user's model."""

import re

SETUP = "%model load tiny\n%data load which-book\n%lora attach r=2\n%train steps=10 batch=2 max_length=48 eval_every=0"
READERS = [
    "%eval examples=8",
    '%compare "The borrow checker" max_new_tokens=8',
    "%weights",
    "%params",
    "%model",
    "%model tree",
    "%lora list",
    "%data show n=2",
    'let model = lab().model()?;\nlet ids = Tensor::new(&[5u32, 6, 7], &lab().device())?;\nprintln!("{:?}", model.logits(&ids)?.sum_all()?.to_scalar::<f32>()?);',
]


def answers(kernel):
    return [kernel.run(line, timeout=120).text for line in READERS]


def test_readers_see_the_users_adapter_while_trials_advance(kernel):
    kernel.warm().run(SETUP, timeout=120)
    before = answers(kernel)
    begun = kernel.run("%ablate lora,full,dora steps=100000 batch=2 max_length=32 examples=8 bg=true", timeout=120)
    assert "is running in the background" in begun.text, begun.text
    assert answers(kernel) == before
    kernel.fail("%lora scale 0.5", "is running in the background", "%stop")
    kernel.fail('lab().model()?.adapter("default")?.set_scale(0.5)?;', "is running in the background")
    kernel.run("%stop", timeout=60)
    assert answers(kernel) == before
    # The results so far stay visible.
    assert len(re.findall(r"stopped, step \d+ of 100000", kernel.run("%watch").text)) >= 3


def test_the_table_of_a_comparison_that_is_stopped_stays(kernel):
    kernel.run("%model load tiny\n%data load which-book")
    comparing = kernel.start("%ablate lora r=1,2 steps=100000 batch=2 max_length=32 examples=8")
    comparing.wait_for(lambda cell: re.search(r"step [1-9]\d* of 100000", cell.html), 120)
    kernel.interrupt()
    comparing.wait(60)
    assert "run the same line again" in comparing.failure + comparing.text, comparing.failure
    assert len(re.findall(r"stopped, step \d+ of 100000", comparing.text)) >= 2, comparing.text
    assert any("svg" in kind for display in comparing.displays for kind in display.data), "the curves must stay visible too"
