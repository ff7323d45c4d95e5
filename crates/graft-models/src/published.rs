//! Sizes of well-known published models, for memory estimates without weights.

use graft_nn::{ModelShape, Quantization};

/// A well-known published model.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Short name, such as `llama-3.2-1b`.
    pub name: &'static str,
    family: &'static str,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    intermediate: usize,
    vocab: usize,
    positions: usize,
    tied: bool,
}

type Row = (&'static str, &'static str, [usize; 8], bool);

/// Name, family, (C, layers, H, K, D, F, V, positions), tied: from each model's config.json.
const ROWS: &[Row] = &[
    ("llama-3.2-1b", "llama", [2048, 16, 32, 8, 64, 8192, 128_256, 131_072], true),
    ("llama-3.2-3b", "llama", [3072, 28, 24, 8, 128, 8192, 128_256, 131_072], true),
    ("llama-3.1-8b", "llama", [4096, 32, 32, 8, 128, 14_336, 128_256, 131_072], false),
    ("qwen2.5-0.5b", "qwen2", [896, 24, 14, 2, 64, 4864, 151_936, 32_768], true),
    ("qwen2.5-1.5b", "qwen2", [1536, 28, 12, 2, 128, 8960, 151_936, 131_072], true),
    ("qwen2.5-7b", "qwen2", [3584, 28, 28, 4, 128, 18_944, 152_064, 131_072], false),
    ("qwen3-0.6b", "qwen3", [1024, 28, 16, 8, 128, 3072, 151_936, 40_960], true),
    ("qwen3-1.7b", "qwen3", [2048, 28, 16, 8, 128, 6144, 151_936, 40_960], true),
    ("qwen3-4b", "qwen3", [2560, 36, 32, 8, 128, 9728, 151_936, 40_960], true),
    ("qwen3-8b", "qwen3", [4096, 36, 32, 8, 128, 12_288, 151_936, 40_960], false),
    ("mistral-7b", "mistral", [4096, 32, 32, 8, 128, 14_336, 32_000, 32_768], false),
    ("gemma-2-2b", "gemma2", [2304, 26, 8, 4, 256, 9216, 256_000, 8192], true),
    ("gemma-3-270m", "gemma3_text", [640, 18, 4, 1, 256, 2048, 262_144, 32_768], true),
    ("gemma-3-1b", "gemma3_text", [1152, 26, 4, 1, 256, 6912, 262_144, 32_768], true),
    ("phi-3.5-mini", "phi3", [3072, 32, 32, 32, 96, 8192, 32_064, 131_072], false),
    ("phi-4-mini", "phi3", [3072, 32, 24, 8, 128, 8192, 200_064, 131_072], true),
    ("olmo-2-1b", "olmo2", [2048, 16, 16, 16, 128, 8192, 100_352, 4096], false),
    ("smollm3-3b", "smollm3", [2048, 36, 16, 4, 128, 11_008, 128_256, 65_536], true),
    ("granite-3.1-2b", "granite", [2048, 40, 32, 8, 64, 8192, 49_155, 131_072], true),
    ("pythia-160m", "gpt_neox", [768, 12, 12, 12, 64, 3072, 50_304, 2048], false),
    ("gpt2", "gpt2", [768, 12, 12, 12, 64, 3072, 50_257, 1024], true),
    ("bert-base", "bert", [768, 12, 12, 12, 64, 3072, 30_522, 512], true),
    ("roberta-base", "roberta", [768, 12, 12, 12, 64, 3072, 50_265, 512], true),
    ("xlm-roberta-base", "xlm-roberta", [768, 12, 12, 12, 64, 3072, 250_002, 512], true),
    ("modernbert-base", "modernbert", [768, 22, 12, 12, 64, 1152, 50_368, 8192], true),
    ("modernbert-large", "modernbert", [1024, 28, 16, 16, 64, 2624, 50_368, 8192], true),
    ("t5-small", "t5", [512, 6, 8, 8, 64, 2048, 32_128, 512], true),
    ("t5-base", "t5", [768, 12, 12, 12, 64, 3072, 32_128, 512], true),
    ("flan-t5-small", "t5", [512, 8, 6, 6, 64, 1024, 32_128, 512], false),
    ("flan-t5-base", "t5", [768, 12, 12, 12, 64, 2048, 32_128, 512], false),
    ("flan-t5-large", "t5", [1024, 24, 16, 16, 64, 2816, 32_128, 512], false),
    ("distilbert-base", "distilbert", [768, 6, 12, 12, 64, 3072, 30_522, 512], true),
];

