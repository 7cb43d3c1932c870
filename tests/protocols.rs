//! Every claim of a `PROTOCOL.md` names tests or models, and these are in the tree.

use girih_tests::source::{expect_none, files, root, rust_under, text_of};
use std::collections::BTreeSet;

const MARK: &str = "Shown by:";

/// The claims of a page, by their line and heading, each with the tests that it names.
fn claims(page: &str) -> Vec<(usize, String, Vec<String>)> {
    let mut claims: Vec<(usize, String, Vec<String>)> = Vec::new();
    let mut naming = false;
    for (line, text) in page.lines().enumerate() {
        if let Some(heading) = text.strip_prefix("## ") {
            claims.push((line + 1, heading.to_string(), Vec::new()));
        }
        // The list goes on over the lines that follow, to the end of the paragraph.
        naming = (naming && !text.trim().is_empty()) || text.starts_with(MARK);
        if let (true, Some((_, _, tests))) = (naming, claims.last_mut()) {
            tests.extend(text.split('`').skip(1).step_by(2).map(str::to_string));
        }
    }
    claims
}

/// The tests of the tree by name: functions of Python, of Rust under `#[test]`, and of a macro that makes such.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in rust_under("") {
        let mut marked = false;
        for line in &source.lines {
            let code = line.code.trim();
            let called = code.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            names.extend(called.filter(|_| marked).map(str::to_string));
            marked = code == "#[test]" || marked && code.starts_with("#[");
            // A line of `random_programs!`.
            let made = code.split_once(':').filter(|(_, rest)| rest.contains("ranks of"));
            names.extend(made.map(|(name, _)| name.to_string()));
        }
    }
    for path in files("tests/python", &[".py"]) {
        let text = text_of(&path);
        let called = text.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next());
        names.extend(called.filter(|name| name.starts_with("test_")).map(str::to_string));
    }
    names
}

fn complaints(path: &str, page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, heading, named) in claims(page) {
        if named.is_empty() {
            complaints.push(format!("{path}:{line}: nothing shows \"{heading}\""));
        }
        let missing = named.iter().filter(|name| !tests.contains(*name));
        complaints.extend(missing.map(|name| format!("{path}:{line}: there is no test {name}")));
    }
    complaints
}

#[test]
fn every_claim_names_tests_that_are_there() {
    let pages: Vec<String> =
        files("runtime", &[".md"]).into_iter().filter(|path| path.ends_with("PROTOCOL.md")).collect();
    assert!(pages.len() >= 4, "only {pages:?}");
    let tests = tests();
    expect_none(pages.iter().flat_map(|path| complaints(path, &text_of(path), &tests)).collect());
}

#[test]
fn every_protocol_that_a_file_names_is_there() {
    let mut missing = Vec::new();
    for source in rust_under("runtime/src") {
        for (line, text) in source.lines.iter().enumerate() {
            for claim in text.comment.split("`PROTOCOL.md`, \"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                // A graph's lanes are run, and so proved, by the schedule.
                let pages = [format!("{folder}/PROTOCOL.md"), "runtime/src/schedule/PROTOCOL.md".to_string()];
                if !pages.iter().any(|page| claims(&text_of(page)).iter().any(|(_, heading, _)| heading == claim)) {
                    missing.push(format!("{}:{}: no protocol claims \"{claim}\"", source.path, line + 1));
                }
            }
            let models = text.comment.split('`').skip(1).step_by(2).filter(|word| word.starts_with("tests/models/"));
            for model in models.filter(|model| !root().join(model).exists()) {
                missing.push(format!("{}:{}: {model} is not in the tree", source.path, line + 1));
            }
        }
    }
    expect_none(missing);
}

#[test]
fn claims_without_tests_and_tests_that_are_gone_are_seen() {
    let page = "# Of x\n## One\nText `not_a_test`.\n\nShown by: `is_there`,\n`is_gone`\n\n## Two\nText.\n";
    let found = complaints("p.md", page, &BTreeSet::from(["is_there".to_string()]));
    assert_eq!(found, ["p.md:2: there is no test is_gone", "p.md:8: nothing shows \"Two\""]);
}
