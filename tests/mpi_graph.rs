//! Random graphs over real MPI give what program order gives, under every launcher found here.

use girih_tests::mpi::{launchers, plugins, run};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[track_caller]
fn check(ranks: usize) {
    // One job at a time: the ranks are more than the cores as it is.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let plugins = plugins();
    let mut jobs = 0;
    for launcher in launchers() {
        if !plugins.join(launcher.family.plugin()).is_file() {
            continue;
        }
        let mut command = launcher.command(ranks, env!("CARGO_BIN_EXE_world_check"));
        command.arg(&plugins);
        let outcome = run(&command, Duration::from_secs(100));
        let expected: Vec<String> = (0..ranks).map(|rank| format!("ok rank {rank} of {ranks}")).collect();
        assert!(outcome.lines("ok ") == expected && outcome.code == Some(0), "{}: {outcome:?}", launcher.family);
        jobs += 1;
    }
    assert!(jobs > 0, "no launcher on the path has a plug-in in {}", plugins.display());
}

#[test]
fn one_rank_gives_program_order() {
    check(1);
}

#[test]
fn two_ranks_give_program_order() {
    check(2);
}

#[test]
fn three_ranks_give_program_order() {
    check(3);
}

#[test]
fn four_ranks_give_program_order() {
    check(4);
}
