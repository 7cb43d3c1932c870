//! A trace holds every task and message of all ranks, with their order, and harms nothing.

use girih_runtime::config::Config;
use girih_runtime::error::{Error, Result};
use girih_runtime::graph::Access::{Read, Write};
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_runtime::world::World;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EPOCHS: usize = 3;

/// A folder of this process for one test's file.
fn file(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("girih-trace-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the traces");
    folder.join(name)
}

/// Rank 0 makes a block that every other rank doubles, `EPOCHS` times; then all ranks meet.
fn program(world: &World) -> Result<()> {
    let mut graph = world.graph("pass on");
    let made = graph.block(Rank(0), 8)?;
    graph.task("make \"it\"", Rank(0), 0, &[Write(made)], || {
        Box::new(|context| {
            context.write(0).of_mut::<i64>()[0] = 21;
            Ok(())
        })
    })?;
    for rank in 1..world.size() {
        let doubled = graph.block(Rank::from(rank), 8)?;
        graph.task("double", Rank::from(rank), 0, &[Read(made), Write(doubled)], || {
            Box::new(|context| {
                context.write(1).of_mut::<i64>()[0] = 2 * context.read(0).of::<i64>()[0];
                Ok(())
            })
        })?;
    }
    let graph = Arc::new(graph.finish()?);
    (0..EPOCHS).try_for_each(|_| world.run(&graph))?;
    world.barrier()
}

struct Trace(Vec<Value>);

impl Trace {
    /// Reads a file, which must be JSON and complete.
    #[track_caller]
    fn read(path: &Path) -> Trace {
        let text = fs::read_to_string(path).expect("the trace was written");
        fs::remove_file(path).expect("the trace is not needed any more");
        let mut whole: Value = serde_json::from_str(&text).expect("a trace is JSON");
        let Value::Array(events) = whole["traceEvents"].take() else { panic!("no events in {}", path.display()) };
        assert_eq!(events.last().expect("an end")["name"], "girih_end");
        Trace(events)
    }

    fn with<'a>(&'a self, key: &'a str, value: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |event| event[key] == value)
    }

    /// The spans of a category with this name on a rank.
    fn spans<'a>(&'a self, category: &'a str, name: &'a str, rank: usize) -> Vec<&'a Value> {
        self.with("cat", category).filter(|event| event["name"] == name && event["pid"] == rank).collect()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn begin_and_end(span: &Value) -> (f64, f64) {
    (number(&span["ts"]), number(&span["ts"]) + number(&span["dur"]))
}

#[track_caller]
fn check(ranks: usize, threads: usize) {
    let path = file(&format!("{ranks}x{threads}.json"));
    let outcomes = local::run(ranks, threads, 5, |world| {
        program(world)?; // before the trace, so not in it
        world.begin_trace(&path)?;
        let ran = program(world);
        world.end_trace()?;
        program(world)?;
        ran
    });
    outcomes.expect("the worlds start").into_iter().for_each(|outcome| outcome.expect("no rank fails"));
    let trace = Trace::read(&path);
    for rank in 0..ranks {
        let label = if rank == 0 { "make \"it\"" } else { "double" };
        assert_eq!(trace.spans("task", label, rank).len(), EPOCHS, "{label} on rank {rank}");
        let sends = if rank == 0 { ranks - 1 } else { 0 };
        assert_eq!(trace.spans("message", "send", rank).len(), EPOCHS * sends);
        assert_eq!(trace.spans("message", "receive", rank).len(), EPOCHS * usize::from(rank > 0));
    }
    check_order(&trace);
    let roll: Vec<&Value> = trace.with("name", "girih_rank").map(|event| &event["args"]).collect();
    assert_eq!(roll.len(), ranks);
    for (rank, about) in roll.into_iter().enumerate() {
        assert_eq!((&about["rank"], &about["dropped"]), (&Value::from(rank), &Value::from(0)));
        assert_eq!(about["workers"], threads);
        let (begin, end) = (number(&about["begin"]), number(&about["end"]));
        let inside = |span: &Value| begin <= begin_and_end(span).0 && begin_and_end(span).1 <= end + 0.002;
        assert!(trace.with("ph", "X").filter(|span| span["pid"] == rank).all(inside), "an event outside of its trace");
    }
}

