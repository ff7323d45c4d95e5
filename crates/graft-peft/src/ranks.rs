//! Rank and scaling of each layer: `r` and `alpha` with `rank_pattern` and `alpha_pattern`.

use graft_nn::Linear;
use serde_json::Value;

use crate::{PeftError, config_file::ConfigFile, init_source::InitSource, patterns::Patterns};

/// Maximum number of warnings about patterns that are shown individually.
const SHOWN: usize = 8;

/// Rank and alpha of every layer of an adapter.
#[derive(Clone, Debug)]
pub(crate) struct Ranks {
    r: usize,
    alpha: f64,
    rank_pattern: Patterns<usize>,
    alpha_pattern: Patterns<f64>,
    is_rank_stabilized: bool,
}

impl Ranks {
    /// Reads `r`, the field of alpha (LoRA's is `lora_alpha`) and both patterns.
    ///
    /// # Errors
    /// [`PeftError::Malformed`].
    pub(crate) fn read(config: &ConfigFile, alpha: &str) -> Result<Self, PeftError> {
        Ok(Self {
            r: config.count("r")?,
            alpha: config.number(alpha)?,
            rank_pattern: pattern(config, "rank_pattern", |value| {
                value.as_u64().filter(|r| *r > 0).map(|r| r as usize)
            })?,
            alpha_pattern: pattern(config, "alpha_pattern", Value::as_f64)?,
            is_rank_stabilized: false,
        })
    }

    /// Sets whether the scaling is that of rsLoRA, `alpha / sqrt(r)`.
    pub(crate) fn with_rank_stabilization(self, is_rank_stabilized: bool) -> Self {
        Self { is_rank_stabilized, ..self }
    }

    /// Rank and scaling of the layer at `path`: `alpha / r`, or `alpha / sqrt(r)` in rsLoRA.
    pub(crate) fn rank_and_scaling(&self, path: &str) -> (usize, f64) {
        let (r, alpha) = self.at(path);
        let divisor = if self.is_rank_stabilized { (r as f64).sqrt() } else { r as f64 };
        (r, alpha / divisor)
    }

    /// `r` and alpha without patterns.
    pub(crate) fn whole(&self) -> (usize, f64) {
        (self.r, self.alpha)
    }

    /// Rank and alpha of the layer at `path`.
    pub(crate) fn at(&self, path: &str) -> (usize, f64) {
        (
            self.rank_pattern.at(path).unwrap_or(self.r),
            self.alpha_pattern.at(path).unwrap_or(self.alpha),
        )
    }

    /// A warning for each pattern of an adapter from a file that matches no chosen layer; HF PEFT
    /// ignores these.
    ///
    /// # Errors
    /// [`PeftError::UnmatchedPattern`] for such a pattern of a fresh adapter.
    pub(crate) fn unmatched<'a>(
        &self,
        chosen: impl IntoIterator<Item = &'a str>,
        init: InitSource,
    ) -> Result<Vec<String>, PeftError> {
        let (chosen, mut warnings): (Vec<&str>, _) = (chosen.into_iter().collect(), Vec::new());
        let ranks =
            self.rank_pattern.unmatched(&chosen).into_iter().map(|key| ("rank_pattern", key));
        for (field, key) in ranks.chain(
            self.alpha_pattern.unmatched(&chosen).into_iter().map(|key| ("alpha_pattern", key)),
        ) {
            let error = PeftError::UnmatchedPattern {
                pattern: key.to_owned(),
                field,
                example: chosen.first().copied().unwrap_or_default().to_owned(),
            };
            if init == InitSource::Fresh {
                return Err(error);
            }
            warnings.push(error.to_string());
        }
        if warnings.len() > SHOWN {
            let more = warnings.len() - SHOWN;
            warnings.truncate(SHOWN);
            warnings.push(format!("{more} more patterns match no layer of the adapter"));
        }
        Ok(warnings)
    }
}

/// Checks that a rank is at most the smaller side of the layer. In an adapter from a file a larger
/// rank is accepted, with a warning for the first such layer.
///
/// # Errors
/// [`PeftError::RankTooLarge`] in a fresh adapter.
pub(crate) fn check_rank(
    r: usize,
    linear: &Linear,
    init: InitSource,
    warnings: &mut Vec<String>,
) -> Result<(), PeftError> {
    if r <= linear.d_in().min(linear.d_out()) {
        return Ok(());
    }
    let error = PeftError::RankTooLarge {
        r,
        path: linear.path().to_owned(),
        d_in: linear.d_in(),
        d_out: linear.d_out(),
    };
    if init == InitSource::Fresh {
        return Err(error);
    }
    if warnings.is_empty() {
        warnings.push(format!("{error}; the extra ranks are redundant"));
    }
    Ok(())
}

fn pattern<T: Copy>(
    config: &ConfigFile,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Patterns<T>, PeftError> {
    let fields = config.get(name).and_then(Value::as_object).into_iter().flatten();
    let value = |(key, value): (&String, &Value)| {
        Ok((
            key.clone(),
            read(value).ok_or_else(|| config.invalid(name, "numbers by module name"))?,
        ))
    };
    Patterns::new(name, fields.map(value).collect::<Result<_, PeftError>>()?)
}