/// The published model of that name, case-insensitive.
pub fn published(name: &str) -> Option<Published> {
    ROWS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(Published::of)
}

/// The known names.
pub fn published_names() -> Vec<&'static str> {
    ROWS.iter().map(|(name, ..)| *name).collect()
}

impl Published {
    fn of((name, family, sizes, tied): &Row) -> Self {
        let [hidden, layers, heads, kv_heads, head_dim, intermediate, vocab, positions] = *sizes;
        Self {
            name,
            family,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            intermediate,
            vocab,
            positions,
            tied: *tied,
        }
    }

    /// The sizes of the model.
    pub fn shape(&self) -> ModelShape {
        ModelShape {
            family: self.family.to_owned(),
            hidden: self.hidden,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            intermediate: self.intermediate,
            vocab: self.vocab,
            max_positions: self.positions,
            tied: self.tied,
        }
    }

    /// (d_out, d_in) of the linear layers of one block.
    fn linears(&self) -> Vec<(u64, u64)> {
        let [hidden, queries, keys, wide] = [
            self.hidden,
            self.heads * self.head_dim,
            self.kv_heads * self.head_dim,
            self.intermediate,
        ]
        .map(|size| size as u64);
        match self.family {
            "phi3" => vec![
                (queries + 2 * keys, hidden),
                (hidden, queries),
                (2 * wide, hidden),
                (hidden, wide),
            ],
            "gpt2" | "gpt_neox" => {
                vec![(3 * hidden, hidden), (hidden, hidden), (wide, hidden), (hidden, wide)]
            }
            "bert" | "roberta" | "xlm-roberta" | "distilbert" => vec![
                (hidden, hidden),
                (hidden, hidden),
                (hidden, hidden),
                (hidden, hidden),
                (wide, hidden),
                (hidden, wide),
            ],
            "modernbert" => {
                vec![(3 * hidden, hidden), (hidden, hidden), (2 * wide, hidden), (hidden, wide)]
            }
            // A block of the encoder and one of the decoder. T5 1.1 has a gate and an untied head.
            "t5" => {
                let attention =
                    [(queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries)];
                let inputs = if self.tied { 1 } else { 2 };
                let mut linears = attention.repeat(3);
                linears.extend(vec![(wide, hidden); 2 * inputs]);
                linears.extend([(hidden, wide); 2]);
                linears
            }
            _ => vec![
                (queries, hidden),
                (keys, hidden),
                (keys, hidden),
                (hidden, queries),
                (wide, hidden),
                (wide, hidden),
                (hidden, wide),
            ],
        }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let [hidden, vocab, positions, head_dim] =
            [self.hidden, self.vocab, self.positions, self.head_dim].map(|size| size as u64);
        let linears = self.linears();
        let weights: u64 = linears.iter().map(|(d_out, d_in)| d_out * d_in).sum();
        let biases: u64 = match self.family {
            "gpt2" | "gpt_neox" | "bert" | "roberta" | "xlm-roberta" | "distilbert" => {
                linears.iter().map(|(d_out, _)| d_out).sum()
            }
            "qwen2" => linears.iter().take(3).map(|(d_out, _)| d_out).sum(),
            _ => 0,
        };
        let heads = (self.heads + self.kv_heads) as u64;
        // Two norms per block, four in Gemma. LayerNorms have a bias, and some families also
        // normalize queries and keys.
        let (norms, outside) = match self.family {
            "gpt2" => (4 * hidden, positions * hidden + 2 * hidden),
            // Positions, two token types, the norm of the embeddings, the pooler.
            "bert" => {
                (4 * hidden, (positions + 2) * hidden + 2 * hidden + hidden * hidden + hidden)
            }
            "gpt_neox" => (4 * hidden, 2 * hidden),
            "gemma2" => (4 * hidden, hidden),
            "gemma3_text" => (4 * hidden + 2 * head_dim, hidden),
            "olmo2" => (2 * hidden + heads * head_dim, hidden),
            // As BERT, but one token type and two positions that no token has.
            "roberta" | "xlm-roberta" => {
                (4 * hidden, (positions + 3) * hidden + 2 * hidden + hidden * hidden + hidden)
            }
            // The first block has one norm; those of the embeddings and after the last block.
            "modernbert" => (2 * hidden, hidden),
            // Five norms in two blocks; a final norm and 32 buckets of distances in each stack.
            "t5" => (5 * hidden, 2 * hidden + 64 * self.heads as u64),
            // Positions and the norm of the embeddings.
            "distilbert" => (4 * hidden, positions * hidden + 2 * hidden),
            "qwen3" => (2 * hidden + 2 * head_dim, hidden),
            _ => (2 * hidden, hidden),
        };
        let tables = if self.tied { vocab * hidden } else { 2 * vocab * hidden };
        tables + outside + self.layers as u64 * (weights + biases + norms)
    }

