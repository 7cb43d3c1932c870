//! Random graphs over real MPI give what program order gives, under every launcher found here.

use girih_tests::mpi::{Outcome, launchers, plugins, run};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Starts `world_check` with so many ranks and further words under each launcher; gives its outcomes.
#[track_caller]
fn outcomes(ranks: usize, words: &[&str]) -> Vec<Outcome> {
    // One job at a time: the ranks are more than the cores as it is.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let plugins = plugins();
    let mut outcomes = Vec::new();
    for launcher in launchers() {
        if !plugins.join(launcher.family.plugin()).is_file() {
            continue;
        }
        let mut command = launcher.command(ranks, env!("CARGO_BIN_EXE_world_check"));
        command.arg(&plugins).args(words);
        outcomes.push(run(&command, Duration::from_secs(100)));
    }
    assert!(!outcomes.is_empty(), "no launcher on the path has a plug-in in {}", plugins.display());
    outcomes
}

#[track_caller]
fn check(ranks: usize) {
    for outcome in outcomes(ranks, &[]) {
        let expected: Vec<String> = (0..ranks).map(|rank| format!("ok rank {rank} of {ranks}")).collect();
        assert!(outcome.lines("ok ") == expected && outcome.code == Some(0), "{outcome:?}");
    }
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

#[test]
fn ranks_that_diverge_while_a_graph_runs_again_name_both_operations() {
    for ranks in 2..=4 {
        for outcome in outcomes(ranks, &["diverge"]) {
            let lines = outcome.lines("ok ");
            assert!(lines.len() == ranks && outcome.code != Some(0), "{outcome:?}");
            for (rank, line) in lines.iter().enumerate() {
                let [here, there] = if rank + 1 == ranks { ["barrier", "again"] } else { ["again", "barrier"] };
                let begin = format!("ok rank {rank}: the ranks diverge: this rank is at `{here}`, but rank ");
                assert!(line.starts_with(&begin) && line.ends_with(&format!(" is at `{there}`")), "{line}");
            }
        }
    }
}
