"""Adapter initializations that depend on more than the model."""

import json
import re

from test_main_job import INLINE


def test_eva_reads_the_data_and_shares_the_rank_out(kernel):
    """Without data, the error says what to type. With data, the layers whose inputs vary most get the larger ranks, and the adapter can be trained."""
    kernel.run("%model load tiny")
    kernel.fail("%lora attach r=4 init=eva", "no data set is loaded", "%data load which-book")
    assert "none" in kernel.run("%lora list").text.lower() or "no adapter" in kernel.run("%lora list").text.lower()
    kernel.run(INLINE)
    attached = kernel.run("%lora attach r=4 init=eva target_modules=all-linear").text
    assert re.search(r"EVA read \d+ batches of the data: ranks from \d to \d", attached), attached
    plain = kernel.run("%lora attach r=4 adapter_name=plain").text
    assert plain
    kernel.run("%lora use default")
    kernel.run("%train steps=4 batch=4 save_every=0", timeout=600)
    kernel.run("%lora save saved")
    config = json.loads((kernel.places.work / "saved" / "adapter_config.json").read_text())
    ranks = config["rank_pattern"].values()
    assert config["init_lora_weights"] == "eva" and ranks and all(1 <= rank <= 8 for rank in ranks), config
    # Loading or comparing the adapter needs no data.
    kernel.run("%model load tiny")
    kernel.run("%lora load saved")
    assert "untuned base" in kernel.run("%ablate lora init=true,eva r=2 steps=2 batch=4 examples=4", timeout=600).text


def test_loftq_makes_up_for_packing(kernel):
    kernel.run("%model load tiny")
    kernel.fail("%lora attach init=loftq", "is not quantized", "load_in_4bit=true")
    kernel.run("%model load tiny load_in_4bit=true")
    told = kernel.run("%lora attach r=16 init=loftq target_modules=all-linear").text
    before, after = map(float, re.search(r"error is ([\d.]+) % of the weights, with A and B ([\d.]+) %", told).groups())
    assert 5 < after < before < 15, told
    kernel.run('let attached = lab().model()?.attach(Lora::new().r(4).init_lora_weights("loftq").adapter_name("rust"))?;\nattached.name()')
