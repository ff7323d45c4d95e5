"""Adapters on the head of a model whose head shares the weight of the embedding, through the magics."""


def test_a_tied_head_can_be_targeted_saved_whole_and_merged(kernel):
    kernel.run("%model load tiny")
    for keys in ("target_modules=lm_head", "target_modules=q_proj modules_to_save=lm_head"):
        assert "trainable params: " in kernel.run(f"%lora attach r=2 {keys}").text
        assert "lm_head" in kernel.run("%model tree").text
        kernel.run("%lora merge")
        kernel.run("%lora unmerge")
        kernel.run("%lora detach")


def test_a_count_that_no_model_has_room_for_is_refused(kernel):
    kernel.run("%model load tiny")
    kernel.fail("%lora attach r=2147483647", "`r` must be")
    kernel.fail("%prompt_tune attach tokens=999999999", "num_virtual_tokens")
