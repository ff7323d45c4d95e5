//! Parameter counts: total and trainable, as HF PEFT counts them.

use graft_nn::Model;

use crate::Adapter;

/// Parameter counts of a model with its adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Number of trainable parameters.
    pub trainable: u64,
    /// Number of all parameters, including adapters; a tied weight counts once.
    pub all: u64,
}

impl Counts {
    /// Trainable parameters in percent: `100 trainable / all`.
    pub fn percent(&self) -> f64 {
        if self.all == 0 { 0.0 } else { 100.0 * self.trainable as f64 / self.all as f64 }
    }

    /// The line that HF PEFT's `print_trainable_parameters` prints.
    pub fn line(&self) -> String {
        format!(
            "trainable params: {} || all params: {} || trainable%: {:.4}",
            grouped(self.trainable),
            grouped(self.all),
            self.percent()
        )
    }
}

/// Counts the parameters of a model with adapters. All adapters count in `all`; the active ones and
/// the base weights that are not frozen count as trainable.
pub fn counts(model: &dyn Model, adapters: &[&Adapter]) -> Counts {
    let base = |trainable: bool| {
        model
            .parameters()
            .iter()
            .filter(|p| !trainable || p.is_trainable())
            .map(|p| p.elements() as u64)
            .sum::<u64>()
    };
    let trained: u64 = adapters
        .iter()
        .filter(|adapter| adapter.is_active(model))
        .map(|adapter| adapter.trainable_parameters())
        .sum();
    let added: u64 = adapters.iter().map(|adapter| adapter.added_parameters()).sum();
    Counts { trainable: base(true) + trained, all: base(false) + added }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let separator =
        |place: usize| if place > 0 && (digits.len() - place).is_multiple_of(3) { "," } else { "" };
    digits.char_indices().map(|(place, digit)| format!("{}{digit}", separator(place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_hf_peft() {
        // The three example lines of HF PEFT's documentation.
        for (trainable, all, line) in [
            (
                524_288,
                1_236_338_688,
                "trainable params: 524,288 || all params: 1,236,338,688 || trainable%: 0.0424",
            ),
            (
                3_686_400,
                3_089_625_088,
                "trainable params: 3,686,400 || all params: 3,089,625,088 || trainable%: 0.1193",
            ),
            (
                296_450,
                108_608_260,
                "trainable params: 296,450 || all params: 108,608,260 || trainable%: 0.2730",
            ),
        ] {
            assert_eq!(Counts { trainable, all }.line(), line);
        }
        assert_eq!(
            Counts { trainable: 0, all: 0 }.line(),
            "trainable params: 0 || all params: 0 || trainable%: 0.0000"
        );
    }
}
