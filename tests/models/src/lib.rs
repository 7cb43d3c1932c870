//! Loom models of the runtime's protocols: every interleaving of a few threads, and every value a weak memory allows.
//!
//! The protocols are not copied: each module here is the runtime's own file, compiled with loom's primitives in the
//! place of std's, since those files name both as `crate::sync`. What a model claims stands in the `PROTOCOL.md` beside
//! the file it checks.
//! Never here: what a file of the runtime names beside `crate::sync`; such a file cannot be modelled.

#![cfg(test)]
#![allow(missing_docs, reason = "the files are documented where they belong")]
#![allow(dead_code, reason = "a model need not use all that a file has")]
#![allow(unreachable_pub, reason = "what is public in the runtime is private here")]

mod sync;

#[path = "../../../runtime/src/comm/board.rs"]
mod board;
#[path = "../../../runtime/src/memory/count.rs"]
mod count;
#[path = "../../../runtime/src/schedule/desk.rs"]
mod desk;
#[path = "../../../runtime/src/comm/handover.rs"]
mod handover;
#[path = "../../../runtime/src/ids.rs"]
mod ids;
#[path = "../../../runtime/src/pool/inbox.rs"]
mod inbox;
#[path = "../../../runtime/src/graph/lane.rs"]
mod lane;
#[path = "../../../runtime/src/schedule/latch.rs"]
mod latch;
#[path = "../../../runtime/src/graph/open.rs"]
mod open;
#[path = "../../../runtime/src/comm/ring.rs"]
mod ring;
#[path = "../../../runtime/src/pool/sleep.rs"]
mod sleep;

mod board_model;
mod count_model;
mod desk_model;
mod handover_model;
mod inbox_model;
mod lane_model;
mod latch_model;
mod open_model;
mod ring_model;
mod sleep_model;
