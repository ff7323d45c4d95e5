//! "Did you mean": the nearest of the names there are.

/// A hint for a name that is not among `known`: the nearest one, then all; without any, the line that makes the first.
pub(crate) fn did_you_mean(name: &str, known: &[String], plural: &str, first: &str) -> String {
    if known.is_empty() {
        return format!("there are no {plural} yet: `{first}`");
    }
    let all = format!("{plural}: {}", known.join(", "));
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    }
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    // Jaro-Winkler favours a common start, which is how people abbreviate and mistype.
    let scored = known.iter().map(|candidate| {
        (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate)
    });
    scored
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_gets_the_nearest_name_and_the_list() {
        let known = ["default".to_owned(), "soft".to_owned()];
        assert_eq!(
            did_you_mean("defualt", &known, "adapters", "%lora attach"),
            "did you mean `default`? adapters: default, soft"
        );
        assert_eq!(
            did_you_mean("xyz", &known, "adapters", "%lora attach"),
            "adapters: default, soft"
        );
        assert_eq!(did_you_mean("a", &[], "runs", "%train"), "there are no runs yet: `%train`");
    }
}
