//! What all ranks of a world do together at once, outside of any graph.
//!
//! Invariant: each call begins with an agreement, so ranks that call different things, or the same with other lengths
//! where these must be equal, get `Error::Divergence` and nothing else was sent.
//! Cost: an all-reduce of five words for the agreement, and what the call says. Loops do better with a graph.

use super::World;
use crate::comm::{Collective, CollectiveRequest, Reduction};
use crate::control::{Agreed, Step, Turn};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::ids::Rank;
use crate::memory::BlockCell;
use std::fmt;
use std::sync::Arc;

impl World {
    /// Waits until all ranks have come here.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`. Local: `Error::Transport`.
    pub fn barrier(&self) -> Result<()> {
        // Nobody knows the words of all ranks before all have come.
        self.0.control.turn()?.agree(Step { operation: "barrier", ..Step::new("barrier") }).map(drop)
    }

    /// The root's bytes, on all ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`. Local: `Error::Transport`, `Error::Memory`.
    pub fn broadcast_bytes(&self, root: Rank, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let here = self.0.rank == root;
        let mut turn = self.0.control.turn()?;
        let what = format!("broadcast from {root}");
        let length = turn.agree(Step { word: if here { bytes.len() as i64 } else { 0 }, ..Step::new(&what) })?.most;
        if self.0.size == 1 {
            return Ok(bytes);
        }
        let data = if here { turn.cell(&bytes)? } else { self.0.memory.block(length as usize)? };
        turn.collective("control", Collective::Broadcast { root, data: Arc::clone(&data) })?;
        Ok(data.read().to_vec())
    }

    /// Every rank's bytes, on all ranks, in the order of ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`. Local: `Error::Transport`, `Error::Memory`.
    pub fn all_gather_bytes(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let mut turn = self.0.control.turn()?;
        let Agreed { most, least } = turn.agree(Step { word: bytes.len() as i64, ..Step::new("gather of bytes") })?;
        match self.0.size {
            1 => Ok(vec![bytes]),
            ranks if most == 0 => Ok(vec![bytes; ranks]),
            ranks if most == least => turn.gather(&bytes, vec![most as usize; ranks]),
            _ => turn.exchange(&bytes),
        }
    }

    /// Every rank's bytes, on all ranks, of lengths that all know: what a graph so described would gather.
    ///
    /// # Errors
    /// This rank's own error; on the others `Error::Remote` with it. Replicated: `Error::Divergence`, also if `detail`
    /// is not the same. Local: `Error::Transport`, `Error::Memory`.
    pub fn gather_described<E: From<Error> + fmt::Display>(
        &self,
        (description, detail): (&str, Fingerprint),
        bytes: Result<Vec<u8>, E>,
        lengths: Vec<usize>,
    ) -> Result<Vec<Vec<u8>>, E> {
        let mut turn = self.0.control.turn()?;
        let step = Step::new(description);
        let fingerprint =
            lengths.iter().fold(step.fingerprint.word(detail.value()), |print, &length| print.word(length as u64));
        // A rank that lacks the memory must not leave the others waiting for its bytes.
        let cells = bytes.and_then(|bytes| Ok(turn.cells(&bytes, &lengths)?));
        let failure = cells.as_ref().err().map(ToString::to_string);
        let agreed = turn.agree(Step { fingerprint, failure, ..step });
        let cells = cells?;
        agreed?;
        Ok(turn.gather_into(cells, lengths)?)
    }

    /// This rank's value if all ranks succeeded; else the lowest failed rank with its text, on all ranks.
    ///
    /// Cost: five words; after a failure the texts too.
    ///
    /// # Errors
    /// Replicated: `Error::Remote` with the rank and its text, on the failed rank too; `Error::Divergence`.
    pub fn agree<T>(&self, outcome: Result<T, String>) -> Result<T> {
        let (value, failure) = match outcome {
            Ok(value) => (Some(value), None),
            Err(text) => (None, Some(text)),
        };
        self.0.control.turn()?.agree(Step { failure, ..Step::new("agreement") })?;
        Ok(value.expect("a failed rank does not agree"))
    }

    /// The greatest of the ranks' words, on all ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`. Local: `Error::Transport`.
    pub fn max(&self, word: i64) -> Result<i64> {
        Ok(self.0.control.turn()?.agree(Step { word, ..Step::new("maximum of a word") })?.most)
    }

