//! A recorded session as text in the Chrome trace format, which Perfetto and chrome://tracing read.
//!
//! Ranks are processes; the main thread, the comm thread and the workers are threads; messages, which overlap, lie on
//! lanes behind them. Each rank renders its own part, a list of events that all end in a comma.
//! Invariant: times are microseconds since rank 0 began, and `after` names the node whose end let this one begin.

use super::Who;
use super::clock::Clock;
use super::plan::{Launch, PlannedKind};
use super::recording::{Message, Recording};
use super::track::{Entry, Kind};
use crate::ids::Rank;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What a file of events begins with, before the parts of all ranks.
pub const OPENING: &str = "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"producer\":\"girih\"},\"traceEvents\":[\n";
/// What it ends with; a file without it is not complete.
pub const CLOSING: &str = "{\"name\":\"girih_end\",\"ph\":\"M\",\"pid\":0,\"tid\":0,\"args\":{}}\n]}\n";

const MAIN: u32 = 0;
const COMM: u32 = 1;
const WORKERS: u32 = 2;
const LANES: u32 = 1000;
/// Below all the others.
const PROCESSES: u32 = 1 << 20;

/// What a rank's part of the file says of the rank.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The rank.
    pub rank: Rank,
    /// The number of ranks.
    pub size: usize,
    /// The node's name.
    pub host: String,
    /// How the rank's times become rank 0's.
    pub clock: Clock,
    /// When rank 0 began, in nanoseconds of its system's clock.
    pub origin: u64,
    /// The number of workers.
    pub workers: usize,
}

/// A rank's part of the file, rendered as it is asked for.
#[derive(Debug)]
pub struct Text {
    recording: Recording,
    stage: Stage,
    /// What comes next: the heading, the entries of a track, and behind the last track the messages.
    next: Next,
    buffered: String,
    taken: usize,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Heading,
    Entry(usize, usize),
    Message(usize),
}

impl Text {
    pub(super) fn new(recording: Recording, stage: Stage) -> Text {
        Text { recording, stage, next: Next::Heading, buffered: String::new(), taken: 0 }
    }

