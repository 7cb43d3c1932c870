//! The collectives of a graph: one block of each rank, or two, named on all ranks alike.
//!
//! A collective is a node on every rank, behind what its blocks' accesses must follow; it is posted in the order of
//! recording on all ranks, whenever its inputs are ready.
//! Never here: how the words travel, and sums of floats, which lie above as trees of tasks.

use super::build::GraphBuilder;
use super::node::{Access, Body, Context, Operation};
use crate::comm::{Collective, CollectiveRequest, Reduction};
use crate::ids::{BlockId, NodeId, Rank};
use crate::memory::BlockCell;
use std::sync::Arc;

impl GraphBuilder {
    /// Lets each rank's uses of its block from now on wait until all ranks are done with their uses so far.
    ///
    /// For effects that no block shows, such as files; blocks themselves need none.
    pub fn barrier(&mut self, blocks: &[BlockId]) {
        self.in_place("barrier", 0, blocks, false, |_| Collective::Barrier);
    }

    /// Brings the root's block to the blocks of all ranks; all are equally long.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn broadcast(&mut self, root: Rank, blocks: &[BlockId]) {
        let request = |data| Collective::Broadcast { root, data };
        self.in_place("broadcast", u64::from(root.0), blocks, true, request);
    }

    /// Combines one block of each rank word by word, in place, on the root; the others keep theirs.
    ///
    /// # Panics
    /// If the lengths differ, or are not of whole 8-byte words.
    pub fn reduce(&mut self, root: Rank, reduction: Reduction, blocks: &[BlockId]) {
        let detail = (u64::from(root.0) << 8) | reduction as u64;
        let request = |data| Collective::Reduce { root, reduction, data };
        self.words(blocks).in_place("reduce", detail, blocks, true, request);
    }

    /// Combines one block of each rank word by word, in place, on all ranks.
    ///
    /// # Panics
    /// As [`GraphBuilder::reduce`].
    pub fn all_reduce(&mut self, reduction: Reduction, blocks: &[BlockId]) {
        let request = |data| Collective::AllReduce { reduction, data };
        self.words(blocks).in_place("all-reduce", reduction as u64, blocks, true, request);
    }

    /// As [`GraphBuilder::all_reduce`] of sums, and its last word becomes the number of ranks that failed before it.
    ///
    /// The word is the runtime's; whatever tasks leave there is lost. It saves the message with which a
    /// graph otherwise ends: that all ranks agree whether all succeeded.
    ///
    /// # Panics
    /// As [`GraphBuilder::reduce`].
    pub fn all_reduce_and_agree(&mut self, blocks: &[BlockId]) {
        let reduction = Reduction::SumI64;
        let sinks = self.sinks();
        self.after_collective = self.deepest;
        let request = |data| Collective::AllReduce { reduction, data };
        let node = self.words(blocks).in_place("all-reduce", reduction as u64, blocks, true, request);
        let Some(node) = node else { return };
        for sink in sinks {
            self.edge(sink, node);
        }
        self.agreement = Some(node);
    }

    /// Combines, on each rank r, the blocks of ranks 0 to r word by word, in place.
    ///
    /// # Panics
    /// As [`GraphBuilder::reduce`].
    pub fn scan(&mut self, reduction: Reduction, blocks: &[BlockId]) {
        let request = |data| Collective::Scan { reduction, inclusive: true, data };
        self.words(blocks).in_place("scan", reduction as u64, blocks, true, request);
    }

    /// As [`GraphBuilder::scan`] without rank r's own block: rank 0 gets the reduction's identity.
    ///
    /// # Panics
    /// As [`GraphBuilder::reduce`].
    pub fn exclusive_scan(&mut self, reduction: Reduction, blocks: &[BlockId]) {
        if self.size == 1 {
            let accesses = [Access::Write(blocks[0])];
            self.alone("scan", &accesses, move |context| context.write(0).of_mut().fill(reduction.identity()));
        }
        let request = |data| Collective::Scan { reduction, inclusive: false, data };
        self.words(blocks).in_place("exclusive scan", reduction as u64, blocks, true, request);
    }

    /// Brings `parts[r]` of every rank r to `wholes[q]` of every rank q, in the order of ranks, without gaps.
    ///
    /// # Panics
    /// If a whole is not as long as all parts together.
    pub fn all_gather(&mut self, parts: &[BlockId], wholes: &[BlockId]) {
        let bytes: Arc<[usize]> = parts.iter().map(|&part| self.bytes(part)).collect();
        let total: usize = bytes.iter().sum();
        assert!(wholes.iter().all(|&whole| self.bytes(whole) == total), "an all-gather of {total} bytes");
        self.mark_bytes(&bytes);
        let request = |part, whole| Collective::AllGather { part, whole, bytes };
        self.between("all-gather", 0, parts, wholes, request);
    }

    /// Combines `wholes` of all ranks word by word; `parts[r]` of every rank r gets the r-th part of the result.
    ///
    /// # Panics
    /// If a whole is not as long as all parts together, or a part has no whole number of 8-byte words.
    pub fn reduce_scatter(&mut self, reduction: Reduction, wholes: &[BlockId], parts: &[BlockId]) {
        let bytes: Arc<[usize]> = parts.iter().map(|&part| self.bytes(part)).collect();
        let total: usize = bytes.iter().sum();
        assert!(wholes.iter().all(|&whole| self.bytes(whole) == total), "a reduce-scatter of {total} bytes");
        self.words(parts).mark_bytes(&bytes);
        let request = |whole, part| Collective::ReduceScatter { reduction, whole, part, bytes };
        self.between("reduce-scatter", reduction as u64, wholes, parts, request);
    }

    /// Brings the part for rank q of every `sends[r]` to the part from rank r of every `receives[q]`.
    ///
    /// `bytes(r, q)` is the length of that part, which may be 0. A block of `sends` holds its parts in the order of
    /// receivers, one of `receives` in the order of senders, both without gaps.
    /// Cost: for each rank a message to every rank that it has a part for; P² calls of `bytes` at recording.
    ///
    /// ```
    /// # use girih_runtime::{graph::Access::{Read, Write}, ids::Rank};
    /// // Rank r has r + 1 bytes for each rank, all of them r.
    /// let received = girih_runtime::local::run(3, 1, 0, |world| {
    ///     let mut graph = world.graph("exchange");
    ///     let bytes = |from: Rank, _: Rank| from.index() + 1;
    ///     let (mut sends, mut receives) = (Vec::new(), Vec::new());
    ///     for rank in (0..3).map(Rank) {
    ///         let (send, receive) = (graph.block(rank, 3 * bytes(rank, rank))?, graph.block(rank, 1 + 2 + 3)?);
    ///         graph.task("fill", rank, 0, &[Write(send)], || Box::new(move |context| {
    ///             context.write(0).fill(rank.0 as u8);
    ///             Ok(())
    ///         }))?;
    ///         (sends.push(send), receives.push(receive));
    ///     }
    ///     graph.all_to_all(&sends, &receives, bytes);
    ///     let graph = graph.finish()?.into();
    ///     world.run(&graph)?;
    ///     Ok::<_, girih_runtime::error::Error>(graph.cell(receives[world.rank().index()]).read().to_vec())
    /// })?;
    /// assert!(received.into_iter().all(|received| received.is_ok_and(|bytes| bytes == [0, 1, 1, 2, 2, 2])));
    /// # Ok::<(), girih_runtime::error::Error>(())
    /// ```
    ///
    /// # Panics
    /// If a block is not as long as its parts together.
    pub fn all_to_all(&mut self, sends: &[BlockId], receives: &[BlockId], bytes: impl Fn(Rank, Rank) -> usize) {
        let ranks = || (0..self.size).map(Rank::from);
        let parts_sent = |from: Rank| ranks().map(|to| bytes(from, to)).collect::<Arc<[usize]>>();
        let (mut sent, mut totals) = (Arc::from([]), vec![0; self.size]);
        let mut received = vec![0; self.size];
        let mut fingerprint = self.fingerprint;
        for from in ranks() {
            let parts = parts_sent(from);
            let total: usize = parts.iter().sum();
            assert_eq!(self.bytes(sends[from.index()]), total, "what {from} sends in an all-to-all");
            totals.iter_mut().zip(&*parts).for_each(|(total, part)| *total += part);
            received[from.index()] = parts[self.rank.index()];
            fingerprint = parts.iter().fold(fingerprint, |print, &part| print.word(part as u64));
            if from == self.rank {
                sent = parts;
            }
        }
        for (to, total) in ranks().zip(totals) {
            assert_eq!(self.bytes(receives[to.index()]), total, "what {to} receives in an all-to-all");
        }
        self.fingerprint = fingerprint;
        let request = |sends, receives| Collective::AllToAll { sends, receives, sent, received: received.into() };
        self.between("all-to-all", 0, sends, receives, request);
    }

    /// A collective that reads and writes one block of each rank, all of one length; nothing on one rank.
    fn in_place(
        &mut self,
        kind: &str,
        detail: u64,
        blocks: &[BlockId],
        equal: bool,
        request: impl FnOnce(Arc<BlockCell>) -> CollectiveRequest,
    ) -> Option<NodeId> {
        let bytes = self.bytes(blocks[0]);
        let alike = blocks.iter().all(|&block| self.bytes(block) == bytes);
        assert!(alike || !equal, "the blocks of a {kind} are equally long");
        let order = self.collective(kind, detail, &[], blocks)?;
        let here = blocks[self.rank.index()];
        let request = request(Arc::clone(self.copy(here).cell()));
        Some(self.add(Operation::Collective { order, request }, &[Access::Write(here)]))
    }

    /// A collective that reads one block of each rank and writes another; a copy on one rank.
    fn between(
        &mut self,
        kind: &str,
        detail: u64,
        given: &[BlockId],
        taken: &[BlockId],
        request: impl FnOnce(Arc<BlockCell>, Arc<BlockCell>) -> CollectiveRequest,
    ) {
        for (rank, block) in given.iter().enumerate() {
            assert_eq!(self.blocks[block.index()].home.index(), rank, "block {rank} of a {kind} lives elsewhere");
        }
        let (from, to) = (given[self.rank.index()], taken[self.rank.index()]);
        let accesses = [Access::Read(from), Access::Write(to)];
        let Some(order) = self.collective(kind, detail, given, taken) else {
            self.alone("copy", &accesses, |context| context.write(1).copy_from_slice(&context.read(0)));
            return;
        };
        let request = request(Arc::clone(self.copy(from).cell()), Arc::clone(self.copy(to).cell()));
        self.add(Operation::Collective { order, request }, &accesses);
    }

    /// What the only rank does instead of a collective.
    fn alone(&mut self, label: &'static str, accesses: &[Access], body: impl Fn(&Context<'_>) + Send + Sync + 'static) {
        let body: Body = Box::new(move |context| {
            body(context);
            Ok(())
        });
        self.task(label, self.rank, 0, accesses, || body).expect("no copy of another rank's block is made");
    }

    /// Counts a collective that reads `given` and writes `blocks`; its place in the order, or none where one rank is
    /// all there is.
    fn collective(&mut self, kind: &str, detail: u64, given: &[BlockId], blocks: &[BlockId]) -> Option<u64> {
        assert_eq!(blocks.len(), self.size, "a collective takes one block of each rank");
        for (rank, block) in blocks.iter().enumerate() {
            let record = &mut self.blocks[block.index()];
            assert_eq!(record.home.index(), rank, "block {rank} of a collective lives on another rank");
            record.sent_to.clear();
        }
        let bytes = self.bytes(blocks[0]) as u64;
        self.fingerprint = self.fingerprint.bytes(kind.as_bytes()).word(detail).word(bytes);
        if self.size == 1 {
            return None;
        }
        let reads = given.iter().map(|&block| Access::Read(block));
        let accesses = reads.chain(blocks.iter().map(|&block| Access::Write(block)));
        // Collectives are posted in order, so each is behind the one before.
        self.depth = self.deepen(accesses, self.after_collective);
        self.after_collective = self.depth + 1;
        self.communicates = true;
        self.agreement = None;
        self.collectives += 1;
        Some(self.collectives - 1)
    }

    fn bytes(&self, block: BlockId) -> usize {
        self.blocks[block.index()].bytes
    }

    /// Makes sure that blocks can be combined.
    fn words(&mut self, blocks: &[BlockId]) -> &mut GraphBuilder {
        let whole = blocks.iter().all(|&block| self.bytes(block).is_multiple_of(size_of::<i64>()));
        assert!(whole, "a reduction takes blocks of whole 8-byte words");
        self
    }

    fn mark_bytes(&mut self, bytes: &[usize]) {
        self.fingerprint = bytes.iter().fold(self.fingerprint, |print, &bytes| print.word(bytes as u64));
    }
}
