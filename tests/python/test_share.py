"""The share of the machine that a kernel takes: memory, threads and priority."""

import time

import psutil

from graft_testing import ANSWER, Kernel


def memory(kernel):
    """Proportional set size of the kernel and its processes, in MiB."""
    family = [kernel.process, *kernel.process.children(recursive=True)]
    return sum(process.memory_full_info().pss for process in family) / 2**20


def analyzers(kernel):
    return [it for it in kernel.process.children(recursive=True) if it.cmdline()[1:2] == ["analyzer"]]


def test_a_kernel_with_rust_and_a_tensor_needs_less_than_250_mib(kernel):
    """rust-analyzer alone needs more; it does not start for cells, whatever their variables are."""
    kernel.run("%model load tiny")
    kernel.run("let t = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;\nlet names = vec![\"a\".to_string()];")
    assert not analyzers(kernel)
    needed = memory(kernel)
    assert needed < 250, f"{needed:.0f} MiB"


def test_the_analyzer_starts_with_the_first_completion_and_answers_with_the_types_of_cells(kernel):
    kernel.run("let words = vec![\"a\".to_string()];")
    end = time.monotonic() + ANSWER
    while not (matches := kernel.complete("words.is_em")["matches"]):
        assert time.monotonic() < end, "no completion"
        time.sleep(0.5)
    assert any("is_empty" in it for it in matches), matches
    assert len(analyzers(kernel)) == 1
    shown = kernel.inspect("words.len()", cursor=8)
    assert shown["found"] and "usize" in shown["data"]["text/plain"], shown
    assert "contiguous growable array" in kernel.run(":doc std::vec::Vec").text
    analyzers(kernel)[0].kill()
    assert kernel.run("words.len()").text.strip().endswith("1"), "cells do not need the analyzer"


def test_the_first_tab_answers_with_what_is_known_without_the_analyzer():
    """rust-analyzer needs seconds to start. Until then, and without it, words, variables, the prelude and the methods of handles are offered."""
    with Kernel(env={"GRAFT_ANALYZER": "off"}) as kernel:
        assert kernel.complete("let weights = 1;\nwei")["matches"] == ["weights"], "no Rust cell has run"
        kernel.run("let wording = vec![1.0_f32];")
        reply = kernel.complete("wor")
        [kind] = [it for it in reply["metadata"]["_jupyter_types_experimental"] if it["text"] == "wording"]
        assert "Vec<f32>" in kind["signature"] and (reply["cursor_start"], reply["cursor_end"]) == (0, 3), reply
        assert "Tensor" in kernel.complete("let t: Ten")["matches"]
        assert kernel.complete("lab().on_st")["matches"] == ["on_step"]
        assert kernel.complete("wording.unknown_met")["matches"] == []
        assert not analyzers(kernel)


def test_a_session_over_its_memory_limit_ends_and_the_kernel_goes_on():
    with Kernel(env={"GRAFT_MEMORY": "600MB"}) as kernel:
        kernel.run("%model load tiny")
        kernel.fail("let big = vec![1u8; 3_000_000_000];", "GRAFT_MEMORY", "600 MB")
        kernel.run("%model load tiny")
        assert kernel.run("1 + 1").text.strip().endswith("2")


def test_a_setting_that_is_not_valid_is_named_with_an_example():
    with Kernel(env={"GRAFT_THREADS": "many"}) as kernel:
        kernel.fail("%status", "GRAFT_THREADS", "many", "for example")


def test_threads_and_priority_of_a_session_follow_the_settings_and_the_hub():
    with Kernel(env={"GRAFT_THREADS": "1", "GRAFT_NICE": "3"}) as kernel:
        kernel.run("%status")
        assert kernel.child().environ()["RAYON_NUM_THREADS"] == "1"
        assert kernel.child().nice() == 3
    with Kernel(env={"JUPYTERHUB_USER": "ada", "CPU_LIMIT": "1.5", "MEM_LIMIT": str(2 << 30)}) as kernel:
        kernel.run("%status")
        assert kernel.child().environ()["RAYON_NUM_THREADS"] == "2"
        assert kernel.child().nice() == 5
        soft, _ = kernel.child().rlimit(psutil.RLIMIT_DATA)
        assert 4 << 30 <= soft < 5 << 30, soft