    /// Fills `out` with what comes next; fewer bytes than fit are the last.
    pub fn fill(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            if self.taken == self.buffered.len() && !self.render_next() {
                break;
            }
            let bytes = &self.buffered.as_bytes()[self.taken..];
            let count = bytes.len().min(out.len() - filled);
            out[filled..filled + count].copy_from_slice(&bytes[..count]);
            filled += count;
            self.taken += count;
        }
        filled
    }

    /// Renders what comes next, which may be nothing at all; false at the end.
    fn render_next(&mut self) -> bool {
        let mut out = std::mem::take(&mut self.buffered);
        out.clear();
        self.taken = 0;
        let (done, next) = match self.next {
            Next::Heading => {
                self.heading(&mut out);
                (false, Next::Entry(0, 0))
            }
            Next::Entry(track, index) => match self.recording.tracks.get(track) {
                Some(of) if index < of.entries.len() => {
                    self.entry(of.who, &of.entries, index, &mut out);
                    (false, Next::Entry(track, index + 1))
                }
                Some(_) => (false, Next::Entry(track + 1, 0)),
                None => (false, Next::Message(0)),
            },
            Next::Message(index) => match self.recording.messages.get(index) {
                Some(message) => {
                    self.message(message, &mut out);
                    (false, Next::Message(index + 1))
                }
                None => (true, self.next),
            },
        };
        (self.buffered, self.next) = (out, next);
        !done
    }

    fn heading(&self, out: &mut String) {
        let Stage { rank, size, host, clock, workers, .. } = &self.stage;
        let mut name = |what: &str, tid: u32, key: &str, value: &str| {
            event(out, what, "M", rank.0, tid, |out| write!(out, ",\"args\":{{\"{key}\":{value}}}"));
        };
        name("process_name", 0, "name", &quoted(&format!("rank {} on {host}", rank.0)));
        name("process_sort_index", 0, "sort_index", &rank.0.to_string());
        let lanes = self.recording.messages.iter().map(|message| message.lane + 1).max().unwrap_or(0);
        let threads = [(MAIN, "main".to_string()), (COMM, "comm".to_string())];
        let threads = threads.into_iter().filter(|&(tid, _)| tid != COMM || *size > 1);
        let threads = threads.chain((0..*workers as u32).map(|worker| (WORKERS + worker, format!("worker {worker}"))));
        let processes = self.processes().into_iter().map(|number| (PROCESSES + number, format!("process {number}")));
        let threads = threads.chain(processes);
        for (tid, text) in threads.chain((0..lanes).map(|lane| (LANES + lane, format!("messages {lane}")))) {
            name("thread_name", tid, "name", &quoted(&text));
            name("thread_sort_index", tid, "sort_index", &tid.to_string());
        }
        let dropped: u64 = self.recording.tracks.iter().map(|track| track.dropped).sum();
        let (begin, end) = (self.time(self.recording.begin), self.time(self.recording.end));
        event(out, "girih_rank", "M", rank.0, 0, |out| {
            write!(
                out,
                ",\"args\":{{\"rank\":{},\"size\":{size},\"host\":{},\"workers\":{workers},",
                rank.0,
                quoted(host)
            )?;
            write!(out, "\"begin\":{begin:.3},\"end\":{end:.3},\"dropped\":{dropped},")?;
            write!(out, "\"clock_offset\":{:.3},\"clock_error\":{:.3}}}", clock.offset() / 1e3, clock.error / 1e3)
        });
    }

    /// The numbers of the processes that ran something.
    fn processes(&self) -> BTreeSet<u32> {
        let entries = self.recording.tracks.iter().flat_map(|track| &track.entries);
        entries.filter(|entry| entry.kind == Kind::Process).map(|entry| entry.second).collect()
    }

    fn entry(&self, who: Who, entries: &[Entry], index: usize, out: &mut String) {
        let entry = &entries[index];
        let tid = match who {
            Who::Main => MAIN,
            Who::Comm | Who::Messages => COMM,
            Who::Worker(worker) => WORKERS + worker,
            Who::Processes => PROCESSES + entry.second,
        };
        let (rank, begin, duration) = (self.stage.rank.0, self.time(entry.begin), entry.duration as f64 / 1e3);
        match entry.kind {
            Kind::Task => {
                let Some(launch) = self.recording.launches.get(entry.first) else { return };
                let label = quoted(launch.graph.plan.nodes[entry.second as usize].label);
                span(out, &label, "task", (rank, tid), begin, duration, |out| {
                    self.place(launch, entry.first, entry.second, out)
                });
            }
            Kind::State => {
                // A state lasts until the thread does something else.
                let until = entries.get(index + 1).map_or(self.recording.end, |next| next.begin);
                let lasts = until.saturating_sub(entry.begin) as f64 / 1e3;
                span(out, &quoted(entry.state().name()), "state", (rank, tid), begin, lasts, |_| Ok(()));
            }
            Kind::Steal => event(out, "steal", "i", rank, tid, |out| {
                write!(out, ",\"s\":\"t\",\"ts\":{begin:.3},\"args\":{{\"victim\":{}}}", entry.first)
            }),
            Kind::Main => {
                let bytes = u64::from(entry.second) << 10;
                let text = quoted(&self.recording.texts[entry.first as usize]);
                span(out, &text, "main", (rank, tid), begin, duration, |_| Ok(()));
                event(out, "bytes in use", "C", rank, tid, |out| {
                    write!(out, ",\"ts\":{:.3},\"args\":{{\"bytes\":{bytes}}}", begin + duration)
                });
            }
            Kind::Process => {
                let text = quoted(&self.recording.texts[entry.first as usize]);
                span(out, &text, "process", (rank, tid), begin, duration, |_| Ok(()));
            }
            Kind::Posted | Kind::Completed => {}
        }
    }

    fn message(&self, message: &Message, out: &mut String) {
        let Some(launch) = self.recording.launches.get(message.launch) else { return };
        let me = self.stage.rank.0;
        let (begin, tid) = (self.time(message.begin), LANES + message.lane);
        let duration = (message.end - message.begin) as f64 / 1e3;
        let node = &launch.graph.plan.nodes[message.node as usize];
        let place = |out: &mut String| self.place(launch, message.launch, message.node, out);
        let between = |from: u32, to: u32, tag: u32| {
            let occurrence = launch.graph.occurrences[message.node as usize];
            format!("{}:{from}>{to}:{tag}.{occurrence}", launch.first_collective)
        };
        let (peer, bytes, flow, phase, at) = match node.kind {
            PlannedKind::Task => return,
            PlannedKind::Collective(order, bytes) => {
                let number = launch.first_collective + order;
                span(out, &quoted(node.label), "collective", (me, tid), begin, duration, |out| {
                    place(out)?;
                    write!(out, ",\"collective\":{number},\"bytes\":{bytes}")
                });
                return;
            }
            PlannedKind::Send(to, tag, bytes) => (to.0, bytes, between(me, to.0, tag.0), "s", begin),
            PlannedKind::Receive(from, tag, bytes) => {
                // Just before the end, for a viewer binds the arrow to the span around its point.
                let end = (begin + duration - 0.001).max(begin);
                (from.0, bytes, between(from.0, me, tag.0), "f", end)
            }
        };
        span(out, &quoted(node.label), "message", (me, tid), begin, duration, |out| {
            place(out)?;
            write!(out, ",\"peer\":{peer},\"bytes\":{bytes},\"flow\":\"{flow}\"")
        });
        event(out, "message", phase, me, tid, |out| {
            let binding = if phase == "f" { ",\"bp\":\"e\"" } else { "" };
            write!(out, "{binding},\"cat\":\"message\",\"id\":\"{flow}\",\"ts\":{at:.3}")
        });
    }

    /// Which node this is, and what it came after.
    fn place(&self, launch: &Launch, number: u32, node: u32, out: &mut String) -> std::fmt::Result {
        let graph = quoted(&launch.graph.plan.name);
        write!(out, "\"graph\":{graph},\"launch\":{number},\"node\":{node}")?;
        self.recording.after(number, node).map_or(Ok(()), |after| write!(out, ",\"after\":{after}"))
    }

    /// Microseconds since rank 0 began.
    fn time(&self, local: u64) -> f64 {
        self.stage.clock.place(local, self.stage.origin) / 1e3
    }
}

