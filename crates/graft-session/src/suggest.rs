//! Hints for unknown names.

use graft_spec::suggest::nearest;

/// A hint for a name that is not in `known`: the most similar name, then all of them. When `known`
/// is empty, the hint is `first`, the line that creates one.
pub(crate) fn did_you_mean(name: &str, known: &[String], plural: &str, first: &str) -> String {
    if known.is_empty() {
        return format!("no {plural} yet: `{first}`");
    }
    let all = format!("{plural}: {}", known.join(", "));
    match nearest(name, known.iter().map(String::as_str)).first() {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_gets_the_nearest_name_and_the_list() {
        let known = ["default".to_owned(), "soft".to_owned()];
        assert_eq!(
            did_you_mean("defualt", &known, "adapters", "%lora attach"),
            "did you mean `default`? adapters: default, soft"
        );
        assert_eq!(
            did_you_mean("xyz", &known, "adapters", "%lora attach"),
            "adapters: default, soft"
        );
        assert_eq!(did_you_mean("a", &[], "runs", "%train"), "no runs yet: `%train`");
    }
}
