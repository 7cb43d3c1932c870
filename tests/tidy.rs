//! The house rules that a machine can check; every exception is named in a list here.
//!
//! A complaint reads `file:line: what is wrong`.

use girih_tests::source::{Line, Source, expect_none, files, root, rust_under, text_of};

const FILE_LINES_MAX: usize = 500;
const LINE_COLUMNS_MAX: usize = 120;
const FUNCTION_LINES_MAX: usize = 70;
/// Lines above an atomic operation in which its comment may stand.
const ORDERING_COMMENT_LINES: usize = 3;

/// Files that may hold `unsafe`, each with what it keeps.
const ISLANDS: [(&str, &str); 23] = [
    ("arrays/src/kernel/complex.rs", "the mathematics library's functions of complex numbers"),
    ("arrays/src/kernel/nearest/x86.rs", "vector instructions behind a check of the processor"),
    ("arrays/src/kernel/product.rs", "strided tiles for the `gemm` crate"),
    ("arrays/src/kernel/vector.rs", "loops compiled again for wider vectors, behind a check of the processor"),
    ("benches/task_graph.rs", "the kernel that peers in C share"),
    ("bindings/src/numpy.rs", "views of NumPy on our memory"),
    ("runtime/mpi/src/collectives.rs", "the MPI library's C interface"),
    ("runtime/mpi/src/lib.rs", "the MPI library's C interface"),
    ("runtime/src/comm/over_mpi/collectives.rs", "blocks lent to MPI until their request completes"),
    ("runtime/src/comm/over_mpi/exchange.rs", "blocks lent to MPI until their request completes"),
    ("runtime/src/comm/over_mpi/mod.rs", "blocks lent to MPI until their request completes"),
    ("runtime/src/comm/over_mpi/packets.rs", "packets lent to MPI until their request completes"),
    ("runtime/src/comm/over_mpi/panels.rs", "blocks lent to MPI until their request completes"),
    ("runtime/src/comm/over_mpi/rings.rs", "memory that the ranks of a node share"),
    ("runtime/src/graph/node.rs", "a task's blocks, by the order of its graph"),
    ("runtime/src/memory/block.rs", "raw pages as slices"),
    ("runtime/src/memory/grant.rs", "the order of a graph in place of a count"),
    ("runtime/src/mpi/load.rs", "a library loaded at run time"),
    ("runtime/src/mpi/session.rs", "calls through the plug-in's table"),
    ("runtime/src/mpi/shared.rs", "calls through the plug-in's table"),
    ("runtime/src/mpi/table.rs", "the plug-in's C table"),
    ("runtime/src/schedule/mod.rs", "the order that tasks rely on"),
    ("tests/src/bin/transport_check.rs", "MPI started before girih, as another library does"),
];

/// Who may read environment variables: the options in one place, what a launcher says, and what starts the tests.
const ENVIRONMENT_READERS: [&str; 4] =
    ["runtime/src/config.rs", "runtime/src/mpi/launcher.rs", "runtime/src/mpi/load.rs", "tests/src/"];

/// Names of files that say nothing about what is in them.
const EMPTY_NAMES: [&str; 12] =
    ["utils", "util", "helpers", "helper", "common", "misc", "types", "old", "new", "manager", "stuff", "other"];

/// Names that end in a digit because the thing does.
const NUMBERED_NAMES: [&str; 3] = ["x86", "avx2", "avx512"];

/// Inline paths in the pages that name what a user makes, not what is in the tree: their beginnings.
const MADE_BY_USERS: [&str; 4] = [".venv", "target/", "demo-output", "out/"];

const PAGES: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

fn rust() -> Vec<Source> {
    rust_under("")
}

fn python() -> Vec<Source> {
    files("", &[".py", ".pyi"]).iter().map(|path| Source::plain(path, &text_of(path))).collect()
}

/// What a rule finds in one source: lines counted from zero, and what is wrong there.
type Rule = fn(&Source) -> Vec<(usize, String)>;

/// What the rules say of all sources.
#[track_caller]
fn check(sources: &[Source], rules: &[Rule]) {
    let mut complaints = Vec::new();
    for source in sources {
        for (line, text) in rules.iter().flat_map(|rule| rule(source)) {
            complaints.push(format!("{}:{}: {text}", source.path, line + 1));
        }
    }
    expect_none(complaints);
}

