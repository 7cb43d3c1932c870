//! Starts programs under the MPI launchers of this machine, and collects what they say.
//!
//! Invariant: whatever a program does, a run ends soon after its deadline.
//! Never here: what the programs check.

use girih_runtime::mpi::Family;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A launcher of this machine.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The MPI it belongs to.
    pub family: Family,
    /// The program.
    pub program: PathBuf,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The launcher's exit code; `None` if it ran into its deadline or was killed.
    pub code: Option<i32>,
    /// What the ranks wrote, interleaved.
    pub stdout: String,
    /// What the ranks and the launcher complained of.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// The launchers found on the path, at most one for each family.
pub fn launchers() -> Vec<Launcher> {
    let mut found: Vec<Launcher> = Vec::new();
    for name in ["mpirun.openmpi", "mpirun.mpich", "mpirun", "mpiexec"] {
        if let Some(launcher) = on_path(name).and_then(identify)
            && found.iter().all(|other| other.family != launcher.family)
        {
            found.push(launcher);
        }
    }
    found
}

/// The directory of the MPI plug-ins: `GIRIH_MPI_PLUGINS`, else where `make` puts them.
///
/// # Panics
/// If there is none.
pub fn plugins() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/python/girih/_mpi");
    let folder = std::env::var_os("GIRIH_MPI_PLUGINS").map_or(default, PathBuf::from);
    let any = ["openmpi.so", "mpich.so"].iter().any(|name| folder.join(name).is_file());
    assert!(any, "no MPI plug-in in {}: run `make`, or set GIRIH_MPI_PLUGINS", folder.display());
    folder
}

impl Launcher {
    /// A command that starts `program` on `ranks` ranks of this machine, more than there are cores if need be.
    /// The caller adds arguments and variables.
    pub fn command(&self, ranks: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-n").arg(ranks.to_string());
        if self.family == Family::OpenMpi {
            command.args(["--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]);
            command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        }
        command.arg(program);
        command
    }
}

/// Runs a command to its end, or to its deadline and no further.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &Command, deadline: Duration) -> Outcome {
    // `timeout` ends the launcher, which ends its ranks; a launcher that does not listen is killed.
    let mut timed = Command::new("timeout");
    timed.args(["--kill-after=10", &deadline.as_secs().max(1).to_string()]);
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        timed.current_dir(folder);
    }
    // Files, because a pipe stays open as long as any rank that the launcher has lost.
    let output = |kind: &str| {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        // Relaxed: a counter, which orders nothing.
        let name = format!("girih-run-{}-{}-{kind}", std::process::id(), RUNS.fetch_add(1, Relaxed));
        std::env::temp_dir().join(name)
    };
    let (stdout, stderr) = (output("stdout"), output("stderr"));
    let create = |path: &Path| File::create(path).expect("a file in the temporary directory");
    timed.stdin(std::process::Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
    let start = Instant::now();
    let status = timed.status().unwrap_or_else(|error| panic!("{timed:?} cannot be started: {error}"));
    let elapsed = start.elapsed();
    let take = |path: &Path| {
        let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        // A file that stays behind harms nobody.
        let _ = fs::remove_file(path);
        text
    };
    // 124 and 137 are what `timeout` returns after it stopped or killed the command.
    let code = status.code().filter(|code| ![124, 137].contains(code));
    Outcome { code, stdout: take(&stdout), stderr: take(&stderr), elapsed }
}

impl Outcome {
    /// The lines of standard output that start with `start`, sorted, for a count of ranks that said so.
    pub fn lines(&self, start: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = self.stdout.lines().filter(|line| line.starts_with(start)).collect();
        lines.sort_unstable();
        lines
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn identify(program: PathBuf) -> Option<Launcher> {
    let output = Command::new(&program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let family = if text.contains("open mpi") || text.contains("openrte") || text.contains("prrte") {
        Family::OpenMpi
    } else if text.contains("hydra") || text.contains("mpich") || text.contains("intel(r) mpi") {
        Family::Mpich
    } else {
        return None;
    };
    Some(Launcher { family, program })
}
