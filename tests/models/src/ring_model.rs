//! What is written into a ring is read once, in order and whole, also where the ring is full and begins anew.

use crate::ids::Tag;
use crate::ring::{Line, RingReader, RingWriter};
use crate::sync::atomic::AtomicU64;
use loom::sync::Arc;
use loom::thread;

/// One word of a line tells the lap, the other is a message's.
const WORDS: usize = 2;

/// Messages of `lengths` words each go through a ring of `lines` lines.
fn check(lines: usize, lengths: &'static [usize]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let line = |_| Line::<WORDS>(std::array::from_fn(|_| AtomicU64::new(0)));
        let ring: Arc<Vec<Line<WORDS>>> = Arc::new((0..=lines).map(line).collect());
        let message = |number: usize| vec![number as u8 + 1; 8 * lengths[number]];
        let writing = Arc::clone(&ring);
        let writer = thread::spawn(move || {
            let mut writer = RingWriter::new(&writing);
            for number in 0..lengths.len() {
                while !writer.write(Tag(number as u32), &message(number)) {
                    thread::yield_now();
                }
            }
        });
        let mut reader = RingReader::new(&ring);
        let mut bytes = Vec::new();
        for number in 0..lengths.len() {
            let tag = loop {
                match reader.read(&mut bytes) {
                    Some(tag) => break tag,
                    None => thread::yield_now(),
                }
            };
            assert_eq!((tag, &bytes), (Tag(number as u32), &message(number)));
        }
        assert_eq!(reader.read(&mut bytes), None, "a message is read once");
        writer.join().unwrap();
    });
}

#[test]
fn a_ring_that_was_full_goes_on() {
    check(2, &[1, 1, 1, 1]);
}

#[test]
fn a_message_of_several_lines_is_seen_whole() {
    check(4, &[2, 1, 2]);
}
