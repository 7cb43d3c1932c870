//! Chooses a plug-in and loads it.
//!
//! Invariant: a process holds at most one MPI library; a choice that would bring a second one is refused.
//! Never here: MPI calls.

#![allow(unsafe_code, reason = "opening a shared library runs its code")]

use super::table::{ABI, SYMBOL, Table, TableFn};
use super::{Family, Launcher};
use crate::error::{Error, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::collections::BTreeSet;
use std::path::Path;

impl Family {
    /// The file of its plug-in, in the directory of plug-ins.
    pub fn plugin(self) -> &'static str {
        match self {
            Family::OpenMpi => "openmpi.so",
            Family::Mpich => "mpich.so",
        }
    }

    /// The family of a library by its file name, if it is an MPI library.
    fn of_library(file: &str) -> Option<Family> {
        // Open MPI has kept this number from 2.0 to 5.0; MPICH and its relatives agreed on 12.
        if file.starts_with("libmpi.so.40") {
            Some(Family::OpenMpi)
        } else if file.starts_with("libmpi.so.12") || file.starts_with("libmpich.so") {
            Some(Family::Mpich)
        } else {
            None
        }
    }
}

/// The MPI libraries in a process, from the text of its `/proc/self/maps`.
fn libraries_in(maps: &str) -> BTreeSet<(Family, &str)> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    paths.filter_map(|path| Some((Family::of_library(path.rsplit('/').next()?)?, path))).collect()
}

/// The memory map of this process; empty where the system has none.
fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").unwrap_or_default()
}

/// Loads the plug-in for the MPI library that is in the process already, else for the launcher's family.
///
/// `None` if there is neither a library nor a launcher, or nothing can be loaded and no launcher started
/// more than one rank: then this process is a world of its own.
///
/// # Errors
/// Local: `Error::Launch` if a launcher started several ranks and no fitting plug-in can be loaded.
pub(super) fn load(plugins: &Path, launcher: Option<&Launcher>) -> Result<Option<&'static Table>> {
    let before = maps();
    let present = libraries_in(&before);
    let wanted: Vec<Family> = match (present.first(), launcher) {
        (Some(&(family, path)), Some(launcher)) if launcher.is_parallel() && !launcher.families.contains(&family) => {
            return Err(wrong_family(family, path, launcher));
        }
        (Some(&(family, _)), _) => vec![family],
        (None, Some(launcher)) => launcher.families.to_vec(),
        (None, None) => return Ok(None),
    };
    let mut refusals = Vec::new();
    for family in wanted {
        match open(&plugins.join(family.plugin())) {
            Ok(table) => {
                let after = maps();
                let libraries = libraries_in(&after);
                if !present.is_empty() && libraries.len() > present.len() {
                    return Err(Error::Launch(two_libraries(&libraries)));
                }
                return Ok(Some(table));
            }
            Err(refusal) => refusals.push(format!("{family}: {refusal}")),
        }
    }
    match launcher {
        Some(launcher) if launcher.is_parallel() => Err(nothing_loaded(plugins, launcher, &refusals)),
        _ => Ok(None),
    }
}

/// Opens one plug-in for good.
fn open(path: &Path) -> Result<&'static Table, String> {
    if !path.is_file() {
        return Err(format!("there is no plug-in {}", path.display()));
    }
    // Global, because Open MPI opens components of its own that expect to find the library's symbols.
    // SAFETY: a plug-in of ours, whose only code at load time is that of the MPI library it is linked with.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.map_err(|error| format!("{} cannot be loaded: {error}", path.display()))?;
    // SAFETY: plug-ins define this symbol with this type, whatever their version.
    let symbol = unsafe { library.get::<TableFn>(SYMBOL) };
    let symbol = symbol.map_err(|error| format!("{} is no plug-in of girih: {error}", path.display()))?;
    // SAFETY: the function has no arguments and returns the address of a constant.
    let table = unsafe { symbol() };
    // An MPI library cannot be unloaded: it has threads, mappings and exit handlers.
    std::mem::forget(library);
    // SAFETY: every version of the table starts with these two numbers.
    let (abi, bytes) = unsafe { ((*table).abi, (*table).bytes) };
    if abi != ABI || bytes as usize != size_of::<Table>() {
        return Err(format!("{} is of another version of girih; build it again", path.display()));
    }
    // SAFETY: the version and the size agree, so the fields do; the table lives as long as the library.
    Ok(unsafe { &*table })
}

fn wrong_family(family: Family, path: &str, launcher: &Launcher) -> Error {
    Error::Launch(format!(
        "this process has loaded {family} ({path}) but was started by {}, which cannot start it; \
         use the launcher of {family}, or an mpi4py built for the launcher's MPI",
        launcher.described()
    ))
}

fn two_libraries(libraries: &BTreeSet<(Family, &str)>) -> String {
    let paths: Vec<&str> = libraries.iter().map(|&(_, path)| path).collect();
    format!(
        "girih's MPI plug-in and the rest of this process use different MPI libraries: {}; \
         build girih and mpi4py with the same mpicc",
        paths.join(", ")
    )
}

fn nothing_loaded(plugins: &Path, launcher: &Launcher, refusals: &[String]) -> Error {
    let present: Vec<&str> = [Family::OpenMpi, Family::Mpich]
        .into_iter()
        .filter(|family| plugins.join(family.plugin()).is_file())
        .map(Family::plugin)
        .collect();
    let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    Error::Launch(format!(
        "{} started this process, but its MPI cannot be used ({}); plug-ins in {}: {present}; \
         install that MPI and its compiler wrapper mpicc and build girih again, or use the launcher of an MPI \
         whose plug-in is there",
        launcher.described(),
        refusals.join("; "),
        plugins.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mpi_in_the_process_is_known_by_its_file() {
        let maps = "7f00-7f01 r--p 00000000 fe:01 12 /usr/lib/x86_64-linux-gnu/libmpi.so.40.30.4\n\
                    7f01-7f02 r-xp 00001000 fe:01 12 /usr/lib/x86_64-linux-gnu/libmpi.so.40.30.4\n\
                    7f02-7f03 rw-p 00000000 00:00 0\n\
                    7f03-7f04 r--p 00000000 fe:01 13 /usr/lib/libmpi_mpifh.so.40.30.0\n";
        let expected = [(Family::OpenMpi, "/usr/lib/x86_64-linux-gnu/libmpi.so.40.30.4")];
        assert_eq!(libraries_in(maps), BTreeSet::from(expected));
        for path in ["/opt/a b/libmpi.so.12.4.2", "/usr/lib/libmpich.so.12.2.1"] {
            let maps = format!("7f00-7f01 r--p 00000000 fe:01 12                         {path}\n");
            assert_eq!(libraries_in(&maps), BTreeSet::from([(Family::Mpich, path)]));
        }
        assert!(libraries_in("7f00-7f01 r--p 00000000 fe:01 12 /usr/lib/libc.so.6\n").is_empty());
    }

    #[test]
    fn without_launcher_and_library_the_process_is_alone() {
        assert!(load(Path::new("/nonexistent"), None).unwrap().is_none());
    }

    #[test]
    fn several_ranks_without_a_plugin_are_refused() {
        let launcher = |size| Launcher { name: "a test", size, families: &[Family::Mpich] };
        assert!(load(Path::new("/nonexistent"), Some(&launcher(Some(1)))).unwrap().is_none());
        let text = load(Path::new("/nonexistent"), Some(&launcher(Some(2)))).unwrap_err().to_string();
        assert!(text.contains("a test with 2 ranks") && text.contains("no plug-in /nonexistent/mpich.so"), "{text}");
    }
}
