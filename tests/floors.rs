//! A module names only modules on lower floors of its crate, and its own folder; `ARCHITECTURE.md` holds the floors.

use girih_tests::source::{Source, Token, closing, expect_none, files, rust_under, text_of};
use std::collections::BTreeMap;

const PAGE: &str = "ARCHITECTURE.md";

/// The floor of each name in a line of the block.
type Floors = BTreeMap<String, usize>;

/// The lines of the floors block, by the name before the colon: `crates`, then one for each crate.
fn floors_of(page: &str) -> Result<BTreeMap<String, Floors>, String> {
    let mut block = page.lines().enumerate().skip_while(|(_, line)| line.trim() != "```floors").skip(1).peekable();
    if block.peek().is_none() {
        return Err(format!("{PAGE}: there is no block that begins with ```floors"));
    }
    let mut sections = BTreeMap::new();
    for (index, line) in block.take_while(|(_, line)| !line.trim().starts_with("```")) {
        let place = format!("{PAGE}:{}", index + 1);
        let (name, floors) = line.split_once(':').ok_or(format!("{place}: a line of floors is `name: a < b c < d`"))?;
        let mut section = Floors::new();
        for (floor, names) in floors.split('<').enumerate() {
            for name in names.split_whitespace() {
                if section.insert(name.to_string(), floor).is_some() {
                    return Err(format!("{place}: {name} is on two floors"));
                }
            }
        }
        if sections.insert(name.trim().to_string(), section).is_some() {
            return Err(format!("{place}: {name} is there twice"));
        }
    }
    match sections.contains_key("crates") {
        true => Ok(sections),
        false => Err(format!("{PAGE}: the block of floors has no line `crates: …`")),
    }
}

#[track_caller]
fn floors() -> BTreeMap<String, Floors> {
    floors_of(&text_of(PAGE)).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// The module path of a file of a crate's `src`: `graph/build.rs` is `graph`, `build`; `lib.rs` is the root.
fn modules_of(path_in_src: &str) -> Vec<&str> {
    let mut path: Vec<_> = path_in_src.trim_end_matches(".rs").split('/').collect();
    if path.last() == Some(&"mod") || path == ["lib"] {
        path.pop();
    }
    path
}

/// The first names of paths that begin at the crate's root, with their lines; from a file at `depth` below it.
fn names_from_root(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let tokens = source.tokens();
    let word = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut inline_ends: Vec<usize> = Vec::new();
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        inline_ends.retain(|&end| end > at);
        if word(at) == "mod" && word(at + 2) == "{" {
            inline_ends.extend(closing(&tokens, at + 2));
        }
        // `super` climbs one module each time; as many as the file is deep lead to the root, like `crate`.
        let supers = (0..).take_while(|step| word(at + 2 * step) == "super" && word(at + 2 * step + 1) == "::").count();
        let climbs = if word(at) == "crate" && word(at + 1) == "::" { 1 } else { supers };
        if climbs > 0 && (supers == 0 || supers == depth + inline_ends.len()) {
            names.extend(first_names(&tokens, at + 2 * climbs));
        }
        at += (2 * climbs).max(1);
    }
    names
}

/// The name at a place, or those directly in the braces there.
fn first_names(tokens: &[Token], at: usize) -> Vec<(usize, String)> {
    let name = |token: &Token| (token.line, token.text.clone());
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![name(first)];
    }
    let end = closing(tokens, at).unwrap_or(tokens.len());
    let mut depth = 0;
    let mut names = Vec::new();
    for index in at..end {
        match tokens[index].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => (),
        }
        if depth == 1 && matches!(tokens[index].text.as_str(), "{" | ",") {
            names.extend(tokens.get(index + 1).filter(|token| !matches!(token.text.as_str(), "}" | ",")).map(name));
        }
    }
    names
}

/// What one file of crate `owner` names that it may not.
fn complaints_of(source: &Source, owner: &str, floors: &BTreeMap<String, Floors>) -> Vec<String> {
    let path = source.path.strip_prefix(&format!("{owner}/src/")).expect("a file of the crate");
    let modules = modules_of(path);
    let mut complaints = Vec::new();
    let mut complain = |line: usize, text: String| complaints.push(format!("{}:{}: {text}", source.path, line + 1));

    let crates = &floors["crates"];
    for token in source.tokens() {
        let named = token.text.strip_prefix("girih_").and_then(|name| crates.get_key_value(name));
        if let Some((name, _)) = named.filter(|(name, floor)| **floor >= crates[owner] && *name != owner) {
            complain(token.line, format!("crate {owner} names crate {name}, which is not below it"));
        }
    }
    // The root of a crate may name everything: it says which modules there are.
    let (Some(&module), Some(section)) = (modules.first(), floors.get(owner)) else { return complaints };
    let Some(&own_floor) = section.get(module) else {
        complain(0, format!("module {module} has no floor in {PAGE}, line `{owner}:`"));
        return complaints;
    };
    for (line, name) in names_from_root(source, modules.len()) {
        match section.get(&name) {
            _ if name == module => (),
            None => complain(line, format!("crate::{name} is no module with a floor in {PAGE}, line `{owner}:`")),
            Some(&floor) if floor >= own_floor => {
                complain(
                    line,
                    format!("{module} (floor {own_floor}) names {name} (floor {floor}), which is not below it"),
                );
            }
            Some(_) => (),
        }
    }
    complaints
}

