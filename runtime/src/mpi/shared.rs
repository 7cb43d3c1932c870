//! Memory that the ranks of a node share, from MPI.
//!
//! Invariant: every rank's part begins on a line and holds zeros when its address is handed out; it stays until the
//! session is closed. Never here: what lies in it.

#![allow(unsafe_code, reason = "calls through the plug-in's table")]

use super::session::Session;
use crate::error::Result;
use std::ffi::c_int;
use std::ptr::NonNull;

const LINE_BYTES: usize = 64;

impl Session {
    /// Memory that the ranks of this node share: where each one's part begins, `bytes` bytes of zeros, in the order of
    /// local ranks. None if MPI has no such memory here. Collective over the node, once; blocks.
    ///
    /// The parts stay until [`Session::close`], on lines of 64 bytes.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    pub(crate) fn share_on_node(&mut self, bytes: usize) -> Result<Option<Vec<NonNull<u8>>>> {
        let mut window = 0;
        // Room to begin on a line.
        // SAFETY: a communicator of ours, whose ranks all come here, and a valid pointer.
        let code = unsafe { (self.table.share)(self.node, bytes + LINE_BYTES, &mut window) };
        if self.gather_on_node(&[u8::from(code == 0)])?.iter().any(|made| made[0] == 0) {
            return Ok(None);
        }
        self.window = Some(window);
        let part = |owner: usize| {
            let (owner, mut start) = (c_int::try_from(owner).expect("a rank of a node"), std::ptr::null_mut());
            // SAFETY: the window just made, one of its ranks, and a valid pointer.
            let code = unsafe { (self.table.shared_part)(window, owner, &mut start) };
            self.check("MPI_Win_shared_query", None, code)?;
            let start = start.cast::<u8>();
            // Pages begin on lines, so every process skips as much.
            let start = start.wrapping_add(start.align_offset(LINE_BYTES));
            Ok(NonNull::new(start).expect("MPI shares memory that is there"))
        };
        let parts = (0..self.local_size).map(part).collect::<Result<Vec<_>>>()?;
        // SAFETY: this rank's own part, which has so many bytes behind the first line, and nobody uses it before all
        // have come to the gather below.
        unsafe { parts[self.local_rank].write_bytes(0, bytes) };
        // Something, for a gather of nothing is refused by some libraries.
        self.gather_on_node(&[0])?;
        Ok(Some(parts))
    }
}
