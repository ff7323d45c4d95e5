//! The registry of the magics, in the order of the reference. A new magic is one module here and
//! one line in the list.

mod ablate;
mod chat;
mod check;
mod class;
mod compare;
mod data;
mod device;
mod environment;
mod eval;
mod generate;
mod help;
mod history;
mod jobs;
mod memory;
mod method;
mod model;
mod params;
mod run;
mod runs;
mod seed;
mod shell;
mod status;
mod time;
mod train;
mod variables;
mod write_file;

use std::sync::LazyLock;

use graft_spec::methods::METHODS;

use crate::verb::VerbSpec;

static VERBS: LazyLock<Vec<VerbSpec>> = LazyLock::new(|| {
    let mut verbs = vec![model::verb(), data::verb()];
    verbs.extend(METHODS.iter().map(|spec| method::verb(spec)));
    verbs.extend([
        train::train(),
        train::resume(),
        eval::verb(),
        check::verb(),
        ablate::verb(),
        ablate::forgetting(),
        ablate::trial(),
        generate::verb(),
        chat::verb(),
        compare::verb(),
        params::params(),
        params::weights(),
        memory::verb(),
    ]);
    verbs.extend([runs::runs(), runs::plot(), jobs::jobs(), jobs::watch(), jobs::stop()]);
    verbs.push(class::verb());
    verbs.extend([seed::verb(), device::verb(), status::verb()]);
    verbs.extend([
        help::lsmagic(),
        help::quickref(),
        time::verb(),
        environment::env(),
        environment::cd(),
        environment::pwd(),
    ]);
    verbs.extend([
        history::history(),
        history::load(),
        run::verb(),
        write_file::verb(),
        variables::who(),
        variables::reset(),
        shell::verb(),
    ]);
    verbs
});

/// Returns every magic.
pub fn all() -> &'static [VerbSpec] {
    &VERBS
}

/// Returns the magic with this name or alias.
pub fn find(name: &str) -> Option<&'static VerbSpec> {
    all().iter().find(|verb| verb.is_named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_verbs_share_a_name() {
        let mut names: Vec<_> = all()
            .iter()
            .flat_map(|verb| std::iter::once(verb.name).chain(verb.aliases.iter().copied()))
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn no_two_keys_of_a_form_share_a_name() {
        for verb in all() {
            for form in verb.forms.iter().chain(&verb.cell) {
                let mut names: Vec<_> = form.keys.iter().map(|key| key.name).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), form.keys.len(), "%{} {}", verb.name, form.word);
            }
        }
    }

    #[test]
    fn every_example_parses() {
        for verb in all() {
            for example in &verb.examples {
                crate::parse_cell(example, &graft_protocol::Snapshot::default())
                    .unwrap_or_else(|failure| panic!("{example}: {failure}"));
            }
        }
    }
}