#[test]
fn modules_name_only_what_is_below_them() {
    let floors = floors();
    let of_crate = |owner: &String| {
        let sources = rust_under(&format!("{owner}/src"));
        sources.iter().flat_map(|source| complaints_of(source, owner, &floors)).collect::<Vec<_>>()
    };
    expect_none(floors["crates"].keys().flat_map(of_crate).collect());
}

#[test]
fn crates_depend_only_on_what_is_below_them() {
    let floors = floors();
    let crates = &floors["crates"];
    let mut complaints = Vec::new();
    for (owner, floor) in crates {
        let mut section = String::new();
        for (index, line) in text_of(&format!("{owner}/Cargo.toml")).lines().enumerate() {
            if line.starts_with('[') {
                section = line.to_string();
            }
            let name = line.split(['.', ' ', '=']).next().and_then(|name| name.strip_prefix("girih-"));
            let above = name.and_then(|name| crates.get(name)).is_some_and(|other| other >= floor);
            if section.contains("dependencies") && above {
                complaints.push(format!("{owner}/Cargo.toml:{}: {line}: not below {owner}", index + 1));
            }
        }
    }
    expect_none(complaints);
}

#[test]
fn every_name_on_a_floor_stands() {
    let floors = floors();
    let mut complaints = Vec::new();
    for (owner, section) in &floors {
        let missing = |name: &String| match owner.as_str() {
            "crates" => text_of(&format!("{name}/Cargo.toml")).is_empty(),
            _ => {
                files(&format!("{owner}/src/{name}"), &[".rs"]).is_empty()
                    && text_of(&format!("{owner}/src/{name}.rs")).is_empty()
            }
        };
        let absent = section.keys().filter(|name| missing(name));
        complaints.extend(absent.map(|name| format!("{PAGE}: line `{owner}:` names {name}, which is not in the tree")));
    }
    let unlisted = floors["crates"].keys().filter(|owner| !floors.contains_key(*owner));
    complaints.extend(unlisted.map(|owner| format!("{PAGE}: the block of floors has no line `{owner}: …`")));
    expect_none(complaints);
}

#[cfg(test)]
mod tests {
    use super::{complaints_of, floors_of};
    use girih_tests::source::Source;

    const FLOORS: &str = "text\n```floors\ncrates: low < high\nlow: ids < error < pool graph\n```\n";

    #[track_caller]
    fn check(path: &str, text: &str, lines: &[usize]) {
        let floors = floors_of(FLOORS).unwrap();
        let owner = path.split('/').next().unwrap();
        let complaints = complaints_of(&Source::rust(path, text), owner, &floors);
        let expected: Vec<_> = lines.iter().map(|line| format!("{path}:{line}: ")).collect();
        assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
        assert!(
            complaints.iter().zip(&expected).all(|(complaint, start)| complaint.starts_with(start)),
            "{complaints:?}"
        );
    }

    #[test]
    fn lower_floors_and_the_own_folder_may_be_named() {
        check(
            "low/src/graph/build.rs",
            "use crate::{ids::{A, pool}, error};\nuse crate::graph::B;\nuse super::C;",
            &[],
        );
        check("low/src/pool.rs", "mod tests {\n use super::*;\n}\nuse crate::ids::A;", &[]);
        check("low/src/lib.rs", "pub use crate::pool::P;", &[]);
        check("high/src/lib.rs", "use girih_low::ids;", &[]);
        check("low/src/ids.rs", "// crate::pool\nlet a = \"crate::pool\";", &[]);
    }

    #[test]
    fn higher_floors_neighbours_and_strangers_may_not() {
        check("low/src/error.rs", "use crate::ids::A;\nuse crate::pool::P;", &[2]);
        check("low/src/graph/mod.rs", "use crate::{\n ids::A,\n pool::{P, Q},\n};", &[3]);
        check("low/src/graph/build.rs", "fn f() {\n super::super::pool::start();\n}", &[2]);
        check("low/src/ids.rs", "mod tests {\n use super::super::pool;\n}", &[2]);
        check("low/src/ids.rs", "use crate::Result;", &[1]);
        check("low/src/other/a.rs", "", &[1]);
        check("low/src/ids.rs", "use girih_high::A;", &[1]);
    }

    #[test]
    fn a_block_that_cannot_be_read_is_named() {
        assert!(floors_of("no block").unwrap_err().contains("```floors"));
        assert!(floors_of("```floors\ncrates: a < a\n```").unwrap_err().contains("two floors"));
        assert!(floors_of("```floors\nlow: a\n```").unwrap_err().contains("crates"));
    }
}
