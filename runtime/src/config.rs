//! Every option of the runtime, its default and its environment variable; the only reader of the environment.

use crate::error::{Error, Result};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Options of one rank.
#[derive(Clone, Debug)]
pub struct Config {
    /// Workers of this rank; `GIRIH_NUM_THREADS`. Default: one per core that falls to the rank.
    pub threads: Option<usize>,
    /// Upper bound of a one-column tile in bytes; `GIRIH_TILE_BYTES`. Never shows in results.
    pub tile_bytes: usize,
    /// Bytes of blocks this rank may hold; `GIRIH_MEMORY_LIMIT`, with an optional suffix K, M, G or T (powers
    /// of 1024). Default: 80 % of what the process may use, shared by the ranks of the node.
    pub bytes_max: Option<usize>,
    /// Whether workers and comm thread are bound to cores.
    pub bind: bool,
    /// How long a rank waits without anything moving before it says what it waits for; `GIRIH_WATCHDOG`, in seconds,
    /// 0 for never. Default: 60 s.
    pub silence: Option<Duration>,
    /// A file for the trace of everything until the world is shut down; `GIRIH_TRACE`. Default: none is recorded.
    pub trace: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            threads: None,
            tile_bytes: 1 << 20,
            bytes_max: None,
            bind: true,
            silence: Some(Duration::from_secs(60)),
            trace: None,
        }
    }
}

impl Config {
    /// The defaults, changed by the environment.
    ///
    /// # Errors
    /// Replicated where the environment is: `Error::Config` naming the variable.
    pub fn from_environment() -> Result<Config> {
        Config::from_variables(variable)
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Config> {
        let mut config = Config::default();
        if let Some(text) = variable("GIRIH_NUM_THREADS") {
            let threads = text.trim().parse().ok().filter(|&threads| threads >= 1);
            config.threads = Some(threads.ok_or_else(|| {
                Error::Config(format!("GIRIH_NUM_THREADS must be a whole number of at least 1, not {text:?}"))
            })?);
        }
        if let Some(text) = variable("GIRIH_TILE_BYTES") {
            config.tile_bytes = bytes("GIRIH_TILE_BYTES", &text)?;
        }
        if let Some(text) = variable("GIRIH_MEMORY_LIMIT") {
            config.bytes_max = Some(bytes("GIRIH_MEMORY_LIMIT", &text)?);
        }
        config.trace = variable("GIRIH_TRACE").filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(text) = variable("GIRIH_WATCHDOG") {
            let seconds = text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let silence = seconds.ok_or_else(|| {
                Error::Config(format!("GIRIH_WATCHDOG must be a number of seconds, or 0 for never, not {text:?}"))
            })?;
            config.silence = Some(silence).filter(|silence| !silence.is_zero());
        }
        Ok(config)
    }

    /// The memory budget of a rank that shares its node with `local_size - 1` others.
    pub fn budget(&self, local_size: usize) -> usize {
        self.bytes_max.unwrap_or_else(|| usable_memory() / 5 * 4 / local_size.max(1))
    }
}

/// An environment variable, of ours or of a launcher; none if it is not set or not text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads `512`, `64K`, `1.5G`, `2GiB`.
fn bytes(name: &str, text: &str) -> Result<usize> {
    let upper = text.trim().to_uppercase();
    let digits = upper.trim_end_matches("IB").trim_end_matches('B');
    let (number, shift) = match digits.chars().last() {
        Some('K') => (&digits[..digits.len() - 1], 10),
        Some('M') => (&digits[..digits.len() - 1], 20),
        Some('G') => (&digits[..digits.len() - 1], 30),
        Some('T') => (&digits[..digits.len() - 1], 40),
        _ => (digits, 0),
    };
    let value = number.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    match value.map(|value| value * (1_u64 << shift) as f64) {
        Some(value) if value >= 1.0 && value < usize::MAX as f64 => Ok(value as usize),
        _ => Err(Error::Config(format!("{name} must be a number of bytes such as 512K or 4G, not {text:?}"))),
    }
}

/// Bytes this process may use: the machine's, or what its control group allows if that is less.
fn usable_memory() -> usize {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib << 10)
    });
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<usize>().ok());
    // Where neither can be read, a limit that refuses nothing leaves the decision to the system.
    total.unwrap_or(usize::MAX).min(group.unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Config> {
        Config::from_variables(|asked| (asked == name).then(|| value.to_string()))
    }

    #[test]
    fn sizes_have_suffixes() {
        for (text, expected) in
            [("512", 512), ("64k", 64 << 10), ("1.5G", 3 << 29), ("2GiB", 2 << 30), ("3MB", 3 << 20)]
        {
            assert_eq!(with("GIRIH_MEMORY_LIMIT", text).unwrap().bytes_max, Some(expected), "{text}");
        }
    }

    #[test]
    fn the_watchdog_can_be_set_and_switched_off() {
        assert_eq!(with("GIRIH_WATCHDOG", "2.5").unwrap().silence, Some(Duration::from_millis(2500)));
        assert_eq!(with("GIRIH_WATCHDOG", "0").unwrap().silence, None);
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (name, text) in [
            ("GIRIH_NUM_THREADS", "0"),
            ("GIRIH_NUM_THREADS", "two"),
            ("GIRIH_TILE_BYTES", "-1"),
            ("GIRIH_WATCHDOG", "soon"),
        ] {
            assert!(with(name, text).unwrap_err().to_string().contains(name), "{name}={text}");
        }
    }
}