/// A span with its arguments.
fn span(
    out: &mut String,
    name: &str,
    category: &str,
    (rank, tid): (u32, u32),
    begin: f64,
    duration: f64,
    arguments: impl FnOnce(&mut String) -> std::fmt::Result,
) {
    let text = write!(out, "{{\"name\":{name},\"cat\":\"{category}\",\"ph\":\"X\",\"pid\":{rank},\"tid\":{tid},")
        .and_then(|()| write!(out, "\"ts\":{begin:.3},\"dur\":{duration:.3},\"args\":{{"))
        .and_then(|()| arguments(out))
        .and_then(|()| out.write_str("}},\n"));
    text.expect("a string takes all text");
}

/// An event of another kind; `rest` begins with a comma.
fn event(
    out: &mut String,
    name: &str,
    phase: &str,
    rank: u32,
    tid: u32,
    rest: impl FnOnce(&mut String) -> std::fmt::Result,
) {
    let text = write!(out, "{{\"name\":\"{name}\",\"ph\":\"{phase}\",\"pid\":{rank},\"tid\":{tid}")
        .and_then(|()| rest(out))
        .and_then(|()| out.write_str("},\n"));
    text.expect("a string takes all text");
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                write!(quoted, "\\u{:04x}", u32::from(control)).expect("a string takes all text");
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_are_quoted_as_json_wants_it() {
        assert_eq!(quoted("a \"b\"\\\n\té"), "\"a \\\"b\\\"\\\\\\u000a\\u0009é\"");
    }
}
