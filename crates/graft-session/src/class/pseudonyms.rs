//! Pseudonyms of students: always the same on one machine, and not to be guessed from the names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::shared_file;

/// The words of the pseudonyms.
const WORDS: [&str; 64] = [
    "alder", "amber", "aspen", "badger", "bamboo", "beaver", "birch", "bison", "cedar", "clover",
    "comet", "condor", "coral", "cricket", "cypress", "daisy", "dolphin", "ermine", "falcon",
    "fern", "finch", "garnet", "gecko", "ginkgo", "heron", "hazel", "ibis", "iris", "jasmine",
    "juniper", "kestrel", "koala", "larch", "lemur", "lichen", "lotus", "lynx", "magpie", "maple",
    "marten", "moss", "myrtle", "nutmeg", "ocelot", "olive", "opal", "orchid", "osprey", "otter",
    "panda", "pine", "plover", "poppy", "quartz", "quail", "robin", "sable", "sage", "salmon",
    "spruce", "tapir", "thistle", "tulip", "willow",
];
/// Name of the file with the secret, next to the runs.
const SECRET_FILE: &str = ".class-pseudonyms";
/// Bytes of the secret.
const SECRET_BYTES: usize = 16;

/// Replaces names by pseudonyms.
pub(crate) struct Pseudonyms {
    secret: Vec<u8>,
}

impl Pseudonyms {
    /// Reads the secret of this machine, or creates it. Where it cannot be stored, the pseudonyms
    /// change with the next session.
    pub(crate) fn of_machine(runs: &Path) -> Self {
        let path = runs.join(SECRET_FILE);
        let known = || shared_file::read(&path).ok().filter(|secret| secret.len() == SECRET_BYTES);
        if let Some(secret) = known() {
            return Self { secret };
        }
        let mut secret = vec![0; SECRET_BYTES];
        // Without a source of random numbers the pseudonyms can be guessed from the names.
        let _ = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut secret));
        let mut options = OpenOptions::new();
        let created = fs::create_dir_all(runs)
            .and_then(|()| options.write(true).create_new(true).mode(0o600).open(&path));
        if let Ok(mut file) = created {
            let _ = file.write_all(&secret);
        }
        // Another session may have created it meanwhile.
        Self { secret: known().unwrap_or(secret) }
    }

    /// The pseudonym of each name, such as `otter 42`.
    pub(crate) fn of<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> BTreeMap<String, String> {
        let mut hashed: Vec<(u64, &String)> =
            names.into_iter().map(|name| (self.hash(name), name)).collect();
        hashed.sort_unstable();
        let mut taken = BTreeSet::new();
        let free = |hash: u64| (0..).map(move |more| spoken(hash.wrapping_add(more * 1021)));
        hashed
            .into_iter()
            .filter_map(|(hash, name)| {
                let pseudonym = free(hash).find(|pseudonym| taken.insert(pseudonym.clone()))?;
                Some((name.clone(), pseudonym))
            })
            .collect()
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.secret, name).hash(&mut hasher);
        hasher.finish()
    }
}

fn spoken(hash: u64) -> String {
    let word = WORDS[(hash % WORDS.len() as u64) as usize];
    format!("{word} {}", 10 + (hash >> 8) % 90)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_stays_the_same_when_others_join_and_depends_on_the_secret() {
        let place = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..30).map(|number| format!("student {number}")).collect();
        let first = Pseudonyms::of_machine(place.path()).of(&names[..1]);
        let all = Pseudonyms::of_machine(place.path()).of(&names);
        assert_eq!(all[&names[0]], first[&names[0]]);
        assert_eq!(all.values().collect::<BTreeSet<_>>().len(), 30);
        assert!(all.iter().all(|(name, pseudonym)| !pseudonym.contains(name)));
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Pseudonyms::of_machine(other.path()).of(&names), all);
    }
}
