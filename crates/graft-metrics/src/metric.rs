//! The metrics and their names.

use graft_spec::suggest::nearest;

use crate::MetricError;

/// A built-in metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Share of the examples whose class is right.
    Accuracy,
    /// F1 averaged over the classes.
    F1Macro,
    /// F1 averaged over the examples' classes.
    F1Weighted,
    /// Precision averaged over the classes.
    Precision,
    /// Recall averaged over the classes.
    Recall,
    /// Share of the texts that equal the expected one after SQuAD's normalization.
    ExactMatch,
    /// F1 of the words after SQuAD's normalization.
    TokenF1,
    /// ROUGE of single words.
    Rouge1,
    /// ROUGE of pairs of words.
    Rouge2,
    /// ROUGE of the longest common subsequence.
    RougeL,
    /// ROUGE of the longest common subsequences of the lines.
    RougeLsum,
    /// BLEU of the corpus.
    Bleu,
    /// chrF of the corpus.
    Chrf,
    /// Share of the texts in which a regular expression finds the expected answer.
    Regex,
    /// Share of the texts whose last number is the expected one.
    Numeric,
}

/// The range of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 0 to 1, shown in percent.
    Share,
    /// 0 to 100 points.
    Points,
    /// Any number.
    Number,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Accuracy,
        Self::F1Macro,
        Self::F1Weighted,
        Self::Precision,
        Self::Recall,
        Self::ExactMatch,
        Self::TokenF1,
        Self::Rouge1,
        Self::Rouge2,
        Self::RougeL,
        Self::RougeLsum,
        Self::Bleu,
        Self::Chrf,
        Self::Regex,
        Self::Numeric,
    ];

    /// The name, that of Hugging Face's `evaluate` where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1Macro => "f1_macro",
            Self::F1Weighted => "f1_weighted",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::ExactMatch => "exact_match",
            Self::TokenF1 => "token_f1",
            Self::Rouge1 => "rouge1",
            Self::Rouge2 => "rouge2",
            Self::RougeL => "rougeL",
            Self::RougeLsum => "rougeLsum",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::Regex => "regex",
            Self::Numeric => "numeric",
        }
    }

    /// Whether the metric is about classes. For texts without labels, each different text is a
    /// class.
    pub fn is_of_classes(self) -> bool {
        matches!(
            self,
            Self::Accuracy | Self::F1Macro | Self::F1Weighted | Self::Precision | Self::Recall
        )
    }

    /// The range of the score.
    pub fn scale(self) -> Scale {
        if matches!(self, Self::Bleu | Self::Chrf) { Scale::Points } else { Scale::Share }
    }

    /// The metrics of a name, which may be that of a group: `rouge`.
    fn named(name: &str) -> Option<Vec<Self>> {
        let group = match name {
            "rouge" => vec![Self::Rouge1, Self::Rouge2, Self::RougeL, Self::RougeLsum],
            "squad" => vec![Self::ExactMatch, Self::TokenF1],
            "f1" | "macro_f1" => vec![Self::F1Macro],
            "weighted_f1" => vec![Self::F1Weighted],
            "em" => vec![Self::ExactMatch],
            "squad_f1" | "f1_token" => vec![Self::TokenF1],
            "rougel" | "rouge_l" => vec![Self::RougeL],
            "rougelsum" | "rouge_lsum" => vec![Self::RougeLsum],
            "rouge_1" => vec![Self::Rouge1],
            "rouge_2" => vec![Self::Rouge2],
            "sacrebleu" => vec![Self::Bleu],
            "number" => vec![Self::Numeric],
            _ => vec![Self::ALL.into_iter().find(|metric| metric.name() == name)?],
        };
        Some(group)
    }
}

/// Parses a list of names, each of a metric or of a group, and returns each metric once. Names for
/// which `is_own` holds are metrics of the user and returned as such.
///
/// # Errors
/// [`MetricError::None`] and [`MetricError::Unknown`].
pub fn parse_metrics(
    names: &[String],
    own: &[String],
) -> Result<(Vec<Metric>, Vec<String>), MetricError> {
    let (mut metrics, mut users) = (Vec::new(), Vec::new());
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        if own.iter().any(|known| known == name) {
            if !users.iter().any(|known| known == name) {
                users.push(name.to_owned());
            }
            continue;
        }
        let found = Metric::named(&name.to_ascii_lowercase()).or_else(|| Metric::named(name));
        let Some(found) = found else { return Err(unknown(name, own)) };
        for metric in found {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
    }
    if metrics.is_empty() && users.is_empty() {
        return Err(MetricError::None);
    }
    Ok((metrics, users))
}

fn unknown(name: &str, own: &[String]) -> MetricError {
    let builtin = Metric::ALL.iter().map(|metric| metric.name()).chain(["rouge", "squad", "f1"]);
    let known: Vec<String> = builtin.map(str::to_owned).chain(own.iter().cloned()).collect();
    let closest =
        nearest(name, known.iter().map(String::as_str)).first().map(|near| (*near).to_owned());
    MetricError::Unknown { name: name.to_owned(), closest, known }
}

#[cfg(test)]
mod tests {
    use graft_spec::Hint;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn a_group_is_several_metrics_and_each_is_named_once() {
        let (metrics, own) =
            parse_metrics(&names("rougeL,rouge, mine ,em"), &names("mine")).unwrap();
        let rouge = [Metric::RougeL, Metric::Rouge1, Metric::Rouge2, Metric::RougeLsum];
        assert_eq!(metrics, [&rouge[..], &[Metric::ExactMatch]].concat());
        assert_eq!(own, ["mine"]);
    }

    #[test]
    fn a_misspelled_name_is_corrected_and_an_empty_list_refused() {
        let error = parse_metrics(&names("rogue"), &[]).unwrap_err();
        assert_eq!(error.to_string(), "unknown metric `rogue`");
        assert_eq!(error.hint().unwrap(), "did you mean `rouge`?");
        let error = parse_metrics(&names("my_metric"), &names("my_metrics")).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean `my_metrics`?");
        assert_eq!(parse_metrics(&names(" ,"), &[]), Err(MetricError::None));
    }

    #[test]
    fn every_metric_is_found_by_its_name() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(vec![metric]));
        }
    }
}
