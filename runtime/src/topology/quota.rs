//! How many CPUs the control group of this process may keep busy.
//!
//! A container often sees all cores but may use the time of few; more workers than that only wait for each other.

use std::fs;
use std::path::Path;

/// The CPU time per time that the cgroup grants, in whole CPUs and at least one; `None` where nothing limits it.
///
/// All processes of the group share it. Both versions of cgroups count, with every enclosing group in sight.
pub fn quota() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    quota_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// The quota of a process in `groups` (lines `id:controllers:path`), with cgroups mounted under `root`.
fn quota_of(groups: &str, root: &Path) -> Option<usize> {
    let mut least: Option<f64> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mount, read): (_, fn(&Path) -> Option<f64>) = match controllers {
            "" => (root.to_path_buf(), read_v2),
            _ if controllers.split(',').any(|name| name == "cpu") => (root.join(controllers), read_v1),
            _ => continue,
        };
        // Inside a container the path may be the host's, of which only the tail, or nothing, is mounted here:
        // then the walk upwards still meets the mount itself, which is the container's own group.
        let group = mount.join(path.trim_start_matches('/'));
        let granted = group.ancestors().take_while(|group| group.starts_with(&mount)).filter_map(read);
        least = granted.chain(least).reduce(f64::min);
    }
    least.map(|cpus| (cpus as usize).max(1))
}

fn read_v2(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (granted_us, period_us) = text.trim().split_once(' ')?;
    cpus(granted_us, period_us)
}

fn read_v1(group: &Path) -> Option<f64> {
    let granted_us = fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
    let period_us = fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
    cpus(granted_us.trim(), period_us.trim())
}

/// `None` for version 2's `max` and version 1's -1, which mean no limit.
fn cpus(granted_us: &str, period_us: &str) -> Option<f64> {
    let granted_us: f64 = granted_us.parse().ok()?;
    let period_us: f64 = period_us.parse().ok()?;
    (granted_us > 0.0 && period_us > 0.0).then(|| granted_us / period_us)
}

#[cfg(test)]
mod tests {
    use super::quota_of;
    use std::fs;

    #[track_caller]
    fn check_quota(name: &str, groups: &str, files: &[(&str, &str)], expected: Option<usize>) {
        let root = std::env::temp_dir().join(format!("girih-quota-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a temporary folder");
            fs::write(path, text).expect("a temporary file");
        }
        assert_eq!(quota_of(groups, &root), expected);
        let _ = fs::remove_dir_all(&root);
    }

    #[test]
    fn version_2_takes_the_least_of_the_enclosing_groups() {
        let files = [("a/cpu.max", "350000 100000\n"), ("a/b/cpu.max", "max 100000\n"), ("cpu.max", "800000 100000")];
        check_quota("v2", "0::/a/b\n", &files, Some(3));
    }

    #[test]
    fn less_than_one_cpu_counts_as_one() {
        check_quota("part", "0::/\n", &[("cpu.max", "50000 100000\n")], Some(1));
    }

    #[test]
    fn version_1_is_found_beside_version_2() {
        let files = [("cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n"), ("cpu,cpuacct/job/cpu.cfs_period_us", "100000")];
        check_quota("v1", "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n", &files, Some(2));
    }

    #[test]
    fn no_limit_is_no_quota() {
        check_quota("none", "1:cpu:/\n0::/\n", &[("cpu/cpu.cfs_quota_us", "-1\n"), ("cpu.max", "max 100000")], None);
    }

    #[test]
    fn a_path_of_the_host_falls_back_to_the_mount() {
        check_quota("host", "0::/system.slice/docker-1.scope\n", &[("cpu.max", "200000 100000\n")], Some(2));
    }
}
