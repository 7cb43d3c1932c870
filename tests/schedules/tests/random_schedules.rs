//! Random graphs give what program order gives, in whatever order shuttle lets the threads of all ranks go on.
//!
//! A failure writes its schedule into a file in `target/tmp` and says so; `schedules_that_failed_run_again` then runs
//! it as it was: `cargo test -p girih-schedules -- --ignored`. Other schedules: `SHUTTLE_RANDOM_SEED=7`.

use girih_schedules::ranks::run_random;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/schedules");
const SEED: u64 = 20_261;
/// Of each kind; a thousand take about eight seconds.
const SCHEDULES: usize = 2000;
const PREEMPTIONS: usize = 3;
const STACK_BYTES: usize = 1 << 19;
/// An execution takes some tens of thousands; one that takes so many stands still.
const STEPS_MAX: usize = 4_000_000;

fn check(scheduler: impl Scheduler + 'static) {
    std::fs::create_dir_all(FOLDER).expect("the target directory can be written");
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::File(Some(FOLDER.into()));
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(run_random);
}

#[test]
fn random_schedules_give_program_order() {
    check(RandomScheduler::new_from_seed(SEED, SCHEDULES));
}

#[test]
fn schedules_of_few_preemptions_give_program_order() {
    check(PctScheduler::new_from_seed(SEED, PREEMPTIONS, SCHEDULES));
}

#[test]
#[ignore = "runs again what the other two tests have kept of a failure; there is nothing before"]
fn schedules_that_failed_run_again() {
    let files = std::fs::read_dir(Path::new(FOLDER)).expect("a test has failed before");
    for file in files.map(|file| file.expect("a folder that can be read").path()) {
        shuttle::replay_from_file(run_random, file);
    }
}
