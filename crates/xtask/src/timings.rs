//! Durations of the tests, as reported by the test runners.

/// One test and its duration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timing {
    /// Duration in seconds.
    pub(crate) seconds: f64,
    /// The test's crate or file, and its name.
    pub(crate) test: String,
}

/// Number of tests in the table.
const SHOWN: usize = 20;

/// Parses a line that nextest prints at the end of a test: `PASS [   0.012s] ( 3/90) graft-magic
/// words::tests::quotes`.
pub(crate) fn from_nextest(line: &str) -> Option<Timing> {
    let rest = ["PASS [", "FAIL [", "TIMEOUT ["]
        .iter()
        .find_map(|start| line.trim_start().strip_prefix(start))?;
    let (seconds, rest) = rest.split_once("s]")?;
    let rest = rest.trim_start();
    // Older versions print no counter.
    let test = rest
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .map_or(rest, |(_, test)| test)
        .trim();
    Some(Timing { seconds: seconds.trim().parse().ok()?, test: test.to_owned() })
}

/// Parses the timings in a JUnit file of pytest.
pub(crate) fn from_junit(xml: &str) -> Vec<Timing> {
    let tests = xml.split("<testcase ").skip(1).filter_map(|rest| rest.split('>').next());
    tests
        .filter_map(|attributes| {
            Some(Timing {
                seconds: attribute(attributes, "time")?.parse().ok()?,
                test: junit_name(attributes)?,
            })
        })
        .collect()
}

fn junit_name(attributes: &str) -> Option<String> {
    Some(format!("{} {}", attribute(attributes, "classname")?, attribute(attributes, "name")?))
}

/// Returns the value of an attribute. `name` must not match the end of `classname`.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}=\"");
    let at = attributes
        .match_indices(&start)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || attributes[..*at].ends_with(' '))?;
    attributes[at + start.len()..].split('"').next()
}

/// Prints the slowest tests, longest first.
pub(crate) fn print_slowest(timings: &[Timing]) {
    if timings.is_empty() {
        return;
    }
    let mut sorted: Vec<&Timing> = timings.iter().collect();
    sorted.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    println!("\nslowest tests");
    for timing in sorted.iter().take(SHOWN) {
        println!("  {:>7.1} s  {}", timing.seconds, timing.test);
    }
    let sum: f64 = timings.iter().map(|timing| timing.seconds).sum();
    println!("  {sum:>7.1} s  sum of all {}", timings.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(seconds: f64, test: &str) -> Timing {
        Timing { seconds, test: test.to_owned() }
    }

    #[test]
    fn lines_of_nextest_are_read_with_and_without_a_counter() {
        assert_eq!(
            from_nextest("        PASS [   0.012s] ( 3/90) graft-magic words::tests::quotes"),
            Some(timing(0.012, "graft-magic words::tests::quotes"))
        );
        assert_eq!(
            from_nextest("     TIMEOUT [ 600.004s] graft-kernel::it storm"),
            Some(timing(600.004, "graft-kernel::it storm"))
        );
        assert_eq!(from_nextest("        SLOW [> 120.000s] graft-kernel::it storm"), None);
        assert_eq!(from_nextest("     Summary [   3.501s] 120 tests run: 120 passed"), None);
    }

    #[test]
    fn a_junit_file_of_pytest_is_read() {
        let xml = r#"<testsuite tests="2"><testcase classname="test_life" name="test_stop" time="12.5" /><testcase classname="test_wire" name="test_files[a]" time="0.25"><failure message="x &gt; y">trace</failure></testcase></testsuite>"#;
        assert_eq!(
            from_junit(xml),
            [timing(12.5, "test_life test_stop"), timing(0.25, "test_wire test_files[a]")]
        );
    }
}