fn file_name_without_ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

fn long_file(source: &Source) -> Vec<(usize, String)> {
    let lines = source.lines.len();
    let text = format!("the file has {lines} lines; at most {FILE_LINES_MAX}");
    if lines > FILE_LINES_MAX { vec![(FILE_LINES_MAX, text)] } else { Vec::new() }
}

fn long_lines(source: &Source) -> Vec<(usize, String)> {
    let columns = source.lines.iter().map(|line| line.text.chars().count()).enumerate();
    let long = columns.filter(|&(_, columns)| columns > LINE_COLUMNS_MAX);
    long.map(|(line, columns)| (line, format!("the line has {columns} columns; at most {LINE_COLUMNS_MAX}"))).collect()
}

fn long_rust_functions(source: &Source) -> Vec<(usize, String)> {
    let long = source.functions().into_iter().map(|function| (function.last - function.first + 1, function));
    long.filter(|(lines, _)| *lines > FUNCTION_LINES_MAX)
        .map(|(lines, function)| (function.first, too_long(&function.name, lines)))
        .collect()
}

/// By indentation; the signature counts, blank lines at the end do not.
fn long_python_functions(source: &Source) -> Vec<(usize, String)> {
    let indent = |line: &Line| line.text.len() - line.text.trim_start().len();
    let mut long = Vec::new();
    for (first, line) in source.lines.iter().enumerate() {
        let start = line.text.trim_start();
        let Some(name) = start.strip_prefix("async ").unwrap_or(start).strip_prefix("def ") else { continue };
        // The line that closes a long signature stands as far left as the `def`.
        let inside = |body: &Line| {
            body.text.trim().is_empty() || indent(body) > indent(line) || body.text.trim().starts_with(')')
        };
        let body = &source.lines[first + 1..];
        let body = &body[..body.iter().position(|body| !inside(body)).unwrap_or(body.len())];
        let lines = 1 + body.iter().rposition(|body| !body.text.trim().is_empty()).map_or(0, |last| last + 1);
        if lines > FUNCTION_LINES_MAX {
            long.push((first, too_long(name.split('(').next().unwrap_or(name), lines)));
        }
    }
    long
}

fn too_long(name: &str, lines: usize) -> String {
    format!("function {name} has {lines} lines; at most {FUNCTION_LINES_MAX}")
}

fn no_purpose(source: &Source) -> Vec<(usize, String)> {
    let marks: &[&str] = if source.path.ends_with(".rs") { &["//! "] } else { &["\"\"\"", "r\"\"\"", "#!"] };
    let first = source.lines.first().map_or("", |line| line.text.as_str());
    match marks.iter().any(|mark| first.starts_with(mark)) {
        true => Vec::new(),
        false => vec![(0, format!("a file opens with its purpose: {}", marks[0].trim()))],
    }
}

fn empty_name(source: &Source) -> Vec<(usize, String)> {
    let name = file_name_without_ending(&source.path);
    let numbered = name.ends_with(|last: char| last.is_ascii_digit()) && !NUMBERED_NAMES.contains(&name);
    match (EMPTY_NAMES.contains(&name), numbered) {
        (true, _) => vec![(0, format!("the name \"{name}\" says nothing of what is in the file"))],
        (_, true) => vec![(0, format!("the name \"{name}\" ends in a digit"))],
        _ => Vec::new(),
    }
}