    /// Combines the words of all ranks, in place, on all of them.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`, also if the ranks give different numbers of words. Local: `Error::Transport`,
    /// `Error::Memory`.
    pub fn all_reduce(&self, reduction: Reduction, words: &mut [i64]) -> Result<()> {
        self.combine("all-reduce", reduction, None, words, |data| Collective::AllReduce { reduction, data })
    }

    /// Combines the words of all ranks, in place, on the root; the others keep theirs.
    ///
    /// # Errors
    /// As [`World::all_reduce`].
    pub fn reduce(&self, root: Rank, reduction: Reduction, words: &mut [i64]) -> Result<()> {
        self.combine("reduce", reduction, Some(root), words, |data| Collective::Reduce { root, reduction, data })
    }

    /// Combines, on each rank r, the words of ranks 0 to r, in place.
    ///
    /// # Errors
    /// As [`World::all_reduce`].
    pub fn scan(&self, reduction: Reduction, words: &mut [i64]) -> Result<()> {
        self.combine("scan", reduction, None, words, |data| Collective::Scan { reduction, inclusive: true, data })
    }

    /// As [`World::scan`] without rank r's own words; rank 0 gets [`Reduction::identity`].
    ///
    /// # Errors
    /// As [`World::all_reduce`].
    pub fn exclusive_scan(&self, reduction: Reduction, words: &mut [i64]) -> Result<()> {
        let kind = |data| Collective::Scan { reduction, inclusive: false, data };
        self.combine("exclusive scan", reduction, None, words, kind)?;
        if self.0.size == 1 {
            words.fill(reduction.identity());
        }
        Ok(())
    }

    /// Combines the words of all ranks; rank r gets the r-th part of the result, of `parts[r]` words.
    ///
    /// # Errors
    /// As [`World::all_reduce`], also if the ranks give different `parts`.
    ///
    /// # Panics
    /// If the parts are not as many as the ranks, or not as long as the words together.
    pub fn reduce_scatter(&self, reduction: Reduction, words: &[i64], parts: &[usize]) -> Result<Vec<i64>> {
        assert_eq!(parts.len(), self.0.size, "a reduction is scattered to all ranks");
        assert_eq!(parts.iter().sum::<usize>(), words.len(), "the parts of a reduction make up the whole");
        let mut turn = self.0.control.turn()?;
        let what = format!("reduce-scatter of {} words, {reduction:?}", words.len());
        let step = Step::new(&what);
        let fingerprint = parts.iter().fold(step.fingerprint, |print, &part| print.word(part as u64));
        turn.agree(Step { fingerprint, ..step })?;
        if self.0.size == 1 {
            return Ok(words.to_vec());
        }
        let bytes: Arc<[usize]> = parts.iter().map(|words| words * size_of::<i64>()).collect();
        let whole = turn.cell(bytemuck::cast_slice(words))?;
        let part = self.0.memory.block(bytes[self.0.rank.index()])?;
        let kind = Collective::ReduceScatter { reduction, whole, part: Arc::clone(&part), bytes };
        turn.collective("reduce-scatter", kind)?;
        Ok(part.read().of().to_vec())
    }

    /// Gives `parts[q]` to every rank q; what each rank gave to this one, in the order of ranks.
    ///
    /// Cost: as [`World::all_to_all`], and two copies.
    ///
    /// ```
    /// // Rank r tells each rank its own number r + 1 times.
    /// let received = girih_runtime::local::run(3, 1, 0, |world| {
    ///     let mine = vec![world.rank().0 as u8; world.rank().index() + 1];
    ///     world.all_to_all_bytes(vec![mine; 3])
    /// })?;
    /// for parts in received {
    ///     assert_eq!(parts?, [vec![0], vec![1, 1], vec![2, 2, 2]]);
    /// }
    /// # Ok::<(), girih_runtime::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`World::all_to_all`].
    ///
    /// # Panics
    /// If the parts are not as many as the ranks.
    pub fn all_to_all_bytes(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let sent: Vec<usize> = parts.iter().map(Vec::len).collect();
        if self.0.size == 1 {
            self.0.control.turn()?.agree(Step::new("all-to-all"))?;
            return Ok(parts);
        }
        let sends = self.0.memory.block(sent.iter().sum()).inspect(|block| {
            let mut room = block.write();
            let mut rest = &mut room[..];
            for part in &parts {
                let (place, behind) = rest.split_at_mut(part.len());
                place.copy_from_slice(part);
                rest = behind;
            }
        });
        let (receives, received) = self.exchange_blocks(sends, &sent)?;
        let whole = receives.read();
        let mut rest = &whole[..];
        let parts = received.iter().map(|&bytes| {
            let (part, behind) = rest.split_at(bytes);
            rest = behind;
            part.to_vec()
        });
        Ok(parts.collect())
    }

