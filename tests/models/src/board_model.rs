//! Who reads a note reads what was written at once, or nothing.

use crate::board::{At, read, write};
use crate::ring::Line;
use crate::sync::atomic::AtomicU64;
use loom::sync::Arc;
use loom::thread;

/// Room for a text of one word.
const WORDS: usize = 6;

fn at(step: u64) -> At {
    At { step, print: 100 * step, again: step == 2, inside: step == 1 }
}

#[test]
fn a_note_is_read_as_it_was_written() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let lines = Arc::new([Line::<WORDS>(std::array::from_fn(|_| AtomicU64::new(0)))]);
        let writing = Arc::clone(&lines);
        let writer = thread::spawn(move || {
            for step in [1, 2] {
                write(&*writing, at(step), 10 * step, ["one", "two"][step as usize - 1]);
            }
        });
        if let Some(note) = read(&*lines) {
            let expected = [(at(1), 10, "one"), (at(2), 20, "two")];
            assert!(expected.contains(&(note.at, note.since, note.text.as_str())), "{note:?}");
        }
        writer.join().unwrap();
        assert_eq!(read(&*lines).map(|note| note.text), Some("two".to_string()));
    });
}