/// Marks of unfinished work, in comments, and the macros for it, in code.
fn unfinished(source: &Source) -> Vec<(usize, String)> {
    // In halves, so that whoever looks for such marks does not find this list.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"], ["HA", "CK"]].map(|halves| halves.concat());
    let mut found = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        // Python's comments are not told from its code, and no Python name contains these.
        let comment = if source.path.ends_with(".rs") { &line.comment } else { &line.text };
        for mark in &marks {
            if words(comment).any(|word| word == mark) {
                found.push((index, format!("{mark}: what is left to do does not stand in the tree")));
            }
        }
    }
    let tokens = source.tokens();
    for pair in tokens.windows(2).filter(|pair| pair[1].text == "!") {
        if matches!(pair[0].text.as_str(), "dbg" | "todo" | "unimplemented") {
            found.push((pair[0].line, format!("{}! does not stand in the tree", pair[0].text)));
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn unsafe_elsewhere(source: &Source) -> Vec<(usize, String)> {
    if ISLANDS.iter().any(|(island, _)| *island == source.path) {
        return Vec::new();
    }
    let found = source.tokens().into_iter().filter(|token| token.text == "unsafe");
    found.map(|token| (token.line, "unsafe outside of the islands listed in tests/tidy.rs".to_string())).collect()
}

fn environment_elsewhere(source: &Source) -> Vec<(usize, String)> {
    if ENVIRONMENT_READERS.iter().any(|reader| source.path.starts_with(reader)) {
        return Vec::new();
    }
    let tokens = source.tokens();
    let reads = |name: &str| matches!(name, "var" | "vars" | "var_os" | "vars_os");
    let found =
        tokens.windows(3).filter(|three| three[0].text == "env" && three[1].text == "::" && reads(&three[2].text));
    found
        .map(|three| (three[0].line, format!("env::{} outside of the readers listed in tests/tidy.rs", three[2].text)))
        .collect()
}

/// Atomic orderings in operations, not in imports, without a comment at their line or just above.
fn silent_orderings(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut importing = false;
    for token in source.tokens() {
        match token.text.as_str() {
            "use" => importing = true,
            ";" => importing = false,
            "Relaxed" | "Acquire" | "Release" | "AcqRel" | "SeqCst" if !importing => {
                let first = token.line.saturating_sub(ORDERING_COMMENT_LINES);
                let lines = &source.lines[first..=token.line];
                if lines.iter().all(|line| line.comment.trim().is_empty()) {
                    found.push((token.line, format!("{} without a comment that names its partner", token.text)));
                }
            }
            _ => (),
        }
    }
    found
}

/// Public functions of kernel modules whose documentation has no line of cost; methods are their types' affair.
fn kernels_without_cost(source: &Source) -> Vec<(usize, String)> {
    if !source.path.starts_with("arrays/src/kernel/") {
        return Vec::new();
    }
    let public = |line: &Line| {
        let start = line.code.strip_prefix("pub ").or(line.code.strip_prefix("pub(crate) "));
        start.is_some_and(|rest| words(rest).take(4).any(|word| word == "fn"))
    };
    let mut found = Vec::new();
    for (index, _) in source.lines.iter().enumerate().filter(|(_, line)| public(line)) {
        let above = source.lines[..index].iter().rev();
        let mut documentation = above.take_while(|line| line.text.starts_with("///") || line.text.starts_with("#["));
        if !documentation.any(|line| line.text.contains("Cost:")) {
            found.push((index, "a public function of a kernel states its `Cost:`".to_string()));
        }
    }
    found
}

/// What a page names in backticks or links to, where it reads like a path of the tree; fenced blocks are left out.
fn paths_named(page: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let mut fenced = false;
    for (index, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2);
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        named.extend(quoted.chain(linked).filter(|path| is_path(path)).map(|path| (index, path.to_string())));
    }
    named
}

fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    let source = [".rs", ".py", ".pyi", ".md", ".toml", ".sh", ".h"].iter().any(|ending| text.ends_with(ending));
    let top = text.split('/').next().is_some_and(|first| !first.is_empty() && root().join(first).exists());
    let in_tree = text.contains('/') && (source || top) || text.ends_with(".md") || text.ends_with(".toml");
    plain && in_tree && !text.starts_with('/') && !MADE_BY_USERS.iter().any(|made| text.starts_with(made))
}

#[test]
fn rust_files_lines_and_functions_are_short() {
    check(&rust(), &[long_file, long_lines, long_rust_functions]);
}

#[test]
fn python_files_lines_and_functions_are_short() {
    check(&python(), &[long_file, long_lines, long_python_functions]);
}

#[test]
fn files_say_what_they_are_for() {
    check(&rust(), &[no_purpose, empty_name]);
    check(&python(), &[no_purpose, empty_name]);
}

#[test]
fn nothing_is_left_unfinished() {
    check(&rust(), &[unfinished]);
    check(&python(), &[unfinished]);
}

#[test]
fn unsafe_lives_on_islands() {
    check(&rust(), &[unsafe_elsewhere]);
    let deserted = |(island, _): &&(&str, &str)| {
        let source = Source::rust(island, &text_of(island));
        !source.tokens().iter().any(|token| token.text == "unsafe")
    };
    let deserted = ISLANDS.iter().filter(deserted);
    expect_none(
        deserted.map(|(island, _)| format!("{island}:1: is listed as an island, but holds no unsafe")).collect(),
    );
}