    /// Size of all parameters in bytes, at `bytes_each`; `packed` is the quantization of the
    /// blocks' linear layers.
    pub fn bytes(&self, bytes_each: u64, packed: Option<Quantization>) -> u64 {
        let all = bytes_each * self.parameters();
        let saved = |(d_out, d_in): &(u64, u64), packed: Quantization| {
            bytes_each * d_out * d_in - packed.bytes((*d_out as usize, *d_in as usize)) as u64
        };
        all - packed.map_or(0, |packed| {
            self.layers as u64
                * self.linears().iter().map(|linear| saved(linear, packed)).sum::<u64>()
        })
    }

    /// Number of elements of the largest matrix.
    pub fn largest(&self) -> u64 {
        let vocabulary = (self.vocab * self.hidden) as u64;
        self.linears().iter().map(|(d_out, d_in)| d_out * d_in).fold(vocabulary, u64::max)
    }

    /// Number of parameters of a LoRA of that rank on all linear layers of the blocks.
    pub fn lora_parameters(&self, rank: u64) -> u64 {
        self.layers as u64
            * self.linears().iter().map(|(d_out, d_in)| rank * (d_out + d_in)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_give_the_published_numbers_of_parameters() {
        let expected = [
            ("llama-3.2-1b", 1_235_814_400),
            ("llama-3.2-3b", 3_212_749_824),
            ("llama-3.1-8b", 8_030_261_248),
            ("qwen2.5-0.5b", 494_032_768),
            ("qwen2.5-1.5b", 1_543_714_304),
            ("qwen2.5-7b", 7_615_616_512),
            ("qwen3-0.6b", 596_049_920),
            ("qwen3-1.7b", 1_720_574_976),
            ("qwen3-4b", 4_022_468_096),
            ("qwen3-8b", 8_190_735_360),
            ("mistral-7b", 7_241_732_096),
            ("gemma-2-2b", 2_614_341_888),
            ("gemma-3-270m", 268_098_176),
            ("gemma-3-1b", 999_885_952),
            ("phi-3.5-mini", 3_821_079_552),
            ("phi-4-mini", 3_836_021_760),
            ("olmo-2-1b", 1_484_916_736),
            ("smollm3-3b", 3_075_098_624),
            ("granite-3.1-2b", 2_533_531_648),
            ("pythia-160m", 162_322_944),
            ("gpt2", 124_439_808),
            ("bert-base", 109_482_240),
            ("roberta-base", 124_645_632),
            ("xlm-roberta-base", 278_043_648),
            ("modernbert-base", 149_014_272),
            ("modernbert-large", 394_781_696),
            ("t5-small", 60_506_624),
            ("t5-base", 222_903_552),
            ("flan-t5-small", 76_961_152),
            ("flan-t5-base", 247_577_856),
            ("flan-t5-large", 783_150_080),
            ("distilbert-base", 66_362_880),
        ];
        let found: Vec<_> = published_names()
            .into_iter()
            .map(|name| (name, published(name).map_or(0, |model| model.parameters())))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lora_on_every_linear_map_has_the_number_that_peft_prints() {
        // HF PEFT on Llama 3.2 1B, r=16, all-linear: trainable params: 11,272,192.
        assert_eq!(
            published("Llama-3.2-1B").map(|model| model.lora_parameters(16)),
            Some(11_272_192)
        );
    }
}