/// Nothing runs before what it comes after, and each message that is received was sent once.
#[track_caller]
fn check_order(trace: &Trace) {
    let name =
        |span: &Value, node: &Value| (span["pid"].to_string(), span["args"]["launch"].to_string(), node.to_string());
    let nodes = || trace.with("ph", "X").filter(|span| span["args"]["node"].is_number());
    let ends: HashMap<_, _> = nodes().map(|span| (name(span, &span["args"]["node"]), begin_and_end(span).1)).collect();
    let mut followers = 0;
    for span in nodes().filter(|span| span["args"]["after"].is_number()) {
        let before = ends[&name(span, &span["args"]["after"])];
        // Times are rounded to the nanosecond.
        assert!(before <= begin_and_end(span).0 + 0.002, "{span} began before {before}");
        followers += 1;
    }
    let of = |name| trace.with("name", name).map(|span| (span["args"]["flow"].to_string(), begin_and_end(span)));
    let sent: HashMap<_, _> = of("send").collect();
    for (flow, (_, arrived)) in of("receive") {
        assert!(sent[&flow].0 <= arrived, "message {flow} arrived before it was sent");
        followers += 1;
    }
    assert!(followers > 0 || sent.is_empty(), "nothing came after anything");
    let flows = |phase| trace.with("ph", phase).map(|event| event["id"].to_string()).collect::<HashSet<_>>();
    assert_eq!((flows("s"), flows("f")), (sent.keys().cloned().collect(), sent.keys().cloned().collect()));
}

#[test]
fn one_rank_is_traced() {
    check(1, 2);
}

#[test]
fn two_ranks_are_traced() {
    check(2, 2);
}

#[test]
fn five_ranks_are_traced() {
    check(5, 1);
}

#[test]
fn an_option_traces_from_start_to_end() {
    let path = file("option.json");
    let config = Config { threads: Some(1), bind: false, trace: Some(path.clone()), ..Config::default() };
    let outcomes = local::run_with(2, 0, &config, program).expect("the worlds start");
    outcomes.into_iter().for_each(|outcome| outcome.expect("no rank fails"));
    let trace = Trace::read(&path);
    assert_eq!(trace.spans("task", "double", 1).len(), EPOCHS);
    let mains = trace.with("cat", "main").count();
    assert!(mains >= 2 * EPOCHS, "{mains} spans of the main threads");
}

#[test]
fn many_tasks_fill_many_chunks_and_pieces() {
    let (path, tasks) = (file("many.json"), 20_000);
    let outcomes = local::run(2, 2, 0, |world| {
        world.begin_trace(&path)?;
        let mut graph = world.graph("many");
        for index in 0..tasks {
            graph.task("one", Rank(index % 2), 0, &[], || Box::new(|_| Ok(())))?;
        }
        world.run(&Arc::new(graph.finish()?))?;
        world.end_trace()
    });
    outcomes.expect("the worlds start").into_iter().for_each(|outcome| outcome.expect("no rank fails"));
    let trace = Trace::read(&path);
    for rank in 0..2 {
        let nodes: HashSet<_> =
            trace.spans("task", "one", rank).iter().map(|span| span["args"]["node"].as_u64().unwrap()).collect();
        assert_eq!(nodes.len() as u32, tasks / 2, "tasks of rank {rank}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_of_all_ranks() {
    let path = file("no").join("such").join("folder.json");
    let errors = local::run(3, 1, 0, |world| {
        let error = world.begin_trace(&path).expect_err("there is no such folder");
        program(world).map(|()| (error, world.is_traced()))
    });
    for outcome in errors.expect("the worlds start") {
        let (error, traced) = outcome.expect("the world goes on");
        assert!(matches!(&error, Error::File { path: named, .. } if *named == path) && !traced, "{error}");
    }
}

#[test]
fn one_trace_at_a_time() {
    let (first, second) = (file("first.json"), file("second.json"));
    local::run(2, 1, 0, |world| {
        assert!(matches!(world.end_trace(), Err(Error::Config(_))));
        world.begin_trace(&first).unwrap();
        assert!(world.begin_trace(&second).unwrap_err().to_string().contains("first.json"));
        world.discard_trace();
        world.begin_trace(&second).unwrap();
        program(world).unwrap();
        world.end_trace().unwrap();
    })
    .expect("the worlds start");
    assert!(!first.exists() && second.exists());
    let left: Vec<_> =
        fs::read_dir(second.parent().unwrap()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    let unfinished = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with(".first");
    assert!(left.iter().find(unfinished).is_none(), "{left:?}");
}
