//! A block has one writer or many readers, and a reader sees what the writer before it wrote.

use crate::count::Count;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// A block of two words, which a writer makes equal. Relaxed everywhere: the count alone must order them.
#[derive(Default)]
struct Block {
    users: Count,
    words: [AtomicUsize; 2],
}

impl Block {
    /// Adds one to both words; false if the block was in use.
    fn write(&self) -> bool {
        let allowed = self.users.begin_write();
        if allowed {
            for word in &self.words {
                word.store(word.load(Relaxed) + 1, Relaxed); // Relaxed: see `Block`
            }
            self.users.end_write();
        }
        allowed
    }

    /// The words, if the block was not being written.
    fn read(&self, begin: impl Fn(&Count) -> bool) -> Option<[usize; 2]> {
        begin(&self.users).then(|| {
            let words = [self.words[1].load(Relaxed), self.words[0].load(Relaxed)]; // Relaxed: see `Block`
            self.users.end_read();
            words
        })
    }
}

#[track_caller]
fn check_reader(begin: fn(&Count) -> bool, try_again: bool) {
    loom::model(move || {
        let block = Arc::new(Block::default());
        let writer = thread::spawn({
            let block = Arc::clone(&block);
            move || block.write()
        });
        let read = block.read(begin);
        if let Some([later, earlier]) = read {
            assert_eq!(later, earlier, "a block was read while it was written");
        }
        let wrote = writer.join().unwrap();
        // A refused `begin_read` ends the program. Loom cannot follow what it leaves until the writer ends: it lets the
        // writer's store come before an addition that has read an earlier value, which no machine does.
        if read.is_some() || try_again {
            assert_eq!(block.read(begin), Some([usize::from(wrote); 2]), "a block stayed in use");
            assert!(block.write());
        }
    });
}

#[test]
fn a_reader_never_sees_half_of_what_is_written() {
    check_reader(Count::begin_read, false);
}

#[test]
fn a_claim_for_reading_never_sees_half_of_what_is_written() {
    check_reader(Count::try_read, true);
}

#[test]
fn of_two_writers_at_once_one_is_refused_or_follows_the_other() {
    loom::model(|| {
        let block = Arc::new(Block::default());
        let other = thread::spawn({
            let block = Arc::clone(&block);
            move || usize::from(block.write())
        });
        let mine = usize::from(block.write());
        let written = mine + other.join().unwrap();
        assert!(written >= 1);
        assert_eq!(block.read(Count::begin_read), Some([written; 2]));
    });
}

#[test]
fn readers_go_side_by_side() {
    loom::model(|| {
        let block = Arc::new(Block::default());
        let other = thread::spawn({
            let block = Arc::clone(&block);
            move || block.read(Count::begin_read)
        });
        assert_eq!(block.read(Count::begin_read), Some([0, 0]));
        assert_eq!(other.join().unwrap(), Some([0, 0]));
        assert!(block.write());
    });
}
