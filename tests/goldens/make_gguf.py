#!/usr/bin/env python3
"""Tiny random models in GGUF files, with what transformers reads out of them: `make_gguf.py OUT_FOLDER`.

Writes OUT_FOLDER/{llama-q8_0,qwen2-q4_0,qwen3-f16}.gguf by llama.cpp's own Python package, and for each a NAME.safetensors with input_ids, the
logits of transformers' `from_pretrained(gguf_file=...)` (of Qwen3, of the rounded weights) and the ids of a text.      (pip install torch transformers gguf safetensors)
"""
import pathlib, sys, tempfile

import gguf, torch
from gguf.quants import quantize
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
TEXT = "A low-rank update W + BA, r = 16: 12345 parameters?\n\tYes, it's   trained."
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
         "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}
SIZES = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.15)
Q = gguf.GGMLQuantizationType
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)


def tokenizer(regex):
    """A byte-level BPE of this very file."""
    made = Tokenizer(models.BPE(ignore_merges=regex is LLAMA3))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=416, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    made.train_from_iterator(pathlib.Path(__file__).read_text().split("\n\n"), trainer)
    return made


def named(key):
    layer, kind = key.rsplit(".", 1)
    if layer.startswith("model.layers."):
        _, _, number, rest = layer.split(".", 3)
        return f"blk.{number}.{NAMES[rest]}.{kind}"
    return {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}[layer] + f".{kind}"


def write(name, arch, model, kind, regex, pre):
    config, words = model.config, tokenizer(regex)
    rope = config.rope_parameters
    writer = gguf.GGUFWriter(out / f"{name}.gguf", arch)
    writer.add_block_count(config.num_hidden_layers); writer.add_context_length(config.max_position_embeddings); writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size); writer.add_head_count(config.num_attention_heads); writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps); writer.add_rope_freq_base(rope["rope_theta"]); writer.add_vocab_size(config.vocab_size)
    if arch != "qwen2":
        writer.add_key_length(config.head_dim); writer.add_value_length(config.head_dim)
    if arch == "llama":
        writer.add_rope_dimension_count(config.head_dim)
    vocab = sorted(words.get_vocab().items(), key=lambda pair: pair[1])
    writer.add_tokenizer_model("gpt2"); writer.add_tokenizer_pre(pre); writer.add_token_list([token for token, _ in vocab])
    writer.add_token_types([3 if token in ("<s>", "</s>") else 1 for token, _ in vocab])
    import json
    writer.add_token_merges([" ".join(pair) for pair in json.loads(words.to_str())["model"]["merges"]])
    writer.add_bos_token_id(0); writer.add_eos_token_id(1); writer.add_add_bos_token(arch == "llama")
    for key, value in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = value.detach()
        if arch == "llama" and key.split(".")[-2] in ("q_proj", "k_proj"):
            heads = config.num_attention_heads if "q_proj" in key else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        array = array.numpy().astype("float32")
        one = kind if array.ndim == 2 else Q.F32
        if array.ndim == 2 and "v_proj" in key and kind == Q.Q8_0:
            one = Q.Q5_1  # files mix types
        writer.add_tensor(named(key), quantize(array, one), raw_dtype=one)
    if rope.get("rope_type") == "llama3":
        inverse = 1.0 / (rope["rope_theta"] ** (torch.arange(0, config.head_dim, 2).float() / config.head_dim))
        low, high = (rope["original_max_position_embeddings"] / rope[key] for key in ("low_freq_factor", "high_freq_factor"))
        factors = []
        for wave in (2 * torch.pi / inverse).tolist():
            smooth = (rope["original_max_position_embeddings"] / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1.0 if wave < high else rope["factor"] if wave > low else 1 / ((1 - smooth) / rope["factor"] + smooth))
        writer.add_tensor("rope_freqs.weight", torch.tensor(factors).numpy())
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
    if arch == "qwen3":  # transformers takes another head width than the file says; half precision is rounded here
        read = type(model)(config).eval()
        read.load_state_dict({key: value.half().float() if value.ndim == 2 else value for key, value in model.state_dict().items()})
    else:
        read = AutoModelForCausalLM.from_pretrained(out, gguf_file=f"{name}.gguf", dtype=torch.float32).eval()
    if rope.get("rope_type") == "llama3":  # which transformers does not take from the file
        read.config.rope_parameters = rope
        other = type(read)(read.config).eval(); other.load_state_dict(read.state_dict()); read = other
    ids = torch.tensor([[4, 8, 15, 16, 23, 42, 99, 300], [7, 7, 1, 0, 49, 3, 255, 410]])
    with torch.no_grad():
        logits = read(ids).logits
        plain = model(ids).logits
    text = torch.tensor(words.encode(TEXT).ids)
    save_file({"input_ids": ids, "logits": logits.contiguous(), "text_ids": text}, out / f"{name}.safetensors")
    print(name, "from plain weights", (logits - plain).abs().max().item(), "tokens", len(text))


torch.manual_seed(11)
vocab = dict(vocab_size=416, bos_token_id=0, eos_token_id=1)
write("llama-q8_0", "llama", LlamaForCausalLM(LlamaConfig(**SIZES, **vocab, tie_word_embeddings=False, rope_parameters=LLAMA3_ROPE)).eval(), Q.Q8_0, LLAMA3, "llama-bpe")
qwen2 = Qwen2ForCausalLM(Qwen2Config(**SIZES, **vocab, tie_word_embeddings=True)).eval()
for name, parameter in qwen2.named_parameters():
    if name.endswith("bias"):
        torch.nn.init.normal_(parameter, std=0.3)
write("qwen2-q4_0", "qwen2", qwen2, Q.Q4_0, QWEN2, "qwen2")
write("qwen3-f16", "qwen3", Qwen3ForCausalLM(Qwen3Config(**SIZES, **vocab, head_dim=32, tie_word_embeddings=False)).eval(), Q.F16, QWEN2, "qwen2")