    /// Gives `sent[q]` bytes of `sends` to every rank q; what all ranks gave to this one, and how much each.
    ///
    /// Both blocks hold their parts in the order of ranks, without gaps. Lengths are this rank's alone to know.
    /// Cost: a message of one word to every other rank, a second agreement, and a message to every rank that is given
    /// anything; no copy.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`; `Error::Remote` if there is no memory for what some rank receives, where that
    /// rank gets its own `Error::Memory`. Local: `Error::Transport`.
    ///
    /// # Panics
    /// If the parts are not as many as the ranks, or not as long as the block together.
    pub fn all_to_all(&self, sends: &Arc<BlockCell>, sent: &[usize]) -> Result<(Arc<BlockCell>, Vec<usize>)> {
        self.exchange_blocks(Ok(Arc::clone(sends)), sent)
    }

    /// An all-to-all that this rank may have failed to prepare.
    fn exchange_blocks(&self, sends: Result<Arc<BlockCell>>, sent: &[usize]) -> Result<(Arc<BlockCell>, Vec<usize>)> {
        assert_eq!(sent.len(), self.0.size, "an all-to-all has a part for each rank");
        let mut turn = self.0.control.turn()?;
        let sends = ready(&mut turn, sends)?;
        let total: usize = sent.iter().sum();
        assert_eq!(sends.bytes(), total, "the parts of an all-to-all make up the block");
        let received = lengths(&mut turn, sent)?;
        let receives = self.0.memory.block(received.iter().sum());
        let receives = ready(&mut turn, receives)?;
        if self.0.size == 1 {
            receives.write().copy_from_slice(&sends.read());
            return Ok((receives, received));
        }
        let kind = Collective::AllToAll {
            sends,
            receives: Arc::clone(&receives),
            sent: sent.into(),
            received: received.as_slice().into(),
        };
        turn.collective("all-to-all", kind)?;
        Ok((receives, received))
    }

    /// A collective that combines words in place, after an agreement on what it is.
    fn combine(
        &self,
        kind: &'static str,
        reduction: Reduction,
        root: Option<Rank>,
        words: &mut [i64],
        request: impl FnOnce(Arc<BlockCell>) -> CollectiveRequest,
    ) -> Result<()> {
        let to = root.map_or(String::new(), |root| format!(" to {root}"));
        let what = format!("{kind} of {} words{to}, {reduction:?}", words.len());
        let mut turn = self.0.control.turn()?;
        turn.agree(Step::new(&what))?;
        if self.0.size == 1 {
            return Ok(());
        }
        let data = turn.cell(bytemuck::cast_slice(words))?;
        turn.collective(kind, request(Arc::clone(&data)))?;
        words.copy_from_slice(data.read().of());
        Ok(())
    }
}

/// The block, if all ranks have theirs.
fn ready(turn: &mut Turn<'_>, block: Result<Arc<BlockCell>>) -> Result<Arc<BlockCell>> {
    let failure = block.as_ref().err().map(Error::to_string);
    let agreed = turn.agree(Step { failure, ..Step::new("all-to-all") });
    let block = block?;
    agreed.map(|_| block)
}

/// What each rank will give to this one, from what this one will give to each.
fn lengths(turn: &mut Turn<'_>, sent: &[usize]) -> Result<Vec<usize>> {
    let words: Vec<i64> = sent.iter().map(|&bytes| bytes as i64).collect();
    let sends = turn.cell(bytemuck::cast_slice(&words))?;
    let receives = turn.cell(bytemuck::cast_slice(&words))?;
    let of_each: Arc<[usize]> = vec![size_of::<i64>(); sent.len()].into();
    let kind =
        Collective::AllToAll { sends, receives: Arc::clone(&receives), sent: Arc::clone(&of_each), received: of_each };
    turn.collective("control", kind)?;
    Ok(receives.read().of::<i64>().iter().map(|&bytes| bytes as usize).collect())
}
