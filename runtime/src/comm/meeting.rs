//! A collective of ranks that are threads of one process: each leaves its contribution, and takes its result.
//!
//! Invariant: a result is read only after all ranks have entered, and is then the same whoever reads it first.
//! Never here: which collective is whose turn, and when a rank hears of it.

use super::collective::{Collective, Reduction, offsets};
use crate::ids::Rank;
use std::sync::Arc;

/// A collective in progress.
#[derive(Default)]
pub(super) struct Meeting {
    kind: &'static str,
    pub(super) entered: usize,
    pub(super) left: usize,
    /// The words of all who have entered, combined.
    words: Vec<i64>,
    /// What each rank gave, where its place matters.
    parts: Vec<Vec<u8>>,
    /// How long the parts for each rank are, by giver.
    lengths: Vec<Arc<[usize]>>,
}

impl Meeting {
    /// Takes this rank's contribution; a rank whose contribution does not fit has not come, and the others wait for it.
    pub(super) fn enter(&mut self, rank: Rank, size: usize, collective: &Collective) -> Result<(), String> {
        self.give(rank, size, collective)?;
        self.entered += 1;
        Ok(())
    }

    fn give(&mut self, rank: Rank, size: usize, collective: &Collective) -> Result<(), String> {
        if self.entered == 0 {
            self.kind = collective.name();
            self.parts.resize(size, Vec::new());
            self.lengths.resize(size, Arc::from([]));
        }
        if self.kind != collective.name() {
            return Err(format!("{} meets {}", collective.name(), self.kind));
        }
        let part = &mut self.parts[rank.index()];
        match collective {
            Collective::Barrier => {}
            Collective::Broadcast { root, data } if *root == rank => *part = data.to_vec(),
            Collective::Broadcast { .. } => {}
            Collective::Reduce { reduction, data, .. } | Collective::AllReduce { reduction, data } => {
                return self.combine(*reduction, data.of());
            }
            Collective::ReduceScatter { reduction, whole, .. } => return self.combine(*reduction, whole.of()),
            Collective::Scan { data, .. } => *part = data.to_vec(),
            Collective::AllGather { part: given, bytes, .. } => {
                if given.len() != bytes[rank.index()] {
                    return Err(format!("a part of {} bytes was announced as {}", given.len(), bytes[rank.index()]));
                }
                *part = given.to_vec();
            }
            Collective::AllToAll { sends, sent, .. } => {
                *part = sends.to_vec();
                self.lengths[rank.index()] = Arc::clone(sent);
            }
        }
        Ok(())
    }

    fn combine(&mut self, reduction: Reduction, words: &[i64]) -> Result<(), String> {
        if self.entered == 0 {
            self.words = words.to_vec();
            return Ok(());
        }
        if self.words.len() != words.len() {
            return Err(format!("{} words meet {}", words.len(), self.words.len()));
        }
        let pairs = self.words.iter_mut().zip(words);
        pairs.for_each(|(sum, &word)| *sum = reduction.combine(*sum, word));
        Ok(())
    }

    /// Gives this rank its result; all have entered.
    pub(super) fn leave(&mut self, rank: Rank, collective: &mut Collective) -> Result<(), String> {
        self.left += 1;
        match collective {
            Collective::Barrier => Ok(()),
            Collective::Broadcast { root, data } => copy(data, &self.parts[root.index()]),
            Collective::Reduce { root, .. } if *root != rank => Ok(()),
            Collective::Reduce { data, .. } | Collective::AllReduce { data, .. } => {
                copy(data, bytemuck::cast_slice(&self.words))
            }
            Collective::Scan { reduction, inclusive, data } => {
                let before = &self.parts[..rank.index() + usize::from(*inclusive)];
                scan(*reduction, before, data.of_mut())
            }
            Collective::AllGather { whole, .. } => copy(whole, &self.parts.concat()),
            Collective::ReduceScatter { part, bytes, .. } => {
                let start = bytes[..rank.index()].iter().sum::<usize>();
                let words: &[u8] = bytemuck::cast_slice(&self.words);
                copy(part, &words[start..][..bytes[rank.index()]])
            }
            Collective::AllToAll { receives, received, .. } => {
                for (from, (&bytes, start)) in received.iter().zip(offsets(received)).enumerate() {
                    let sent = &self.lengths[from];
                    let given = offsets(sent).nth(rank.index()).expect("a part for every rank");
                    copy(&mut receives[start..][..bytes], &self.parts[from][given..][..sent[rank.index()]])?;
                }
                Ok(())
            }
        }
    }
}

fn copy(target: &mut [u8], source: &[u8]) -> Result<(), String> {
    if target.len() != source.len() {
        return Err(format!("{} bytes meet {}", source.len(), target.len()));
    }
    target.copy_from_slice(source);
    Ok(())
}

fn scan(reduction: Reduction, parts: &[Vec<u8>], result: &mut [i64]) -> Result<(), String> {
    result.fill(reduction.identity());
    for part in parts {
        if part.len() != size_of_val(result) {
            return Err(format!("{} bytes meet {}", part.len(), size_of_val(result)));
        }
        // The bytes of a vector need not be aligned to words.
        let words = part.as_chunks().0.iter().map(|&word| i64::from_ne_bytes(word));
        result.iter_mut().zip(words).for_each(|(sum, word)| *sum = reduction.combine(*sum, word));
    }
    Ok(())
}
