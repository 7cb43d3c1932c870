//! Who started this process, read from the variables that launchers set.
//!
//! A pure function of the environment: nothing is asked of the system.
//! Never here: loading, and what to do when launcher and library do not fit.

use super::Family;

/// The launcher of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// Its name for messages.
    pub name: &'static str,
    /// How many ranks it started, where it says so.
    pub size: Option<usize>,
    /// The families it can start, the likeliest first; a launcher that belongs to one family names only that.
    pub families: &'static [Family],
}

impl Launcher {
    /// Reads the launcher from the variables that `get` finds; `None` if the process was started by itself.
    ///
    /// The nearest launcher wins: `mpirun` inside a Slurm allocation or step starts the ranks itself.
    pub fn detect(get: &dyn Fn(&str) -> Option<String>) -> Option<Launcher> {
        let number = |name: &str| get(name)?.trim().parse().ok();
        if let Some(size) = number("OMPI_COMM_WORLD_SIZE") {
            return Some(Launcher { name: "Open MPI's mpirun", size: Some(size), families: &[Family::OpenMpi] });
        }
        // Set by `srun` for a job step and not by `sbatch`, inside which a plain `python` is a single rank.
        if let Some(size) = number("SLURM_STEP_NUM_TASKS")
            && get("MPI_LOCALNRANKS").is_none()
        {
            let families = match (get("PMIX_RANK"), get("PMI_RANK").or(get("PMI_FD"))) {
                (None, Some(_)) => &[Family::Mpich, Family::OpenMpi],
                _ => &[Family::OpenMpi, Family::Mpich],
            };
            return Some(Launcher { name: "Slurm's srun", size: Some(size), families });
        }
        if get("PMI_RANK").is_some() || get("MPI_LOCALNRANKS").is_some() {
            return Some(Launcher { name: "MPICH's mpiexec", size: number("PMI_SIZE"), families: &[Family::Mpich] });
        }
        // A PMIx server that says no size: `prun`, or a scheduler.
        get("PMIX_RANK").map(|_| Launcher {
            name: "a PMIx launcher",
            size: None,
            families: &[Family::OpenMpi, Family::Mpich],
        })
    }

    /// True if it started more than one rank.
    pub fn is_parallel(&self) -> bool {
        self.size.is_some_and(|size| size > 1)
    }

    /// The launcher and its size, for messages.
    pub(super) fn described(&self) -> String {
        match self.size {
            Some(size) => format!("{} with {size} ranks", self.name),
            None => self.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Option<(&str, Option<usize>, &[Family])>) {
        let get = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = Launcher::detect(&get);
        let found = found.as_ref().map(|launcher| (launcher.name, launcher.size, launcher.families));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_plain_process_has_no_launcher() {
        check(&[("HOME", "/root")], None);
    }

    #[test]
    fn an_allocation_alone_is_no_launcher() {
        check(&[("SLURM_JOB_ID", "7"), ("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")], None);
    }

    #[test]
    fn mpirun_of_open_mpi_is_known_by_its_size() {
        let set = [("OMPI_COMM_WORLD_SIZE", "3"), ("OMPI_COMM_WORLD_RANK", "1"), ("PMIX_RANK", "1")];
        check(&set, Some(("Open MPI's mpirun", Some(3), &[Family::OpenMpi])));
    }

    #[test]
    fn hydra_is_known_by_its_process_manager() {
        let set = [("PMI_SIZE", "4"), ("PMI_RANK", "2"), ("PMI_FD", "9"), ("MPI_LOCALNRANKS", "4")];
        check(&set, Some(("MPICH's mpiexec", Some(4), &[Family::Mpich])));
    }

    #[test]
    fn srun_says_its_size_and_hints_at_the_family() {
        let step = ("SLURM_STEP_NUM_TASKS", "5");
        let both: (&[Family], &[Family]) = (&[Family::OpenMpi, Family::Mpich], &[Family::Mpich, Family::OpenMpi]);
        check(&[step, ("PMIX_RANK", "0")], Some(("Slurm's srun", Some(5), both.0)));
        check(&[step, ("PMI_RANK", "0"), ("PMI_SIZE", "5")], Some(("Slurm's srun", Some(5), both.1)));
        check(&[step], Some(("Slurm's srun", Some(5), both.0)));
    }

    #[test]
    fn mpirun_inside_a_step_is_nearer_than_the_step() {
        let step = ("SLURM_STEP_NUM_TASKS", "2");
        let hydra = [step, ("MPI_LOCALNRANKS", "4"), ("PMI_RANK", "0"), ("PMI_SIZE", "8")];
        check(&hydra, Some(("MPICH's mpiexec", Some(8), &[Family::Mpich])));
        let open_mpi = [step, ("OMPI_COMM_WORLD_SIZE", "8")];
        check(&open_mpi, Some(("Open MPI's mpirun", Some(8), &[Family::OpenMpi])));
    }

    #[test]
    fn a_pmix_server_without_a_size_is_a_launcher() {
        check(&[("PMIX_RANK", "0")], Some(("a PMIx launcher", None, &[Family::OpenMpi, Family::Mpich])));
    }

    #[test]
    fn a_size_that_is_no_number_is_not_believed() {
        check(&[("OMPI_COMM_WORLD_SIZE", "many")], None);
    }
}
