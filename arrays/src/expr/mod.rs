//! What was recorded: nodes of an expression, their shapes, types and layouts, and the user's mistakes.
//!
//! Every answer follows from what all ranks know, so an error here is alike on all of them.
//! Never here: data, tasks, messages.

mod description;
mod infer;
mod node;
mod permute;
mod view;

pub(crate) use description::{described, description, operation, postorder};
pub(crate) use infer::{
    Operand, binary, cast, custom, fill, gather, out_of_bounds, product, reduce, scan, select, sequence, unary, view,
};
pub(crate) use node::{Node, Permuted, Piece, Recorded, Reduction};
pub(crate) use permute::{inverse, permute, redistribute, spread};
pub use view::Index;
pub(crate) use view::{Picked, View};
