//! The MPI transport under real launchers: every family found here, at awkward rank counts.
//!
//! What the ranks check of messages and collectives is in `src/bin/transport_check.rs`; here is what only the
//! outside sees: that jobs end, how, and what they say when launcher, library and plug-ins do not fit.

use girih_runtime::mpi::Family;
use girih_tests::mpi::{Launcher, Outcome, launchers, plugins, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const CHECK: &str = env!("CARGO_BIN_EXE_transport_check");

/// Runs the check under a launcher, one job at a time: the ranks are more than the cores as it is.
fn job(launcher: &Launcher, ranks: usize, plugins: &Path, mode: &[&str]) -> Outcome {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = launcher.command(ranks, CHECK);
    command.arg(plugins).args(mode);
    run(&command, Duration::from_secs(60))
}

/// The launchers whose family has a plug-in.
fn usable() -> Vec<Launcher> {
    let folder = plugins();
    let usable: Vec<Launcher> =
        launchers().into_iter().filter(|one| folder.join(one.family.plugin()).is_file()).collect();
    assert!(!usable.is_empty(), "{} has plug-ins, but for no launcher on the path", folder.display());
    usable
}

/// A directory of plug-ins, for one test.
struct Folder(PathBuf);

impl Folder {
    /// Without plug-ins.
    fn empty(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("girih-plugins-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder in the temporary directory");
        Folder(folder)
    }

    /// With the plug-in of one family under the name of another.
    fn swapped(contents: Family, family: Family) -> Folder {
        let folder = Folder::empty(contents.plugin());
        fs::copy(plugins().join(contents.plugin()), folder.0.join(family.plugin())).expect("a copy of a plug-in");
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The MPI library that a plug-in is linked with.
fn library(family: Family) -> String {
    let output = Command::new("ldd").arg(plugins().join(family.plugin())).output().expect("ldd runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.find(|name| name.starts_with("libmpi")).expect("a plug-in is linked with MPI").to_owned()
}

#[track_caller]
fn check_refused(outcome: &Outcome, texts: &[&str]) {
    assert!(outcome.code.is_some_and(|code| code != 0), "not refused in time: {outcome:?}");
    for text in texts {
        assert!(outcome.stderr.contains(text), "does not say {text:?}: {outcome:?}");
    }
}

#[track_caller]
fn check_all(ranks: usize) {
    for launcher in usable() {
        let outcome = job(&launcher, ranks, &plugins(), &[]);
        let expected: Vec<String> =
            (0..ranks).map(|rank| format!("ok rank {rank} of {ranks}: {}", launcher.family)).collect();
        let lines = outcome.lines("ok ");
        let agree =
            lines.len() == ranks && lines.iter().zip(&expected).all(|(line, expected)| line.starts_with(expected));
        assert!(agree && outcome.code == Some(0), "{} with {ranks} ranks: {outcome:?}", launcher.family);
    }
}

#[test]
fn one_rank_under_a_launcher_talks_to_itself() {
    check_all(1);
}

#[test]
fn two_ranks_exchange_everything() {
    check_all(2);
}

#[test]
fn three_ranks_exchange_everything() {
    check_all(3);
}

#[test]
fn four_ranks_exchange_everything() {
    check_all(4);
}

#[test]
fn without_a_launcher_there_is_no_mpi() {
    let mut command = Command::new(CHECK);
    command.arg(plugins());
    let outcome = run(&command, Duration::from_secs(60));
    assert!(outcome.code == Some(0) && outcome.stdout == "ok alone\n", "{outcome:?}");
}

#[test]
fn a_single_rank_needs_no_plugin() {
    let folder = Folder::empty("single");
    for launcher in usable() {
        let outcome = job(&launcher, 1, &folder.0, &[]);
        assert!(outcome.code == Some(0) && outcome.stdout == "ok alone\n", "{outcome:?}");
    }
}

#[test]
fn several_ranks_without_a_plugin_are_refused() {
    let folder = Folder::empty("several");
    for launcher in usable() {
        let outcome = job(&launcher, 2, &folder.0, &[]);
        check_refused(&outcome, &["with 2 ranks started this process", "there is no plug-in", "build girih again"]);
    }
}

#[test]
fn a_library_that_finds_itself_alone_under_a_launcher_is_refused() {
    let usable = usable();
    let [one, other] = &usable[..] else { return };
    for (launcher, wrong) in [(one, other), (other, one)] {
        let folder = Folder::swapped(wrong.family, launcher.family);
        let outcome = job(launcher, 2, &folder.0, &[]);
        let library = format!("its MPI library ({}", wrong.family);
        check_refused(&outcome, &["with 2 ranks started this process", &library, "a world of one rank"]);
    }
}

#[test]
fn a_library_of_another_family_in_the_process_is_refused() {
    let usable = usable();
    let [one, other] = &usable[..] else { return };
    for (launcher, wrong) in [(one, other), (other, one)] {
        let outcome = job(launcher, 2, &plugins(), &["joined", &library(wrong.family), "-1"]);
        let loaded = format!("this process has loaded {}", wrong.family);
        check_refused(&outcome, &[&loaded, "which cannot start it"]);
    }
}

#[test]
fn an_mpi_that_others_initialised_is_joined_and_left_to_them() {
    for launcher in usable() {
        let library = library(launcher.family);
        let outcome = job(&launcher, 3, &plugins(), &["joined", &library, "3"]);
        assert!(outcome.code == Some(0) && outcome.lines("ok rank").len() == 3, "{outcome:?}");
        let mut alone = Command::new(CHECK);
        alone.arg(plugins()).args(["joined", &library, "3"]);
        let outcome = run(&alone, Duration::from_secs(60));
        assert!(outcome.code == Some(0) && outcome.lines("ok rank 0 of 1").len() == 1, "{outcome:?}");
    }
}

#[test]
fn an_mpi_that_others_initialised_for_one_thread_is_refused() {
    for launcher in usable() {
        for (level, name) in [("0", "SINGLE"), ("1", "FUNNELED"), ("2", "SERIALIZED")] {
            let outcome = job(&launcher, 2, &plugins(), &["joined", &library(launcher.family), level]);
            let name = format!("MPI was initialised with MPI_THREAD_{name}");
            check_refused(&outcome, &[&name, "mpi4py.rc.thread_level = \"multiple\""]);
        }
    }
}

#[test]
fn one_rank_ends_the_job_of_all() {
    for launcher in usable() {
        let outcome = job(&launcher, 3, &plugins(), &["abort"]);
        let in_time = outcome.elapsed < Duration::from_secs(20);
        assert!(outcome.code == Some(7) && in_time && outcome.stdout.is_empty(), "{outcome:?}");
    }
}

#[test]
fn a_transport_with_receives_outstanding_ends_its_job() {
    for launcher in usable() {
        let outcome = job(&launcher, 2, &plugins(), &["broken"]);
        let in_time = outcome.elapsed < Duration::from_secs(20);
        let ended = outcome.code.is_some_and(|code| code != 0) && in_time;
        assert!(ended && outcome.lines("ok rank") == ["ok rank 0", "ok rank 1"], "{outcome:?}");
    }
}

#[test]
#[ignore = "takes 10 GiB and a minute, which not every machine has; run it by --ignored"]
fn more_than_a_call_may_carry_is_split() {
    for launcher in usable() {
        let outcome = job(&launcher, 2, &plugins(), &["large"]);
        assert!(outcome.code == Some(0) && outcome.lines("ok rank").len() == 2, "{outcome:?}");
    }
}