#[test]
fn the_environment_is_read_in_one_place() {
    check(&rust(), &[environment_elsewhere]);
}

#[test]
fn orderings_name_their_partner() {
    check(&rust(), &[silent_orderings]);
}

#[test]
fn kernels_state_their_cost() {
    check(&rust(), &[kernels_without_cost]);
}

#[test]
fn pages_name_only_what_is_there() {
    let missing = |page: &&str| {
        let absent = paths_named(&text_of(page)).into_iter().filter(|(_, path)| !root().join(path).exists());
        absent.map(|(line, path)| format!("{page}:{}: {path} is not in the tree", line + 1)).collect::<Vec<_>>()
    };
    expect_none(PAGES.iter().flat_map(missing).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rule(rule: Rule, path: &str, text: &str, lines: &[usize]) {
        let rust = path.ends_with(".rs");
        let source = if rust { Source::rust(path, text) } else { Source::plain(path, text) };
        let found = rule(&source);
        assert_eq!(found.iter().map(|(line, _)| line + 1).collect::<Vec<_>>(), lines, "{found:?}");
    }

    #[test]
    fn lengths_are_counted() {
        check_rule(long_file, "a.rs", &"x\n".repeat(501), &[501]);
        check_rule(long_lines, "a.py", &format!("{}\n{}", "é".repeat(120), "é".repeat(121)), &[2]);
        check_rule(long_rust_functions, "a.rs", &format!("\nfn f() {{\n{}}}\n", "x;\n".repeat(69)), &[2]);
        check_rule(long_rust_functions, "a.rs", &format!("fn f() {{\n{}}}\n", "x;\n".repeat(68)), &[]);
        check_rule(
            long_python_functions,
            "a.py",
            &format!("def f(\n    a,\n):\n{}\n\nx = 1\n", "    y\n".repeat(68)),
            &[1],
        );
        check_rule(long_python_functions, "a.py", &format!("def f():\n{}\n\ndef g():\n  z\n", "  y\n".repeat(69)), &[]);
    }

    #[test]
    fn openings_names_and_leftovers_are_seen() {
        check_rule(no_purpose, "a.rs", "use x;", &[1]);
        check_rule(no_purpose, "a.py", "\"\"\"Says what.\"\"\"", &[]);
        check_rule(empty_name, "runtime/src/utils.rs", "", &[1]);
        check_rule(empty_name, "a/pool2.py", "", &[1]);
        check_rule(empty_name, "kernel/x86.rs", "", &[]);
        check_rule(unfinished, "a.rs", &["let a = \"TO", "DO\"; // TO", "DO\n dbg", "!(a);"].concat(), &[1, 2]);
    }

    #[test]
    fn unsafe_environment_and_orderings_are_seen() {
        check_rule(unsafe_elsewhere, "a.rs", "// unsafe\nunsafe { f() }\n#![allow(unsafe_code)]", &[2]);
        check_rule(environment_elsewhere, "a.rs", "env!(\"A\");\nstd::env::var(\"A\");\nenv::temp_dir();", &[2]);
        let text = "use x::{\n Relaxed};\na.load(Relaxed);\n// why\nb;\nc;\na.load(Relaxed);\na.load(SeqCst);";
        check_rule(silent_orderings, "a.rs", text, &[3, 8]);
    }

    #[test]
    fn kernels_and_pages_are_read() {
        let text =
            "/// Cost: n.\n#[inline]\npub fn a() {}\n/// Adds.\npub(crate) unsafe fn b() {}\npub(super) fn c() {}";
        check_rule(kernels_without_cost, "arrays/src/kernel/a.rs", text, &[5]);
        check_rule(kernels_without_cost, "arrays/src/a.rs", text, &[]);
        let page = "`tests/tidy.rs` and `x.local`, `a / b`\n```\n`tests/no.rs`\n```\n\
            [x](tests/gone.md#y), `/sys/a.rs`, `CHANGELOG.md`";
        let named: Vec<_> = paths_named(page).into_iter().map(|(line, path)| format!("{line} {path}")).collect();
        assert_eq!(named, ["0 tests/tidy.rs", "4 CHANGELOG.md", "4 tests/gone.md"]);
    }
}
